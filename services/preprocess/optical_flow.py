"""Optical flow between two pictures: RAFT-small where its weights are, OpenCV's DIS elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from services.preprocess.raft_small import load_raft

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

RAFT_FILE = "raft_small_C_T_V2-01064c6d.pth"
"""Of the ledger (shared.model_files)."""


class FlowEngine(NamedTuple):
    """What finds the flow."""

    name: str
    """``raft_small`` or ``dis``, for the report."""
    find: Callable[[U8, U8], F32]
    """How far each pixel of the first picture has moved in the second, x and y, px.
    [H, W, 3] twice -> [H, W, 2]"""


def open_flow(models_dir: Path | None) -> FlowEngine:
    """RAFT-small of the models folder, DIS where the file is not there.

    Raises:
        InvalidInput: ``bad_flow_model`` for a file that is there and cannot be used.
    """
    if models_dir is not None and (models_dir / RAFT_FILE).is_file():
        return FlowEngine("raft_small", load_raft(models_dir / RAFT_FILE))
    return FlowEngine("dis", _open_dis())


def _open_dis() -> Callable[[U8, U8], F32]:
    """Dense inverse search (Kroeger et al. 2016)."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def find(first: U8, second: U8) -> F32:
        one, other = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (first, second))
        flow: F32 = dis.calc(one, other, None)
        return flow

    return find
