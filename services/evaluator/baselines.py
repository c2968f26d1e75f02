"""Trivial answers that a lip score must beat, from the same run.

``mean_mouth``: the mean training mouth carried by the held-out head pose; beating it is what
speech is for. ``still``: the first frame's mouth throughout. ``late``: the truth, one frame late.
"""

import numpy as np
from numpy.typing import NDArray

from services.evaluator.metric import FaceTrack, at_standard_height
from shared.landmarks import LIPS

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

UPPER_FACE = (
    10, 338, 297, 332, 284, 251, 389, 109, 67, 103, 54, 21, 162, 151, 9, 8, 168, 6, 197, 195, 5, 4,
    1, 33, 133, 362, 263,
)  # fmt: skip
"""Landmarks that carry the mouth: forehead, bridge of the nose, eye corners."""


def lip_distance(preds: F32, target: F32) -> F64:
    """Mean distance of lips, each set centred on its mean. [T, 40, 2] twice -> [T]"""
    a = preds - preds.mean(axis=1, keepdims=True)
    b = target - target.mean(axis=1, keepdims=True)
    return np.asarray(np.linalg.norm(a - b, axis=-1).mean(axis=-1), dtype=np.float64)


def lips_of(landmarks: F32) -> F32:
    """The 40 lip landmarks in the image plane. [T, 478, 3] -> [T, 40, 2]"""
    return landmarks[:, LIPS, :2]


def lip_baselines(reference: F32, training: FaceTrack | None, is_compared: F64) -> dict[str, float]:
    """LMD of the trivial answers.

    Args:
        reference: The capture's landmarks at ``STANDARD_HEIGHT``. [T, 478, 3]
        training: The capture's training frames; None leaves ``mean_mouth`` out.
        is_compared: Whether the score itself uses the frame, so that all use the same. [T]

    Returns:
        By name, in pixels.
    """
    target = lips_of(reference)
    found = target[np.isfinite(target).all(axis=(1, 2))]
    if len(found) < 2:  # noqa: PLR2004 - "late" needs a frame before
        return {}
    late = np.concatenate([target[:1], target[:-1]])
    answers = {"still": np.broadcast_to(found[0], target.shape), "late": late}
    if training is not None:
        answers["mean_mouth"] = carry_mean_mouth(training, reference)
    use = np.asarray(is_compared, dtype=bool)
    figures = {name: lip_distance(lips, target)[use] for name, lips in answers.items()}
    figures["late"] = figures["late"][1:]
    return {name: float(np.nanmean(each)) for name, each in figures.items() if each.size}


def carry_mean_mouth(training: FaceTrack, reference: F32) -> F32:
    """The mean training mouth in each reference frame's head pose.

    The pose is the similarity transform (turn, size, place in the image) of the upper face, which
    speech does not move. -> [T, 40, 2]
    """
    seen = at_standard_height(training)[..., :2]
    seen = seen[np.isfinite(seen).all(axis=(1, 2))].astype(np.float64)
    if not len(seen):
        return np.full((len(reference), len(LIPS), 2), np.nan, np.float32)
    upper = seen[:, UPPER_FACE].mean(axis=0)
    turns, places = similarity(seen[:, UPPER_FACE], upper[None])
    lips = seen[:, LIPS] @ turns.transpose(0, 2, 1) + places[:, None]  # [T, 40, 2]
    mean_lips = lips.mean(axis=0)
    faces = reference[:, UPPER_FACE, :2].astype(np.float64)
    carried = np.full((len(reference), len(LIPS), 2), np.nan)
    is_found = np.isfinite(faces).all(axis=(1, 2))
    turns, places = similarity(np.broadcast_to(upper, faces[is_found].shape), faces[is_found])
    carried[is_found] = mean_lips @ turns.transpose(0, 2, 1) + places[:, None]
    return carried.astype(np.float32)


def similarity(source: F64, target: F64) -> tuple[F64, F64]:
    """Best turn with scale, and shift, of 2D points: target = A source + b (least squares).

    In the complex plane this is one division. [T, P, 2] twice -> [T, 2, 2], [T, 2]
    """
    source, target = np.broadcast_arrays(source, target)
    mean_s, mean_t = source.mean(axis=1), target.mean(axis=1)
    s = (source - mean_s[:, None]) @ np.array([1, 1j])  # [T, P]
    t = (target - mean_t[:, None]) @ np.array([1, 1j])
    factor = (s.conj() * t).sum(axis=1) / np.maximum((s.conj() * s).sum(axis=1).real, 1e-12)
    a, b = factor.real, factor.imag
    turn = np.stack([np.stack([a, -b], -1), np.stack([b, a], -1)], -2)  # [T, 2, 2]
    return turn, mean_t - np.einsum("tij,tj->ti", turn, mean_s)
