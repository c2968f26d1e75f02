"""A video that was looked at once, with where to look again."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.evaluator.gather import Sight

F32 = NDArray[np.float32]


class Looked(NamedTuple):
    """What is known after the first look."""

    video: Path
    reference: tuple[Path, int] | None
    """The capture, and its frame that the video's first is compared with."""
    sight: Sight
    audio: F32 | None
    """16 kHz mono on the video's clock. [n]"""
