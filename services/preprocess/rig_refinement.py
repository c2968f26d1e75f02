"""Example-based rigging: the expression units bent towards one person's landmarks.

After Li, Weise and Pauly, "Example-based facial rigging" (2010): with poses and coefficients
held, each face vertex's displacements are a ridge regression of what the tracked frames show
onto the coefficients, drawn towards the units as built.
"""

import numpy as np
from numpy.typing import NDArray

from services.preprocess.face_bundle import (
    Camera,
    Evidence,
    FaceRig,
    Floats,
    FrameStates,
    linear_response,
)

STRENGTH = 12.0
"""Weight of the prior; above one because neighbouring frames repeat each other."""
CHUNK = 64
"""Face vertices solved at once."""


def refine_units(
    rig: FaceRig,
    camera: Camera,
    evidence: Evidence,
    states: FrameStates,
    *,
    shape: Floats,
    spread_m: float,
    rigid: NDArray[np.int64],
) -> FaceRig:
    """The rig with units that explain these frames' landmarks better.

    Args:
        rig: Rig with the units as they are.
        camera: The camera.
        evidence: Landmarks of training frames.
        states: Their tracked states.
        shape: The person's coefficients.
        spread_m: How far a person's unit may be expected to differ from the built one, per axis.
        rigid: Vertices that expression hardly moves; what turns, shifts or scales them all is
            head pose and is taken out of the units.
    """
    residual, by_rest = linear_response(rig, camera, evidence, shape, states)
    n_units, n_points = rig.expr_basis.shape[:2]
    outer = (states.expr[:, :, None] * states.expr[:, None]).reshape(len(states.expr), -1)
    prior = STRENGTH / spread_m**2 * np.eye(3 * n_units)
    change = np.zeros((n_points, n_units, 3))
    for start in range(0, n_points, CHUNK):
        response = by_rest[:, start : start + CHUNK]  # [T, n, 3, 3]
        size = response.shape[1]
        information = np.swapaxes(response, 2, 3) @ response
        normal = (outer.T @ information.reshape(len(outer), -1)).reshape(
            n_units, n_units, size, 3, 3
        )
        normal = np.transpose(normal, (2, 0, 3, 1, 4)).reshape(size, 3 * n_units, 3 * n_units)
        pull = np.swapaxes(response, 2, 3) @ residual[:, start : start + CHUNK, :, None]
        right = np.tensordot(states.expr, pull[..., 0], axes=(0, 0))  # [E, n, 3]
        right = np.swapaxes(right, 0, 1).reshape(size, 3 * n_units, 1)
        change[start : start + size] = np.linalg.solve(normal + prior, right).reshape(
            size, n_units, 3
        )
    change = np.swapaxes(change, 0, 1)  # [E, N, 3]
    rest = rig.rest + np.tensordot(shape, rig.shape_basis, axes=1)
    return rig._replace(expr_basis=rig.expr_basis + _without_motion(change, rest, rigid))


def refine_rest(
    rig: FaceRig,
    camera: Camera,
    evidence: Evidence,
    states: FrameStates,
    *,
    shape: Floats,
    spread_m: float,
    rigid: NDArray[np.int64],
) -> FaceRig:
    """The rig whose rest face has what all frames show beside the shape basis.

    Args:
        rig: Rig with the rest face as it is.
        camera: The camera.
        evidence: Landmarks of training frames.
        states: Their tracked states.
        shape: The person's coefficients.
        spread_m: How far the rest face may be expected to differ, per axis.
        rigid: As for ``refine_units``.
    """
    residual, by_rest = linear_response(rig, camera, evidence, shape, states)
    pull = (np.swapaxes(by_rest, 2, 3) @ residual[..., None])[..., 0].sum(0)  # [N, 3]
    normal = (np.swapaxes(by_rest, 2, 3) @ by_rest).sum(0)  # [N, 3, 3]
    offset = np.linalg.solve(normal + STRENGTH / spread_m**2 * np.eye(3), pull[..., None])[..., 0]
    rest = rig.rest + np.tensordot(shape, rig.shape_basis, axes=1)
    return rig._replace(rest=rig.rest + _without_motion(offset[None], rest, rigid)[0])


def _without_motion(change: Floats, rest: Floats, rigid: NDArray[np.int64]) -> Floats:
    """Fields less the shift, turn and scaling that fits them best on the rigid vertices."""
    centred = rest - rest[rigid].mean(0)
    motions = [np.broadcast_to(axis, rest.shape) for axis in np.eye(3)]
    motions += [np.cross(axis, centred) for axis in np.eye(3)]
    motions.append(centred)
    motion = np.stack(motions)  # [7, N, 3]
    on_rigid = motion[:, rigid].reshape(len(motion), -1)
    amounts = np.linalg.lstsq(on_rigid.T, change[:, rigid].reshape(len(change), -1).T, rcond=None)
    return change - np.tensordot(amounts[0].T, motion, axes=1)
