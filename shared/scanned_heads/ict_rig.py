"""Joints, skinning weights and jaw correctives for ICT FaceKit, which has blendshapes only.

The unit ``jawOpen`` is taken apart: the rigid motion of the lower teeth gives the jaw's joint and
its full angle; each vertex's share of that motion is its skinning weight; what linear blend
skinning leaves over becomes a pose corrective of the jaw, so that the jaw turned by the full angle
is ``jawOpen`` exactly, and turned the other way its mirror.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.head_model import N_CORRECTIVES, N_JOINTS
from shared.scanned_heads.ict_facekit import PARTS, IctArrays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

JAW_UNIT = "jawOpen"
RIGID_SHARE = 0.8
"""Teeth that ``jawOpen`` moves by this share of the most are the lower ones."""
MIN_LEVER = 0.15
"""Nearer to the jaw's axis than this share of the teeth, nothing follows the jaw."""
ROOT_DROP_M = (0.0, 0.07)
"""Depth below the jawline over which the neck passes from the head to the root."""
ROOT_SHARE = 0.7
ROOT_JOINT = (0.0, -0.13, -0.085)
NECK_JOINT = (0.0, -0.06, -0.08)
"""From between the eyes; the open head's (``open_head_parts.assembly``)."""
JAW_BLOCK = slice(9, 18)
"""The jaw's nine entries of R - I among the correctives."""
HINGE_SIDE_M = 0.05
"""Where the jaw's joints lie to the left and right of the middle."""
N_HINGE = 60
"""Skin vertices next to the jaw's joints that these follow as people differ."""


class JawMotion(NamedTuple):
    """The jaw fully open, as a rigid motion."""

    turn: Floats  # [3, 3]
    joint: Floats  # [3] m, on the axis, in the head's middle
    angle: float  # rad


class IctRig(NamedTuple):
    """What linear blend skinning needs."""

    joints: Floats  # [5, 3]
    joint_basis: NDArray[np.float32]  # [100, 5, 3]
    weights: Floats  # [V, 5]
    pose_basis: NDArray[np.float32]  # [36, V, 3]
    jaw_angle: float
    """Angle of the jaw at which ``jawOpen`` is complete, rad."""


def make_rig(ict: IctArrays, eyes: Floats, neck_depths: Floats) -> IctRig:
    """The rig of the mean head.

    Args:
        ict: The model.
        eyes: The point between the irises. [3] m
        neck_depths: How far each vertex lies below the jawline, 0 where it is no neck. [V] m
    """
    unit = ict.expressions[ict.names.index(JAW_UNIT)].astype(np.float64)
    jaw = _jaw_motion(ict.template, unit)
    full = (ict.template - jaw.joint) @ jaw.turn.T + jaw.joint - ict.template  # [V, 3]
    weights = _weights(unit, full, neck_depths)
    centres = [ict.template[slice(*PARTS[f"{side}_eyeball"])] for side in ("left", "right")]
    joints = np.stack(
        [eyes + ROOT_JOINT, eyes + NECK_JOINT, jaw.joint, *[_ball_centre(ball) for ball in centres]]
    )
    return IctRig(
        joints,
        _joint_basis(ict, jaw),
        weights,
        _jaw_correctives(unit - weights[:, 2:3] * full, weights[:, 2], jaw),
        jaw.angle,
    )


def _jaw_motion(template: Floats, unit: Floats) -> JawMotion:
    """Rigid motion of the lower teeth under ``jawOpen`` (Kabsch), and its axis."""
    teeth = np.arange(*PARTS["teeth"])
    reach = np.linalg.norm(unit[teeth], axis=1)
    lower = teeth[reach > RIGID_SHARE * reach.max()]
    before, after = template[lower], template[lower] + unit[lower]
    left, _, right = np.linalg.svd((after - after.mean(0)).T @ (before - before.mean(0)))
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    turn = (left * flip) @ right
    shift = after.mean(0) - turn @ before.mean(0)
    # Points of the axis stay where they are, up to a slide along it that symmetry rules out.
    joint, *_ = np.linalg.lstsq(np.eye(3) - turn, shift, rcond=1e-3)
    joint[0] = 0.0
    return JawMotion(turn, joint, float(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))


def _weights(unit: Floats, full: Floats, neck_depths: Floats) -> Floats:
    """Share of the jaw's motion in ``jawOpen`` at each vertex, and of the root in the neck."""
    lever = (full**2).sum(1)
    enough = (MIN_LEVER**2) * lever[slice(*PARTS["teeth"])].max()
    share = (unit * full).sum(1) / np.maximum(lever, enough)
    weights = np.zeros((len(unit), N_JOINTS))
    weights[:, 2] = np.clip(share, 0, 1)
    low, high = ROOT_DROP_M
    fall = np.clip((neck_depths - low) / (high - low), 0, 1)
    weights[:, 0] = ROOT_SHARE * fall * fall * (3 - 2 * fall) * (1 - weights[:, 2])
    for side, joint in (("left", 3), ("right", 4)):
        ball = slice(*PARTS[f"{side}_eyeball"])
        weights[ball] = 0
        weights[ball, joint] = 1
    weights[:, 1] = 1 - weights.sum(1)
    return weights


def _jaw_correctives(left_over: Floats, share: Floats, jaw: JawMotion) -> NDArray[np.float32]:
    """Displacements before skinning that make the fully open jaw ``jawOpen``. [36, V, 3]"""
    blended = (1 - share)[:, None, None] * np.eye(3) + share[:, None, None] * jaw.turn
    before = np.linalg.solve(blended, left_over[..., None])[..., 0]
    entries = (jaw.turn - np.eye(3)).ravel()
    basis = np.zeros((N_CORRECTIVES, *left_over.shape), np.float32)
    basis[JAW_BLOCK] = (entries / (entries @ entries))[:, None, None] * before
    return basis


def _ball_centre(ball: Floats) -> Floats:
    """Centre of the sphere nearest to some points. [3]"""
    system = np.concatenate([2 * ball, np.ones((len(ball), 1))], axis=1)
    solved, *_ = np.linalg.lstsq(system, (ball**2).sum(1), rcond=None)
    centre: Floats = solved[:3]
    return centre


def _joint_basis(ict: IctArrays, jaw: JawMotion) -> NDArray[np.float32]:
    """How eyes and jaw follow the identity: the mean of the vertices around them."""
    basis = np.zeros((len(ict.identities), N_JOINTS, 3), np.float32)
    skin = ict.template[slice(*PARTS["face"])]
    near = []
    for side in (-HINGE_SIDE_M, HINGE_SIDE_M):
        away = np.linalg.norm(skin - (jaw.joint + np.array([side, 0, 0])), axis=1)
        near.append(np.argsort(away, kind="stable")[:N_HINGE])
    basis[:, 2] = ict.identities[:, np.concatenate(near)].mean(1)
    for name, joint in (("left", 3), ("right", 4)):
        basis[:, joint] = ict.identities[:, slice(*PARTS[f"{name}_eyeball"])].mean(1)
    return basis
