"""Another face's motion on this face: its displacements, in this subject's size, within its range.

A mesh, or the expression of another head model, is turned into this head model's coefficients
by least squares with a pull towards the subject's mean, weighted by how far each coefficient was
seen to move. Then coefficients are kept within what the avatar saw and lips are uncrossed, so that
no Gaussian is pulled where training never put it: the fault of mesh-driven systems, whose lips
break where the driver's displacements are no mouth of this subject's. Jaw and teeth follow the jaw
joint, because they are the target's own.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.audio2motion.mouth import Mouth, limit_mouth, measure_lips, measure_mouth
from services.audio2motion.tracks import coefficients_of, motion_tracks
from shared.contracts.artifact import read_arrays
from shared.contracts.avatar import TRAINING_TABLE
from shared.errors import InvalidInput
from shared.head_model import (
    HeadModel,
    HeadPose,
    landmark_patch,
    landmarks_on,
    load_head_model,
    neutral_vertices,
    pose_vertices,
)
from shared.landmarks import EYE_CORNERS, N_LANDMARKS

F32 = NDArray[np.float32]

_PULL = 0.02
"""Variance of the displacements that no coefficient explains, to that the subject's own make."""
_STEP = 0.05
_PART = 200
"""Frames whose meshes are held at once."""
_LEAST_SPREAD = 0.02
"""Of a coefficient that the avatar never moved, to the one that it moved most."""


class TargetFace(NamedTuple):
    """Who shall make the motion."""

    model: HeadModel
    shape: F32  # [K]
    mouth: Mouth
    """Range, closed shape and lips of the avatar's training frames."""
    mean: F32  # [P] of the training frames
    spread: F32  # [P] their deviations


def target_face(avatar: Path) -> TargetFace:
    """The face of an avatar, from its training frames.

    Raises:
        InvalidInput: ``bad_arrays``.
    """
    arrays = read_arrays(avatar / "tracking.npz", TRAINING_TABLE)
    shape = arrays["shape"].astype(np.float32)
    seen = coefficients_of(motion_tracks(arrays))
    return face_of(load_head_model(avatar / "head_model.npz"), shape, seen)


def face_of(model: HeadModel, shape: F32, seen: F32) -> TargetFace:
    """The same from the coefficients that were seen. [T, P]"""
    mean = seen.mean(axis=0)
    lips = measure_lips(model, shape, mean)
    mouth = measure_mouth(lips, seen, np.zeros(len(seen), np.bool_))
    return TargetFace(model, shape, mouth, mean, seen.std(axis=0))


def retarget_vertices(vertices: F32, neutral: F32, target: TargetFace) -> F32:
    """Coefficients by which ``target`` does what a mesh of its own topology does.

    Args:
        vertices: The driver's mesh, head still; FLAME's without teeth will do. [T, V, 3]
        neutral: The driver's closed mouth and calm face. [V, 3]
        target: Its first V vertices are the driver's.

    Returns:
        Expression, jaw pose, eyes pose within the range the avatar saw. [T, P]

    Raises:
        InvalidInput: ``mesh_mismatch``.
    """
    n_vertices = len(neutral)
    _check_topology(vertices, neutral, target)
    own = neutral_vertices(target.model, torch.from_numpy(target.shape)).numpy()
    scale = _size_ratio(target.model, neutral, own)
    moved = _is_face(target.model)[:n_vertices]
    effect = _effect(target, np.flatnonzero(moved), on_landmarks=False)
    solver = _solver(effect, target)
    parts = [
        _solve(solver, scale * (vertices[a : a + _PART] - neutral)[:, moved], target)
        for a in range(0, len(vertices), _PART)
    ]
    return limit_face(np.concatenate(parts), target)


def retarget_coefficients(coefficients: F32, source: TargetFace, target: TargetFace) -> F32:
    """The same from another face's coefficients, of whatever head model. [T, Q] -> [T, P]

    The faces meet at MediaPipe's landmarks, which every head model has.
    """
    driver = _landmarks(source.model, source.shape, coefficients)
    still = np.zeros((1, coefficients.shape[1]), np.float32)
    neutral = _landmarks(source.model, source.shape, still)[0]
    rest = np.zeros((1, len(target.mean)), np.float32)
    own = _landmarks(target.model, target.shape, rest)[0]
    scale = _eyes_apart(own) / max(_eyes_apart(neutral), 1e-6)
    solver = _solver(_effect(target, np.arange(N_LANDMARKS), on_landmarks=True), target)
    return limit_face(_solve(solver, scale * (driver - neutral), target), target)


def carry_vertices(vertices: F32, neutral: F32, target: TargetFace) -> F32:
    """The driver's displacements on the target's mesh as they are, teeth completed.

    The upper teeth stay, the lower ones (vertices beyond the driver's that the jaw carries) follow
    the best rigid motion of the jaw's vertices. [T, V, 3], [V, 3] -> [T, V', 3]
    """
    _check_topology(vertices, neutral, target)
    own = neutral_vertices(target.model, torch.from_numpy(target.shape)).numpy()
    n_vertices = len(neutral)
    scale = _size_ratio(target.model, neutral, own)
    carried = np.repeat(own[None], len(vertices), axis=0)
    carried[:, :n_vertices] += scale * (vertices - neutral)
    jaw = target.model.weights[:, 2].numpy()
    bone = np.flatnonzero(jaw[:n_vertices] > 0.9 * jaw[:n_vertices].max())
    lower = n_vertices + np.flatnonzero(jaw[n_vertices:] > 0.5)  # noqa: PLR2004 - half is the jaw's
    for frame in carried:
        turn, shift = _rigid(own[bone], frame[bone])
        frame[lower] = own[lower] @ turn.T + shift
    return carried.astype(np.float32)


def limit_face(coefficients: F32, target: TargetFace) -> F32:
    """Within what the avatar saw, lips uncrossed. [T, P]"""
    return limit_mouth(target.mouth, coefficients.astype(np.float32))


def _landmarks(model: HeadModel, shape: F32, coefficients: F32) -> F32:
    """Landmarks of a head that holds still. [T, P] -> [T, 478, 3] m"""
    patch, _ = landmark_patch(model)
    neutral = neutral_vertices(patch, torch.from_numpy(shape))
    return np.asarray(
        landmarks_on(patch, pose_vertices(patch, neutral, _still_pose(coefficients))).numpy()
    )


def _still_pose(coefficients: F32) -> HeadPose:
    values = torch.from_numpy(coefficients.astype(np.float32))
    still = torch.zeros(len(values), 3)
    return HeadPose(values[:, :-9], still, still, values[:, -9:-6], values[:, -6:], still)


def _effect(target: TargetFace, points: NDArray[np.int64], *, on_landmarks: bool) -> F32:
    """Metres that points move per unit of a coefficient. [P, N, 3]"""
    n_coefficients = len(target.mean)
    model = target.model
    columns = []
    for place in range(-1, n_coefficients):
        stepped = np.zeros((1, n_coefficients), np.float32)
        if place >= 0:
            stepped[0, place] = _STEP
        if on_landmarks:
            columns.append(_landmarks(model, target.shape, stepped)[0, points])
        else:
            neutral = neutral_vertices(model, torch.from_numpy(target.shape))
            posed: Tensor = pose_vertices(model, neutral, _still_pose(stepped))
            columns.append(posed[0].numpy()[points])
    return np.asarray((np.stack(columns[1:]) - columns[0]) / _STEP, np.float32)


class _Solver(NamedTuple):
    """Displacements to coefficients, one product a frame."""

    weights: NDArray[np.float64]  # [P, 3 N]
    effect: NDArray[np.float64]  # [P, 3 N]


def _solver(effect: F32, target: TargetFace) -> _Solver:
    """Least squares with a prior about the subject's mean."""
    flat = effect.reshape(len(effect), -1).astype(np.float64)
    spread = np.maximum(target.spread, _LEAST_SPREAD * target.spread.max()).astype(np.float64)
    own = np.square(flat * spread[:, None]).sum()
    normal = flat @ flat.T + np.diag(_PULL * own / len(flat) / np.maximum(spread, 1e-9) ** 2)
    return _Solver(np.linalg.solve(normal, flat), flat)


def _solve(solver: _Solver, displacements: F32, target: TargetFace) -> F32:
    """[T, N, 3] -> [T, P]"""
    mean = target.mean.astype(np.float64)
    beyond = displacements.reshape(len(displacements), -1) - mean @ solver.effect
    return np.asarray(mean + beyond @ solver.weights.T, np.float32)


def _is_face(model: HeadModel) -> NDArray[np.bool_]:
    """Vertices that expression or jaw move: scalp, neck and eyeballs tell nothing."""
    moved = model.expr_basis.norm(dim=2).amax(0) > 1e-5  # noqa: PLR2004 - a hundredth of a millimetre
    return np.asarray((moved | (model.weights[:, 2] > 0.01)).numpy())  # noqa: PLR2004


def _check_topology(vertices: F32, neutral: F32, target: TargetFace) -> None:
    n_known = len(target.model.template)
    if vertices.shape[1:] != neutral.shape or neutral.shape[1:] != (3,) or len(neutral) > n_known:
        raise InvalidInput(
            "mesh_mismatch",
            f"the driver's mesh is {list(vertices.shape)} about {list(neutral.shape)}, "
            f"the avatar's head model has {n_known} vertices; drive it with a mesh of that "
            "topology (FLAME's 5023 for --head-model flame), or with coefficients",
        )


def _size_ratio(model: HeadModel, neutral: F32, own: F32) -> float:
    """The target's distance between the outer eye corners over the driver's."""
    corners = [int(model.landmark_vertices[EYE_CORNERS[place]]) for place in (0, 3)]
    apart = [float(np.linalg.norm(mesh[corners[0]] - mesh[corners[1]])) for mesh in (own, neutral)]
    return apart[0] / max(apart[1], 1e-6)


def _eyes_apart(points: F32) -> float:
    return float(np.linalg.norm(points[EYE_CORNERS[0]] - points[EYE_CORNERS[3]]))


def _rigid(source: F32, moved: F32) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Best rotation and shift (Kabsch 1976). [N, 3] twice -> [3, 3], [3]"""
    a, b = source.mean(axis=0), moved.mean(axis=0)
    left, _, right = np.linalg.svd((source - a).T.astype(np.float64) @ (moved - b))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(right.T @ left.T))])
    turn = right.T @ flip @ left.T
    return turn, b - turn @ a
