"""LPIPS over VGG-16, version 0.1: the variant of GaussianAvatars' and 2DGS's tables.

Its figures must not be compared with those over AlexNet, and it is some twenty times the work: put
its files into the models folder only where that is affordable.
"""

from pathlib import Path

from services.evaluator.metric import Compare
from services.evaluator.networks.perceptual import load_perceptual

KIND = "learned"
UNIT = "1"
HIGHER_IS_BETTER = False
RANGE = (0.0, None)
SOURCE = "Zhang et al., CVPR 2018, version 0.1"


def load(models_dir: Path) -> Compare:
    """Read VGG-16 and LPIPS's weights."""
    return load_perceptual(models_dir, "vgg16").compare
