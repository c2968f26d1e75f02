"""Who speaks through a motion model: one of its own speakers, or an avatar that borrows it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from services.audio2motion.mouth import Mouth, measure_lips, measure_mouth, read_mouth
from services.audio2motion.tracks import Tracks, coefficients_of
from shared.contracts.artifact import MANIFEST, read_arrays
from shared.contracts.avatar import TRAINING_TABLE
from shared.contracts.motion_model import MotionModelManifest
from shared.contracts.tracked_dataset import TRACKING_TABLE
from shared.errors import InvalidInput
from shared.head_model import load_head_model

F32 = NDArray[np.float32]


class Voice(NamedTuple):
    """How one speaker uses a motion model."""

    speaker: str
    """Digest of the capture that the avatar is of."""
    mouth: Mouth
    """Limits of the mouth that speaks."""
    offset: F32
    """Added to what the model says, so that it moves about this mouth's mean. [P]"""


class _Captured(BaseModel):
    """What avatars and datasets have in common."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str
    capture_sha256: str
    """Of the capture that it was made from."""


def choose_voice(
    folder: Path, model: MotionModelManifest, shown: Tracks, avatar: Path | None
) -> Voice:
    """The voice of ``avatar`` in a motion model.

    A model of one capture that drives its own subject uses the mouth that was stored with it. For
    any other avatar the mouth is measured on the avatar, and what the model says is moved to the
    avatar's own mean: a stranger's jaw hangs differently.

    Args:
        folder: The motion model.
        model: Its manifest.
        shown: Tracks of the avatar's training frames.
        avatar: Avatar or tracked dataset; None is the model's first subject.
    """
    stored = read_mouth(folder)
    still = np.zeros(len(stored.mean), np.float32)
    captured = None if avatar is None else _read_captured(avatar)
    is_first = captured is None or captured.capture_sha256 == model.capture_sha256
    if avatar is None or captured is None or (is_first and not model.other_captures):
        return Voice(model.capture_sha256, stored, still)
    own = _measure(avatar, captured, shown)
    is_known = is_first or captured.capture_sha256 in model.other_captures
    return Voice(captured.capture_sha256, own, still if is_known else own.mean - stored.mean)


def _measure(avatar: Path, captured: _Captured, shown: Tracks) -> Mouth:
    """The mouth as the training frames show it; nothing tells of its pauses."""
    table = TRAINING_TABLE if captured.kind == "avatar" else TRACKING_TABLE
    shape = read_arrays(avatar / "tracking.npz", table)["shape"].astype(np.float32)
    coefficients = coefficients_of(shown)
    lips = measure_lips(
        load_head_model(avatar / "head_model.npz"), shape, coefficients.mean(axis=0)
    )
    return measure_mouth(lips, coefficients, np.zeros(len(coefficients), np.bool_))


def _read_captured(folder: Path) -> _Captured:
    try:
        return _Captured.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidInput(
            "not_an_artifact", f"{folder} is neither an avatar nor a tracked dataset: {error}"
        ) from error
