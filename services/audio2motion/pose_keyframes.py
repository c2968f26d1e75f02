"""Head pose from a table of keyframes: when, how far turned, nodded, tilted and moved."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from services.audio2motion.tracks import Tracks
from shared.errors import InvalidInput

F32 = NDArray[np.float32]

COLUMNS = ("seconds", "yaw", "pitch", "roll", "x", "y", "z")
"""Degrees (yaw to the subject's left, pitch down, roll to the subject's right shoulder) and metres
(to the left, up, forward), from the capture's median pose."""
_MAX_DEGREES = 90.0
_MAX_KEYFRAMES = 100_000


def read_keyframes(path: Path) -> F32:
    """Rows of COLUMNS, in order of time; columns that are absent are zero. [N, 7]

    Raises:
        InvalidInput: ``bad_keyframes``.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            table = csv.DictReader(stream)
            names = [name.strip().lower() for name in table.fieldnames or []]
            unknown = set(names) - set(COLUMNS)
            if "seconds" not in names or unknown:
                raise _refusal(path, f"its columns are {names}, expected {list(COLUMNS)}")
            table.fieldnames = names
            rows = [[float(row.get(name) or 0) for name in COLUMNS] for row in table]
    except (OSError, UnicodeDecodeError, ValueError, csv.Error, TypeError) as error:
        raise _refusal(path, str(error)) from error
    keyframes = np.asarray(rows, np.float32).reshape(-1, len(COLUMNS))
    if not 0 < len(keyframes) <= _MAX_KEYFRAMES or not np.isfinite(keyframes).all():
        raise _refusal(path, f"it has {len(keyframes)} rows; each value must be a number")
    if (np.diff(keyframes[:, 0]) <= 0).any():
        raise _refusal(path, "its seconds do not increase")
    if np.abs(keyframes[:, 1:4]).max() > _MAX_DEGREES:
        raise _refusal(path, f"an angle is beyond {_MAX_DEGREES:.0f} degrees")
    return keyframes


def pose_from_keyframes(keyframes: F32, shown: Tracks, *, fps: int, n_frames: int) -> Tracks:
    """Rotation and translation between keyframes, without overshoot; the ends hold. [T, 3] each"""
    times = np.clip(np.arange(n_frames) / fps, keyframes[0, 0], keyframes[-1, 0])
    if len(keyframes) == 1:
        values = np.repeat(keyframes[:, 1:], n_frames, axis=0)
    else:
        values = PchipInterpolator(keyframes[:, 0], keyframes[:, 1:])(times)
    usual = Rotation.from_rotvec(np.median(shown["rotation"], axis=0))
    turned = Rotation.from_euler("YXZ", values[:, :3] * [1, 1, -1], degrees=True) * usual
    place = np.median(shown["translation"], axis=0) + values[:, 3:]
    return {
        "rotation": turned.as_rotvec().astype(np.float32),
        "translation": np.asarray(place, np.float32),
    }


def _refusal(path: Path, reason: str) -> InvalidInput:
    return InvalidInput("bad_keyframes", f"{path} is no table of head poses: {reason}")
