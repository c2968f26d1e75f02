"""LPIPS: learned perceptual distance of rendered and captured frames, AlexNet, version 0.1.

The whole frame at its own size, as TalkingGaussian's and SyncTalk's scripts do. Needs AlexNet and
LPIPS's weights in the models folder; ``lpips_vgg`` is the variant of GaussianAvatars' tables.
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
    """Read AlexNet and LPIPS's weights."""
    return load_perceptual(models_dir, "alexnet").compare
