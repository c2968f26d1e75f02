"""Bundle adjustment of head poses to points that optical flow follows (SyncTalk, section 3.3).

Points are fixed to the head; first they alone are found, then they and all poses. The source takes
500 and 8,000 steps of Adam; here each of the two is a Gauss-Newton step while the other is held,
with Gaussian priors at what was tracked, and the poses take the course of a head. Arrays are
float64; T frames, M points.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from services.preprocess.pose_smoothing import smooth_informed

Floats = NDArray[np.float64]

N_POINT_ROUNDS = 3
N_ROUNDS = 8
NOISE_PX = 0.4
"""Error of the flow; larger ones count less (Cauchy)."""
POINT_SIGMA_M = 3e-3
"""How far the mesh may be from the head."""
POSE_SIGMA = (0.03, 0.03, 0.03, 3e-3, 3e-3, 1e-2)
"""How far tracking may be from the head: rad, then m; depth is known least."""
N_ALIKE = 10.0
"""Neighbouring points share their errors: so many tell as much as one alone would."""
SWAY = (0.0025, 0.0025, 0.0025, 0.0004, 0.0004, 0.0006)
"""Second difference of a head's true course from frame to frame: rad and m, as in tracking."""
BLOCK = 128
"""Frames whose derivatives are held at once."""


class HeadPoses(NamedTuple):
    """Where the head is: point x of the head lies at turn x + place in the world."""

    turn: Floats  # [T, 3, 3]
    place: Floats  # [T, 3] m, of the origin


class Followed(NamedTuple):
    """Points as flow saw them."""

    pixels: Floats  # [T, M, 2]
    Ks: Floats  # [T, 3, 3]
    viewmat: Floats  # [4, 4]


def adjust_poses(
    seen: Followed, tracked: HeadPoses, points: Floats, is_valid: NDArray[np.bool_], n_train: int
) -> tuple[HeadPoses, Floats]:
    """Poses that agree with the flow, and each frame's error.

    Args:
        seen: Points in all frames.
        tracked: Where they are without flow.
        points: On the head. [M, 3] m
        is_valid: Frames that count. [T]
        n_train: The first frames; points are found by these alone.

    Returns:
        Poses, and the median distance of a frame's points to the flow, px. [T]
    """
    # About the points' middle turn and place say different things.
    middle = points.mean(0)
    mesh = points = points - middle
    tracked = tracked._replace(place=tracked.place + tracked.turn @ middle)
    shown = np.flatnonzero(is_valid[:n_train])
    known = seen._replace(pixels=seen.pixels[shown], Ks=seen.Ks[shown])
    for _ in range(N_POINT_ROUNDS):
        points = points + _point_step(known, _rows(tracked, shown), points, mesh)
    poses = tracked
    for _ in range(N_ROUNDS):
        poses, information = _pose_step(seen, poses, points, tracked)
        points = points + _point_step(known, _rows(poses, shown), points, mesh)
    away = np.median(np.linalg.norm(seen.pixels - project(seen, poses, points), axis=-1), axis=1)
    poses = _steady(poses, information * is_valid[:, None, None], n_train)
    return poses._replace(place=poses.place - poses.turn @ middle), away


def _steady(poses: HeadPoses, information: Floats, n_train: int) -> HeadPoses:
    """What flow hardly knows follows its neighbours in time, on each side of the split."""
    course = np.concatenate([Rotation.from_matrix(poses.turn).as_rotvec(), poses.place], 1)
    parts = (slice(0, n_train), slice(n_train, len(course)))
    steady = np.concatenate(
        [smooth_informed(course[part], information[part], np.array(SWAY)) for part in parts]
    )
    return HeadPoses(Rotation.from_rotvec(steady[:, :3]).as_matrix(), steady[:, 3:])


def project(seen: Followed, poses: HeadPoses, points: Floats) -> Floats:
    """Pixels of the points. [T, M, 2]"""
    at = _camera_points(seen, poses, points)
    pixels: Floats = at[..., :2] / at[..., 2:] * _focal(seen) + seen.Ks[:, None, :2, 2]
    return pixels


def _focal(seen: Followed) -> Floats:
    return np.stack([seen.Ks[:, 0, 0], seen.Ks[:, 1, 1]], 1)[:, None]  # [T, 1, 2]


def _camera_points(seen: Followed, poses: HeadPoses, points: Floats) -> Floats:
    world = points @ poses.turn.transpose(0, 2, 1) + poses.place[:, None]
    at: Floats = world @ seen.viewmat[:3, :3].T + seen.viewmat[:3, 3]
    return at


def _by_world(seen: Followed, poses: HeadPoses, points: Floats) -> tuple[Floats, Floats, Floats]:
    """Errors [T, M, 2], weights [T, M], derivatives by the world point [T, M, 2, 3]."""
    at = _camera_points(seen, poses, points)
    focal = _focal(seen)
    error = seen.pixels - (at[..., :2] / at[..., 2:] * focal + seen.Ks[:, None, :2, 2])
    slope = np.zeros((*at.shape[:2], 2, 3))
    slope[..., 0, 0] = focal[..., 0] / at[..., 2]
    slope[..., 1, 1] = focal[..., 1] / at[..., 2]
    slope[..., 2] = -focal * at[..., :2] / at[..., 2:] ** 2
    weights = 1 / (NOISE_PX**2 + np.square(error).sum(-1)) / N_ALIKE
    return error, weights, slope @ seen.viewmat[:3, :3]


def _pose_step(
    seen: Followed, poses: HeadPoses, points: Floats, tracked: HeadPoses
) -> tuple[HeadPoses, Floats]:
    """One step of every frame, and how well each is known. [T, 6, 6]"""
    parts = [
        _pose_block(_block(seen, rows), _rows(poses, rows), points, _rows(tracked, rows))
        for rows in _blocks(len(poses.place))
    ]
    turn, place, information = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return HeadPoses(turn, place), information


def _pose_block(
    seen: Followed, poses: HeadPoses, points: Floats, tracked: HeadPoses
) -> tuple[Floats, Floats, Floats]:
    error, weights, by_world = _by_world(seen, poses, points)
    turned = points @ poses.turn.transpose(0, 2, 1)  # [T, M, 3]
    by_turn = by_world @ -_cross(turned)
    slope = np.concatenate([by_turn, by_world], -1)  # [T, M, 2, 6]
    weighted = slope * weights[..., None, None]
    precision = np.diag(np.asarray(POSE_SIGMA) ** -2.0)
    normal = np.einsum("tmki,tmkj->tij", weighted, slope) + precision
    so_far = np.concatenate(
        [
            Rotation.from_matrix(poses.turn @ tracked.turn.transpose(0, 2, 1)).as_rotvec(),
            poses.place - tracked.place,
        ],
        1,
    )
    right = np.einsum("tmki,tmk->ti", weighted, error) - so_far @ precision
    step = np.linalg.solve(normal, right[..., None])[..., 0]
    turn = Rotation.from_rotvec(step[:, :3]).as_matrix() @ poses.turn
    return turn, poses.place + step[:, 3:], normal


def _point_step(seen: Followed, poses: HeadPoses, points: Floats, mesh: Floats) -> Floats:
    """What to add to each point. [M, 3]"""
    normal = np.tile(np.eye(3) / POINT_SIGMA_M**2, (len(points), 1, 1))
    right = (mesh - points) / POINT_SIGMA_M**2
    for rows in _blocks(len(poses.place)):
        part = _rows(poses, rows)
        error, weights, by_world = _by_world(_block(seen, rows), part, points)
        slope = by_world @ part.turn[:, None]
        weighted = slope * weights[..., None, None]
        normal += np.einsum("tmki,tmkj->mij", weighted, slope)
        right += np.einsum("tmki,tmk->mi", weighted, error)
    step: Floats = np.linalg.solve(normal, right[..., None])[..., 0]
    return step


def _blocks(n_frames: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, n_frames, BLOCK)]


def _rows(poses: HeadPoses, rows: slice | NDArray[np.int64]) -> HeadPoses:
    return HeadPoses(poses.turn[rows], poses.place[rows])


def _block(seen: Followed, rows: slice) -> Followed:
    return seen._replace(pixels=seen.pixels[rows], Ks=seen.Ks[rows])


def _cross(vectors: Floats) -> Floats:
    """Matrices whose product with w is v x w. [..., 3] -> [..., 3, 3]"""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return np.stack([np.stack(row, -1) for row in rows], -2)
