"""Bundle adjustment of the face to landmarks: one person, one camera, many frames.

The 468 face landmarks are predicted by the head model (rest face + expression, jaw, head pose,
perspective camera) and compared in pixels, with MediaPipe's weak relative depth as a third,
lightly weighted number. Gauss-Newton with Gaussian priors, all frames of a block at once.
Arrays are float64; T frames, N landmarks, K shape and E expression coefficients.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Floats = NDArray[np.float64]

N_POSE = 6
N_JAW = 2
BLOCK = 32
"""Frames whose Jacobians are held at once: about 20 MB."""
JAW_SIGMA = (0.15, 0.04)
"""Spread of the jaw's opening and of its sideways turn, rad."""
MIN_LOG_DEPTH = -1.6
"""No face comes nearer to the camera than 0.2 m."""


class FaceRig(NamedTuple):
    """The face part of a head model, of one subject or of the mean person."""

    rest: Floats  # [N, 3] m
    shape_basis: Floats  # [K, N, 3]
    expr_basis: Floats  # [E, N, 3]
    jaw_weights: Floats  # [N]
    root: Floats  # [3] joint that the head turns about
    jaw: Floats  # [3] joint
    jaw_correctives: Floats | None = None  # [9, N, 3] m per entry of the jaw's R - I
    lowest_jaw: float = -0.6  # rad


class Camera(NamedTuple):
    """One camera in front of the head, at (0, 0, distance), for a square picture."""

    focal: float  # px
    distance: float  # m
    image_size: int  # px


class FrameStates(NamedTuple):
    """What varies from frame to frame."""

    turn: Floats  # [T, 3, 3] head rotation
    shift: Floats  # [T, 3] translation, m
    jaw: Floats  # [T, 2] about x and y, rad
    expr: Floats  # [T, E]


class Evidence(NamedTuple):
    """Landmarks and how far each is trusted."""

    landmarks: Floats  # [T, N, 3] px, depth relative
    sigma: Floats  # [N, 3] px; the depth's is equal for all landmarks


class _Linearised(NamedTuple):
    residual: Floats  # [t, 3N] whitened, observed minus predicted
    by_frame: Floats  # [t, 3N, P] d predicted / d (pose, jaw, expr), whitened
    by_rest: Floats  # [t, N, 3, 3] d predicted / d rest vertex, whitened
    by_focal: Floats  # [t, 3N] d predicted / d log focal, whitened


def predict(rig: FaceRig, camera: Camera, shape: Floats, states: FrameStates) -> Floats:
    """Landmarks in pixels and depth from the camera in metres. [T, N, 3]"""
    camera_points = _camera_points(rig, camera, _rest(rig, shape), states)[0]
    depth = camera_points[..., 2:]
    pixels = camera.focal * camera_points[..., :2] / depth + camera.image_size / 2
    return np.concatenate([pixels, depth], axis=-1)


def initial_states(
    rig: FaceRig, camera: Camera, evidence: Evidence, rigid: NDArray[np.int64]
) -> FrameStates:
    """Head pose from a scaled rigid alignment of each frame's landmarks; the rest zero."""
    points = evidence.landmarks[:, rigid] * [1, -1, -1]  # head axes, px
    model = rig.rest[rigid]
    spread = model - model.mean(0)
    middle = points.mean(1, keepdims=True)
    left, scales, right = np.linalg.svd(np.einsum("tni,nj->tij", points - middle, spread))
    flip = np.ones((len(points), 3))
    flip[:, 2] = np.sign(np.linalg.det(left @ right))
    turn = (left * flip[:, None]) @ right
    pixels_per_metre = (scales * flip).sum(1) / (spread**2).sum()
    depth = camera.focal / pixels_per_metre
    offset = (middle[:, 0, :2] - camera.image_size / 2 * np.array([1, -1])) / pixels_per_metre[
        :, None
    ]
    place = np.concatenate([offset, (camera.distance - depth)[:, None]], axis=1)
    shift = place - np.einsum("tij,j->ti", turn, model.mean(0) - rig.root) - rig.root
    n_frames = len(points)
    return FrameStates(
        turn, shift, np.zeros((n_frames, N_JAW)), np.zeros((n_frames, len(rig.expr_basis)))
    )


def track_frames(
    rig: FaceRig,
    camera: Camera,
    evidence: Evidence,
    states: FrameStates,
    *,
    shape: Floats,
    n_rounds: int,
    is_pose_fixed: bool = False,
) -> FrameStates:
    """Each frame's own numbers, with person and camera given."""
    rest = _rest(rig, shape)
    blocks = []
    for start in range(0, len(states.turn), BLOCK):
        block = FrameStates(*[value[start : start + BLOCK] for value in states])
        seen = Evidence(evidence.landmarks[start : start + BLOCK], evidence.sigma)
        for _ in range(n_rounds):
            linear = _linearise(rig, camera, seen, rest, block)
            normal, right = _frame_normals(linear, block)
            if is_pose_fixed:
                normal[:, :N_POSE] = 0
                normal[:, :, :N_POSE] = 0
                normal[:, range(N_POSE), range(N_POSE)] = 1
                right[:, :N_POSE] = 0
            block = _moved(rig, block, np.linalg.solve(normal, right[..., None])[..., 0])
        blocks.append(block)
    return FrameStates(*[np.concatenate(values) for values in zip(*blocks, strict=True)])


def adjust_person(
    rig: FaceRig,
    camera: Camera,
    evidence: Evidence,
    states: FrameStates,
    *,
    shape: Floats,
    shape_strength: float,
    log_focal_prior: tuple[float, float],
) -> tuple[Camera, Floats, FrameStates]:
    """One Gauss-Newton step of person, focal length and all frames together.

    The frames' own numbers are eliminated (Schur complement), so the system solved has the
    size of the person's: K shape coefficients and the focal length.

    Args:
        rig: The face with its shape basis.
        camera: Current camera.
        evidence: Landmarks of the frames.
        states: Current states.
        shape: Current coefficients. [K]
        shape_strength: Weight of the unit-sigma prior on ``shape``; above one because the
            landmark errors of neighbouring frames are alike.
        log_focal_prior: Mean and spread of the logarithm of the focal length.
    """
    n_shape = len(shape)
    rest = _rest(rig, shape)
    basis = np.moveaxis(rig.shape_basis, 0, -1)  # [N, 3, K]
    normal = np.zeros((n_shape + 1, n_shape + 1))
    right = np.zeros(n_shape + 1)
    kept: list[tuple[Floats, Floats]] = []
    for start in range(0, len(states.turn), BLOCK):
        block = FrameStates(*[value[start : start + BLOCK] for value in states])
        seen = Evidence(evidence.landmarks[start : start + BLOCK], evidence.sigma)
        linear = _linearise(rig, camera, seen, rest, block)
        frame_normal, frame_right = _frame_normals(linear, block)
        for frame in range(len(block.turn)):
            by_shape = linear.by_rest[frame] @ basis  # [N, 3, K]
            by_shape[:, 2] -= by_shape[:, 2].mean(0)
            by_shape = by_shape.reshape(-1, n_shape)
            shared = np.concatenate([by_shape, linear.by_focal[frame][:, None]], axis=1)
            cross = linear.by_frame[frame].T @ shared  # [P, K + 1]
            both = np.concatenate([cross, frame_right[frame][:, None]], axis=1)
            solved = np.linalg.solve(frame_normal[frame], both)
            normal += shared.T @ shared - cross.T @ solved[:, :-1]
            right += shared.T @ linear.residual[frame] - cross.T @ solved[:, -1]
            kept.append((solved[:, -1], solved[:, :-1]))
    mean, spread = log_focal_prior
    strength = np.full(n_shape + 1, shape_strength)
    strength[-1] = shape_strength / spread**2
    current = np.append(shape, np.log(camera.focal) - mean)
    step = np.linalg.solve(normal + np.diag(strength), right - strength * current)
    step[-1] = np.clip(step[-1], -0.2, 0.2)
    moves = np.stack([own - coupling @ step for own, coupling in kept])
    focal = camera.focal * float(np.exp(step[-1]))
    return camera._replace(focal=focal), shape + step[:-1], _moved(rig, states, moves)


def linear_response(
    rig: FaceRig, camera: Camera, evidence: Evidence, shape: Floats, states: FrameStates
) -> tuple[Floats, Floats]:
    """What is left of the landmarks, and how each answers to its vertex at rest, whitened.

    Returns:
        Residuals [T, N, 3] and derivatives [T, N, 3, 3].
    """
    rest = _rest(rig, shape)
    residuals, responses = [], []
    for start in range(0, len(states.turn), BLOCK):
        block = FrameStates(*[value[start : start + BLOCK] for value in states])
        seen = Evidence(evidence.landmarks[start : start + BLOCK], evidence.sigma)
        linear = _linearise(rig, camera, seen, rest, block)
        residuals.append(linear.residual.reshape(len(block.turn), -1, 3))
        responses.append(linear.by_rest)
    return np.concatenate(residuals), np.concatenate(responses)


def _rest(rig: FaceRig, shape: Floats) -> Floats:
    return rig.rest + np.tensordot(shape, rig.shape_basis, axes=1)


def _camera_points(
    rig: FaceRig, camera: Camera, rest: Floats, states: FrameStates
) -> tuple[Floats, Floats, Floats, Floats]:
    """Vertices in camera space, and what their derivatives need.

    Returns:
        Camera points [T, N, 3]; vertices about the root, turned [T, N, 3]; about the jaw,
        opened but not turned [T, N, 3]; the jaw's rotation [T, 3, 3].
    """
    shaped = rest + np.tensordot(states.expr, rig.expr_basis, axes=1)
    opening = rotation_matrices(np.pad(states.jaw, ((0, 0), (0, 1))))
    if rig.jaw_correctives is not None:
        entries = (opening - np.eye(3)).reshape(len(opening), -1)
        shaped += np.tensordot(entries, rig.jaw_correctives, axes=1)
    hinged = (shaped - rig.jaw) @ np.swapaxes(opening, 1, 2)
    weights = rig.jaw_weights[:, None]
    local = (1 - weights) * shaped + weights * (hinged + rig.jaw)
    turned = (local - rig.root) @ np.swapaxes(states.turn, 1, 2)
    world = turned + (states.shift + rig.root)[:, None]
    points = world * [1, -1, -1] + [0, 0, camera.distance]
    points[..., 2] = np.maximum(points[..., 2], np.exp(MIN_LOG_DEPTH))
    return points, turned, hinged, opening


def _linearise(
    rig: FaceRig, camera: Camera, evidence: Evidence, rest: Floats, states: FrameStates
) -> _Linearised:
    points, turned, hinged, opening = _camera_points(rig, camera, rest, states)
    n_frames, n_points = points.shape[:2]
    inverse = 1 / points[..., 2]
    ray = points[..., :2] * inverse[..., None]
    pixels_per_metre = camera.focal / points[..., 2].mean(1, keepdims=True)  # [T, 1]
    predicted = np.concatenate(
        [
            camera.focal * ray + camera.image_size / 2,
            (pixels_per_metre * points[..., 2])[..., None],
        ],
        axis=-1,
    )
    by_world = np.zeros((n_frames, n_points, 3, 3))  # d predicted / d world point
    by_world[..., 0, 0] = camera.focal * inverse
    by_world[..., 1, 1] = -camera.focal * inverse
    by_world[..., :2, 2] = camera.focal * ray * inverse[..., None]
    by_world[..., 2, 2] = -pixels_per_metre
    whiten = 1 / evidence.sigma  # [N, 3]
    by_world *= whiten[..., None]
    weights = rig.jaw_weights[:, None, None]
    mixed = states.turn[:, None] @ ((1 - weights) * np.eye(3) + weights * opening[:, None])
    by_rest = by_world @ mixed  # [T, N, 3, 3]
    swing = rig.jaw_weights[:, None, None] * _cross_columns(hinged)[..., :N_JAW]
    n_expr = len(rig.expr_basis)
    by_frame = np.empty((n_frames, n_points, 3, N_POSE + N_JAW + n_expr))
    by_frame[..., :3] = by_world @ _cross_columns(turned)
    by_frame[..., 3:N_POSE] = by_world
    by_frame[..., N_POSE : N_POSE + N_JAW] = by_world @ (states.turn[:, None] @ swing)
    if rig.jaw_correctives is not None:
        for axis in range(N_JAW):
            turned_axes = np.cross(np.eye(3)[axis], np.swapaxes(opening, 1, 2))
            entries = np.swapaxes(turned_axes, 1, 2).reshape(n_frames, -1)
            bulge = np.tensordot(entries, rig.jaw_correctives, axes=1)  # [T, N, 3] m per rad
            by_frame[..., N_POSE + axis] += (by_rest @ bulge[..., None])[..., 0]
    # One product per landmark for all frames is several times faster than one per frame.
    stacked = by_rest.transpose(1, 0, 2, 3).reshape(n_points, 3 * n_frames, 3)
    by_expr = stacked @ np.moveaxis(rig.expr_basis, 0, -1)
    by_expr = by_expr.reshape(n_points, n_frames, 3, n_expr)
    by_frame[..., N_POSE + N_JAW :] = by_expr.transpose(1, 0, 2, 3)
    residual = (evidence.landmarks - predicted) * whiten
    # MediaPipe's depth has no origin: only differences within a face count.
    residual[..., 2] -= residual[..., 2].mean(1, keepdims=True)
    by_frame[..., 2, :] -= by_frame[..., 2, :].mean(1, keepdims=True)
    by_focal = np.zeros((n_frames, n_points, 3))
    by_focal[..., :2] = camera.focal * ray * whiten[:, :2]
    return _Linearised(
        residual.reshape(n_frames, -1),
        by_frame.reshape(n_frames, 3 * n_points, -1),
        by_rest,
        by_focal.reshape(n_frames, -1),
    )


def _frame_normals(linear: _Linearised, states: FrameStates) -> tuple[Floats, Floats]:
    """Normal equations of each frame's own numbers, priors included. [T, P, P], [T, P]"""
    transposed = np.swapaxes(linear.by_frame, 1, 2)
    normal = transposed @ linear.by_frame
    right = (transposed @ linear.residual[..., None])[..., 0]
    n_expr = states.expr.shape[1]
    strength = np.concatenate([np.full(N_POSE, 1e-9), 1 / np.square(JAW_SIGMA), np.ones(n_expr)])
    current = np.concatenate(
        [np.zeros((len(states.turn), N_POSE)), states.jaw, states.expr], axis=1
    )
    normal[:, range(len(strength)), range(len(strength))] += strength
    return normal, right - strength * current


def _moved(rig: FaceRig, states: FrameStates, step: Floats) -> FrameStates:
    """States after a step; the rotation's part acts from the left."""
    jaw = np.clip(states.jaw + step[:, N_POSE : N_POSE + N_JAW], -0.6, 0.6)
    jaw[:, 0] = np.maximum(jaw[:, 0], rig.lowest_jaw)
    return FrameStates(
        rotation_matrices(np.clip(step[:, :3], -0.5, 0.5)) @ states.turn,
        states.shift + step[:, 3:N_POSE],
        jaw,
        np.clip(states.expr + step[:, N_POSE + N_JAW :], -5, 5),
    )


def rotation_matrices(vectors: Floats) -> Floats:
    """Axis-angle vectors to matrices. [T, 3] -> [T, 3, 3]"""
    matrices: Floats = Rotation.from_rotvec(vectors).as_matrix()
    return matrices


def _cross_columns(vectors: Floats) -> Floats:
    """Matrices whose product with w is w x v. [..., 3] -> [..., 3, 3]"""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    rows = [[zero, z, -y], [-z, zero, x], [y, -x, zero]]
    return np.stack([np.stack(row, -1) for row in rows], -2)
