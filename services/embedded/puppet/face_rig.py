"""The photograph's face mesh as a puppet: jaw, lips, eyelids, brows and head motion.

Space: texture pixels, x right, y down, z away from the camera. Displacements of the lips, lids and
brows spread over the skin as harmonic functions on the mesh, so that nothing tears.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay
from scipy.spatial.transform import Rotation

F32 = NDArray[np.float32]

# MediaPipe vertex numbers, from the mouth corner at the left of the picture to the right one.
INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
OUTER_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
OUTER_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
_LIDS = (
    ((246, 161, 160, 159, 158, 157, 173), (7, 163, 144, 145, 153, 154, 155)),
    ((466, 388, 387, 386, 385, 384, 398), (249, 390, 373, 374, 380, 381, 382)),
)
_EYE_CORNERS = (33, 133, 263, 362)
_BROWS = (
    70,
    63,
    105,
    66,
    107,
    46,
    53,
    52,
    65,
    55,
    300,
    293,
    334,
    296,
    336,
    276,
    283,
    282,
    295,
    285,
)
_NOSE = (1, 2, 4, 5, 19, 94, 97, 98, 326, 327, 6, 168, 197, 195, 48, 278, 64, 294, 220, 440)
_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
_CHIN = _OVAL[12:25]  # from one jaw angle to the other
_N_LANDMARKS = 468
_RINGS = (1.1, 1.3, 1.6, 2.0)
"""Rings of vertices around the face oval, as multiples of it, that carry hair and ears."""

_JAW_AXIS = (0, 40, 130)  # below the ears' line, behind the face, relative to the nose bridge
_NECK_PIVOT = (0, 190, 110)  # relative to the nose bridge
_LIP_MARGIN = 3.0  # px around the lips that MediaPipe's rings leave uncertain
_STEEPEST = 2.0  # depth per distance in the picture
CAMERA_DISTANCE = 2600.0


class Pose(NamedTuple):
    """One frame of the puppet. 0 is the closed, resting face, turned as in the photograph."""

    jaw: float  # rad, opens
    width: float  # -1 rounded and pushed forward .. 1 spread
    press: float  # 0 lips follow the jaw .. 1 lips touch
    tuck: float  # 1: lower lip at the upper teeth
    blink: float  # 0 open .. 1 shut
    brows: float  # 1: raised
    rotation: tuple[float, float, float]  # rad about x (nod), y (turn), z (tilt)
    translation: tuple[float, float, float]  # px


class FaceRig(NamedTuple):
    """Everything that stays the same from frame to frame."""

    rest: F32  # [V, 3] the photograph's mesh with the rings around it
    uv: F32  # [V, 2] where each vertex looks in the texture
    triangles: NDArray[np.int32]  # [F, 3], a hole where the mouth opens
    jaw_weights: F32  # [V]
    mouth_spread: F32  # [V, 40] lip displacement -> vertex displacement
    lid_spread: F32  # [V, 28] lid displacement -> vertex displacement
    brow_spread: F32  # [V]
    jaw_axis: F32  # [3]
    pivot: F32  # [3]


def build_rig(landmarks: F32) -> FaceRig:
    """Mesh, hole and weights from the photograph's landmarks [468, 3]."""
    rest = _without_steep_slopes(np.concatenate([landmarks, _ring_vertices(landmarks)]))
    triangles = _triangulate(rest)
    laplacian = _laplacian(rest, triangles)
    lips = _lip_vertices()
    lids = [vertex for pair in _LIDS for lid in pair for vertex in lid]
    rings = list(range(_N_LANDMARKS, len(rest)))
    upper_oval = [v for v in _OVAL if v not in _CHIN]
    chin = [*_CHIN, *(v for v in rings if _is_below_chin(rest[v], landmarks))]
    still = [*upper_oval, *_NOSE, *_BROWS, *lids, *_EYE_CORNERS, *set(rings) - set(chin)]
    upper_lip = [*OUTER_UPPER[1:-1], *INNER_UPPER[1:-1]]
    lower_lip = [*OUTER_LOWER[1:-1], *INNER_LOWER[1:-1]]
    corners = [61, 78, 291, 308]
    jaw_weights = _harmonic(
        laplacian,
        dict.fromkeys([*still, *upper_lip], 0.0)
        | dict.fromkeys(lower_lip, 1.0)
        | dict.fromkeys(corners, 0.45)
        | {v: _jaw_share(rest[v], landmarks) for v in chin},
    )
    bridge = landmarks[6]
    return FaceRig(
        rest=rest,
        uv=_texture_coordinates(rest),
        triangles=triangles,
        jaw_weights=jaw_weights[:, 0],
        mouth_spread=_spread(laplacian, lips, [*still, *chin]),
        lid_spread=_spread(laplacian, lids, [v for v in (*still, *lips) if v not in lids]),
        brow_spread=_harmonic(
            laplacian,
            dict.fromkeys([*lids, *_NOSE, *_EYE_CORNERS, *lips, *rings], 0.0)
            | dict.fromkeys(_BROWS, 1.0),
        )[:, 0],
        jaw_axis=bridge + np.array(_JAW_AXIS, np.float32),
        pivot=bridge + np.array(_NECK_PIVOT, np.float32),
    )


def deform(rig: FaceRig, pose: Pose) -> F32:
    """Vertices of one frame before the head moves. -> [V, 3]"""
    angles = np.outer(pose.jaw * rig.jaw_weights, [1, 0, 0])
    turned = Rotation.from_rotvec(angles).apply(rig.rest - rig.jaw_axis) + rig.jaw_axis
    vertices = turned + rig.mouth_spread @ _lip_displacement(turned, pose)
    vertices += rig.lid_spread @ _lid_displacement(rig.rest, pose.blink)
    vertices[:, 1] -= 7 * pose.brows * rig.brow_spread
    return np.asarray(vertices, dtype=np.float32)


def move_head(rig: FaceRig, points: F32, pose: Pose, share: float | F32 = 1.0) -> F32:
    """Turn and shift points with the head, by ``share`` of its motion. [P, 3] -> [P, 3]"""
    angles = np.broadcast_to(np.reshape(share, (-1, 1)), (len(points), 1)) * np.array(pose.rotation)
    shift = np.reshape(share, (-1, 1)) * np.array(pose.translation)
    moved = Rotation.from_rotvec(angles).apply(points - rig.pivot) + rig.pivot + shift
    return np.asarray(moved, dtype=np.float32)


def swing_jaw(rig: FaceRig, points: F32, pose: Pose) -> F32:
    """Move points that are fixed to the jaw bone. [P, 3] -> [P, 3]"""
    turned = Rotation.from_rotvec([pose.jaw, 0, 0]).apply(points - rig.jaw_axis) + rig.jaw_axis
    return np.asarray(turned, dtype=np.float32)


def project(points: F32, center: float) -> F32:
    """Perspective about the picture's centre. [P, 3] -> [P, 2] px"""
    scale = CAMERA_DISTANCE / (CAMERA_DISTANCE + points[:, 2:])
    return np.asarray(center + (points[:, :2] - center) * scale, dtype=np.float32)


def _lip_vertices() -> list[int]:
    """Upper outer, upper inner, lower outer, lower inner; corners once."""
    return [*OUTER_UPPER, *INNER_UPPER, *OUTER_LOWER[1:-1], *INNER_LOWER[1:-1]]


def _lip_displacement(vertices: F32, pose: Pose) -> F32:
    """Where the lips go, given where jaw and skin took them. -> [40, 3]"""
    moved = vertices[_lip_vertices()].copy()
    center = vertices[[61, 291]].mean(0)
    half_width = abs(vertices[291, 0] - vertices[61, 0]) / 2
    offset = (moved[:, 0] - center[0]) / half_width  # -1 .. 1 from corner to corner
    rounding, spreading = max(0.0, -pose.width), max(0.0, pose.width)
    # The photograph smiles; at rest the corners come in and down a little.
    moved[:, 0] += offset * half_width * (0.06 * spreading - 0.13 - 0.27 * rounding)
    moved[:, 1] += 9 * offset**2 * (1 - spreading)
    moved[:, 2] -= 14 * rounding * (1 - 0.5 * offset**2)
    rows = {"outer_upper": slice(0, 11), "inner_upper": slice(11, 22)}
    rows |= {"outer_lower": slice(22, 31), "inner_lower": slice(31, 40)}
    gap = np.zeros(11)
    gap[1:-1] = moved[rows["inner_lower"], 1] - moved[rows["inner_upper"], 1][1:-1]
    gap[1:-1] += 2.5  # pressed lips overlap a little
    close = pose.press + (1 - pose.press) * 0.9 * pose.tuck
    down = 0.4 * pose.press - 0.05 * pose.tuck
    moved[rows["inner_upper"], 1] += down * gap
    moved[rows["outer_upper"], 1] += 0.6 * down * gap
    moved[rows["inner_lower"], 1] -= ((close - 0.4 * pose.press) * gap)[1:-1]
    moved[rows["outer_lower"], 1] -= (0.75 * (close - 0.4 * pose.press) * gap)[1:-1]
    moved[rows["inner_lower"], 2] += 6 * max(pose.press, pose.tuck)  # behind the upper lip
    return moved - vertices[_lip_vertices()]


def _lid_displacement(rest: F32, blink: float) -> F32:
    """Upper lids come down onto the lower ones, which rise a little. -> [28, 3]"""
    rows = []
    for upper, lower in _LIDS:
        gap = rest[list(lower)] - rest[list(upper)]
        rows += [0.88 * blink * gap, -0.12 * blink * gap]
    return np.concatenate(rows)


def _ring_vertices(landmarks: F32) -> F32:
    """Rings around the face oval; the further out, the further back. -> [R * 36, 3]"""
    oval = landmarks[list(_OVAL)]
    center = oval.mean(0)
    rings = [center + (oval - center) * np.array([scale, scale, 1]) for scale in _RINGS]
    for ring, scale in zip(rings, _RINGS, strict=True):
        ring[:, 2] = oval[:, 2] + 40 * (scale - 1)
    return np.concatenate(rings).astype(np.float32)


def _without_steep_slopes(rest: F32) -> F32:
    """Lessen depth where it changes so fast that a turned face would fold over itself."""
    apart = np.linalg.norm(rest[:, None, :2] - rest[None, :, :2], axis=-1)  # [V, V]
    depth = (rest[None, :, 2] + _STEEPEST * apart).min(1)
    return np.concatenate([rest[:, :2], depth[:, None]], axis=1).astype(np.float32)


def _texture_coordinates(rest: F32) -> F32:
    """The vertices' own places, but the lips' inner edges a little off the teeth. -> [V, 2]"""
    uv = rest[:, :2].copy()
    uv[list(INNER_UPPER[1:-1]), 1] -= 3.5
    uv[list(INNER_LOWER[1:-1]), 1] += 4.5
    return uv


def _is_below_chin(vertex: F32, landmarks: F32) -> bool:
    """Ring vertices under the mouth go with the chin."""
    return bool(vertex[1] > landmarks[14, 1])


def _jaw_share(vertex: F32, landmarks: F32) -> float:
    """How much of the jaw's motion the outline takes: nothing at mouth height, all at the chin."""
    top, bottom = landmarks[61, 1], landmarks[152, 1]
    share = np.clip((vertex[1] - top) / (bottom - top), 0, 1)
    return float(share * share * (3 - 2 * share))


def _triangulate(rest: F32) -> NDArray[np.int32]:
    """Delaunay in the photograph, without what lies between the lips.

    MediaPipe's rings inside the red of the lips lie over each other there, so they are left out.
    """
    outline = rest[[*OUTER_UPPER, *OUTER_LOWER[-2:0:-1]], :2]
    outside = [
        -cv2.pointPolygonTest(outline, vertex[:2].tolist(), measureDist=True) for vertex in rest
    ]  # px
    is_within = np.array(outside) < _LIP_MARGIN
    is_within[_lip_vertices()] = False
    used = np.flatnonzero(~is_within)
    triangles = used[Delaunay(rest[used, :2].astype(np.float64)).simplices]
    lips = set(INNER_UPPER) | set(INNER_LOWER)
    is_hole = np.array([lips.issuperset(triangle.tolist()) for triangle in triangles])
    return np.ascontiguousarray(triangles[~is_hole], dtype=np.int32)


def _laplacian(rest: F32, triangles: NDArray[np.int32]) -> NDArray[np.float64]:
    """Graph Laplacian, edges weighted by the inverse of their length. [V, V]"""
    n = len(rest)
    weights = np.zeros((n, n))
    for a, b in ((0, 1), (1, 2), (2, 0)):
        i, j = triangles[:, a], triangles[:, b]
        length = np.linalg.norm(rest[i] - rest[j], axis=1)
        weights[i, j] = weights[j, i] = 1 / np.maximum(length, 1)
    return np.diag(weights.sum(1)) - weights


def _harmonic(laplacian: NDArray[np.float64], fixed: dict[int, float]) -> F32:
    """The smoothest function with the given values. -> [V, 1]"""
    vertices = list(fixed)
    return _solve(laplacian, vertices, np.array([[fixed[v]] for v in vertices]))


def _spread(laplacian: NDArray[np.float64], moving: list[int], still: list[int]) -> F32:
    """How each vertex follows each of ``moving`` while ``still`` stays. -> [V, len(moving)]"""
    held = [v for v in dict.fromkeys(still) if v not in moving]
    values = np.concatenate([np.eye(len(moving)), np.zeros((len(held), len(moving)))])
    return _solve(laplacian, [*moving, *held], values)


def _solve(laplacian: NDArray[np.float64], fixed: list[int], values: NDArray[np.float64]) -> F32:
    free = np.setdiff1d(np.flatnonzero(laplacian.diagonal()), fixed)
    out = np.zeros((len(laplacian), values.shape[1]))
    out[fixed] = values
    pull = -laplacian[free][:, fixed] @ values
    out[free] = np.linalg.solve(laplacian[free][:, free], pull)
    return np.asarray(out, dtype=np.float32)
