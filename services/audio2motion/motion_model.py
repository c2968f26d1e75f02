"""The motion model contract: speech in, expression and jaw out.

One module per model in ``motion_models/``; the file name is the registry name.
"""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.progress import Progress

F32 = NDArray[np.float32]


class MotionModel(Protocol):
    """What a motion model module offers."""

    def fit(  # noqa: PLR0917 - called with keywords
        self,
        audio: F32,  # [samples] 16 kHz mono, -1..1, of the training frames
        expr: F32,  # [T, E] tracked, training frames only
        jaw_pose: F32,  # [T, 3]
        expression_names: list[str],
        fps: int,
        seed: int,
        out: Path,
        progress: Progress,
    ) -> None:
        """Fit to one capture and write the model's files into ``out``."""
        ...

    def predict(self, model: Path, audio: F32, fps: int, n_frames: int) -> tuple[F32, F32]:
        """Expression [T, E] and jaw pose [T, 3] for a speech of ``n_frames`` frames."""
        ...
