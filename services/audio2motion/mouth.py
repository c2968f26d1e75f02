"""How far a subject's mouth may go: the range it showed, its closed shape, lips never crossed."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from shared.contracts.artifact import read_arrays, write_arrays
from shared.contracts.motion_model import MOUTH_TABLE
from shared.head_model import (
    HeadModel,
    HeadPose,
    landmark_patch,
    landmarks_on,
    neutral_vertices,
    pose_vertices,
)
from shared.landmarks import INNER_LIP_PAIRS, LIPS

F32 = NDArray[np.float32]

MOUTH_FILE = "mouth.npz"

_RANGE_PERCENT = (1.0, 99.0)
_CLOSED_PERCENT = 5.0
"""The closed mouth is the mean of the frames that are closed most."""
_MOVES_LIPS = 0.006
"""Share of the strongest coefficient's effect on the lips that makes one the mouth's."""
_MIN_PAUSE_FRAMES = 6
_STEP = 0.05
"""Of each coefficient, to measure its effect; 3 degrees of the jaw."""
_LOWEST_GAP = 0.0
"""Metres between an upper inner lip landmark and its lower partner."""
_UNCROSSING_ROUNDS = 200


class Lips(NamedTuple):
    """Lip landmarks as a linear function of the coefficients (expression, jaw pose, eyes pose)."""

    rest: F32  # [40, 3] m, in the order of shared.landmarks.LIPS
    effect: F32  # [P, 40, 3] m per unit


class Mouth(NamedTuple):
    """Limits of one subject's mouth; rows of MOUTH_TABLE."""

    is_mouth: NDArray[np.bool_]  # [P]
    mean: F32  # [P]
    low: F32  # [P]
    high: F32  # [P]
    closed: F32  # [P]
    pause: F32  # [P]
    gaps: F32  # [Q] m
    gap_effect: F32  # [P, Q] m


def measure_lips(model: HeadModel, shape: F32, at: F32) -> Lips:
    """Linearise the lips of a head model around the coefficients ``at``.

    Args:
        model: The head model fitted to the subject.
        shape: The subject's neutral. [K]
        at: Mean coefficients. [P]
    """
    steps = np.concatenate([np.zeros((1, len(at))), np.eye(len(at)) * _STEP]) + at
    coefficients = torch.from_numpy(steps.astype(np.float32))  # [P + 1, P]
    still = torch.zeros(len(coefficients), 3)
    pose = HeadPose(
        expr=coefficients[:, :-9],
        rotation=still,
        neck_pose=still,
        jaw_pose=coefficients[:, -9:-6],
        eyes_pose=coefficients[:, -6:],
        translation=still,
    )
    patch, _ = landmark_patch(model)
    vertices = pose_vertices(patch, neutral_vertices(patch, torch.from_numpy(shape)), pose)
    lips = landmarks_on(patch, vertices)[:, list(LIPS)].numpy()  # [P + 1, 40, 3]
    effect = (lips[1:] - lips[0]) / _STEP
    rest = lips[0] - np.einsum("p,plc->lc", at, effect)
    return Lips(rest.astype(np.float32), effect.astype(np.float32))


def measure_mouth(lips: Lips, coefficients: F32, is_pause: NDArray[np.bool_]) -> Mouth:
    """Range, closed shape, shape in pauses and lip gaps of the frames shown.

    Args:
        lips: The subject's lips.
        coefficients: Of the frames shown. [T, P]
        is_pause: Frames in which nothing is said. [T]
    """
    upper = [LIPS.index(pair[0]) for pair in INNER_LIP_PAIRS]
    lower = [LIPS.index(pair[1]) for pair in INNER_LIP_PAIRS]
    gaps = lips.rest[upper, 1] - lips.rest[lower, 1]  # y is up
    is_mouth = moves_lips(lips.effect)
    gap_effect = (lips.effect[:, upper, 1] - lips.effect[:, lower, 1]) * is_mouth[:, None]
    low, high = np.percentile(coefficients, _RANGE_PERCENT, axis=0).astype(np.float32)
    opening = np.asarray(gaps + coefficients @ gap_effect).mean(axis=1)
    is_closed = opening <= np.percentile(opening, _CLOSED_PERCENT)
    mouth = Mouth(
        is_mouth=is_mouth,
        mean=coefficients.mean(axis=0),
        low=low,
        high=high,
        closed=coefficients[is_closed].mean(axis=0),
        pause=coefficients.mean(axis=0),
        gaps=gaps,
        gap_effect=gap_effect,
    )
    closed = _uncrossed(mouth, coefficients.std(axis=0))
    # Someone who never pauses is taken to rest half-way to the closed mouth.
    pause = (mouth.mean + closed) / 2
    if is_pause.sum() >= _MIN_PAUSE_FRAMES:
        pause = coefficients[is_pause].mean(axis=0)
    return mouth._replace(
        low=np.minimum(low, closed), high=np.maximum(high, closed), closed=closed, pause=pause
    )


def moves_lips(lip_effect: F32) -> NDArray[np.bool_]:
    """Which coefficients belong to the mouth. [P, L, 3] -> [P]"""
    reach = np.linalg.norm(lip_effect, axis=2).mean(axis=1)
    return np.asarray(reach > _MOVES_LIPS * reach.max())


def limit_mouth(mouth: Mouth, coefficients: F32) -> F32:
    """Keep coefficients in the range shown, and lips from crossing by drawing them together.

    Gaps are linear and none is negative on the closed mouth, so on the way from a crossed
    shape to the closed one there is a place from where on no lip is crossed. [T, P] -> [T, P]
    """
    kept = np.clip(coefficients, mouth.low, mouth.high)
    lowest = np.minimum(lip_gaps(mouth, mouth.closed), _LOWEST_GAP)
    room = lip_gaps(mouth, mouth.closed) - lowest  # [Q] not negative
    needed = lip_gaps(mouth, mouth.closed) - lip_gaps(mouth, kept)  # [T, Q]
    share = np.where(needed > room, room / np.where(needed > room, needed, 1.0), 1.0)
    drawn = mouth.closed + share.min(axis=1, keepdims=True) * (kept - mouth.closed)
    return np.where(mouth.is_mouth, drawn, kept).astype(np.float32)


def lip_gaps(mouth: Mouth, coefficients: F32) -> F32:
    """Height between partners of the inner lips, negative when crossed. [..., P] -> [..., Q] m"""
    return np.asarray(mouth.gaps + coefficients @ mouth.gap_effect)


def mouth_openings(mouth: Mouth, coefficients: F32) -> F32:
    """Mean height between the inner lips. [T, P] -> [T] m"""
    return np.asarray(lip_gaps(mouth, coefficients).mean(axis=-1))


def write_mouth(folder: Path, mouth: Mouth) -> None:
    """Store in a motion model's folder."""
    write_arrays(folder / MOUTH_FILE, mouth._asdict(), MOUTH_TABLE)


def read_mouth(folder: Path) -> Mouth:
    """Read what ``write_mouth`` wrote."""
    arrays = read_arrays(folder / MOUTH_FILE, MOUTH_TABLE)
    is_mouth = arrays.pop("is_mouth").astype(np.bool_)
    floats = {name: value.astype(np.float32) for name, value in arrays.items()}
    return Mouth(is_mouth=is_mouth, **floats)


def _uncrossed(mouth: Mouth, deviation: F32) -> F32:
    """The closed shape, moved as little as it takes (in deviations) to uncross its lips."""
    closed = mouth.closed.astype(np.float64)
    for _ in range(_UNCROSSING_ROUNDS):
        gaps = lip_gaps(mouth, closed.astype(np.float32))
        worst = int(gaps.argmin())
        if gaps[worst] >= _LOWEST_GAP:
            break
        way = mouth.gap_effect[:, worst] * deviation**2
        gain = float(way @ mouth.gap_effect[:, worst])
        if gain <= 0:
            break  # Nothing that moved can open this pair.
        closed += way * (_LOWEST_GAP - gaps[worst] + 1e-6) / gain
    return closed.astype(np.float32)
