"""Makes ``canonical_face.npz``; for maintainers, never imported by the product.

MediaPipe's landmarks of the public-domain NASA portrait that scikit-image carries
(``skimage.data.astronaut``), averaged over sizes, made symmetric, turned upright, scaled to an
inter-ocular distance of 63 mm, the smile closed. Triangles are the 3-cycles of MediaPipe's own
edge list. Needs mediapipe and scikit-image.
"""

import cv2
import numpy as np
from mediapipe.python.solutions.face_mesh import FaceMesh
from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from skimage.data import astronaut

from shared.landmarks import FACE_OVAL, LEFT_IRIS, RIGHT_IRIS
from shared.open_head_parts.canonical_face import (
    FACE_FILE,
    INTER_OCULAR_M,
    N_FACE_VERTICES,
    CanonicalFace,
)
from shared.open_head_parts.lip_rings import INNER_LOWER, INNER_UPPER, LOWER_RINGS, UPPER_RINGS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NOSE_ROOT = 168
MOUTH_REACH_M = 0.045
"""Beyond this distance from the mouth nothing moves when the smile is closed."""


def save_canonical_face(face: CanonicalFace) -> None:
    """Store a face made anew; for maintainers."""
    np.savez(
        FACE_FILE,
        vertices=face.vertices.astype(np.float32),
        irises=face.irises.astype(np.float32),
        faces=face.faces.astype(np.int16),
        mirror=face.mirror.astype(np.int16),
    )


def make_canonical_face() -> CanonicalFace:
    """Make the face from the portrait; needs mediapipe, scikit-image and OpenCV."""
    points = _portrait_landmarks()
    mirror = _mirror_pairs(points[:N_FACE_VERTICES])
    pairs = np.concatenate([mirror, LEFT_IRIS, RIGHT_IRIS])
    points = _upright(_symmetric(points, pairs))
    scale = INTER_OCULAR_M / np.linalg.norm(points[LEFT_IRIS[0]] - points[RIGHT_IRIS[0]])
    irises = [RIGHT_IRIS[0], LEFT_IRIS[0]]
    points = (points - points[irises].mean(0)) * scale
    face = _close_smile(points[:N_FACE_VERTICES])
    face = 0.5 * (face + face[mirror] * [-1, 1, 1])
    return CanonicalFace(face, points[irises], _triangles(face), mirror)


def _portrait_landmarks() -> Floats:
    """MediaPipe's landmarks of the portrait, averaged over sizes: x right, y up, z out. [478, 3]"""
    portrait = astronaut()[0:320, 60:380]
    found = []
    for size in (320, 480, 640, 800, 960):
        picture = cv2.resize(portrait, (size, size), interpolation=cv2.INTER_CUBIC)
        with FaceMesh(static_image_mode=True, refine_landmarks=True) as mesh:
            marks = mesh.process(picture).multi_face_landmarks[0].landmark
        found.append([[mark.x, -mark.y, -mark.z] for mark in marks])
    return np.asarray(found).mean(0)


def _mirror_pairs(points: Floats) -> Ints:
    """Match each vertex with its mirror image's nearest, one to one. [468]"""
    mirrored = points * [-1, 1, 1]
    here = np.array([33, 263, 61, 291, 234, 454, 1, 10, 152, 132, 361])
    there = np.array([263, 33, 291, 61, 454, 234, 1, 10, 152, 361, 132])
    for _ in range(6):
        turn, shift = rigid_alignment(mirrored[here], points[there])
        here, there = linear_sum_assignment(cdist(mirrored @ turn.T + shift, points) ** 2)
    return there


def rigid_alignment(source: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Rotation and shift that bring ``source`` nearest to ``target`` (Kabsch)."""
    centre, goal = source.mean(0), target.mean(0)
    left, _, right = np.linalg.svd((source - centre).T @ (target - goal))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    turn = (left @ flip @ right).T
    return turn, goal - turn @ centre


def _symmetric(points: Floats, pairs: Ints) -> Floats:
    """Mean of the face and its mirror image, its plane of symmetry put at x = 0."""
    mirrored = points[pairs] * [-1, 1, 1]
    turn, shift = rigid_alignment(mirrored, points)
    mean = 0.5 * (mirrored @ turn.T + shift + points)
    # Pairs differ along the plane's normal only; turn that normal onto x.
    across = mean - mean[pairs]
    normal = np.linalg.svd(across)[2][0]
    normal *= np.sign(normal[0])
    middle = 0.5 * (mean + mean[pairs])
    up = np.array([0.0, 1.0, 0.0]) - normal[1] * normal
    up /= np.linalg.norm(up)
    axes = np.stack([normal, up, np.cross(normal, up)])
    return (mean - middle.mean(0)) @ axes.T


def _upright(points: Floats) -> Floats:
    """Pitch the head so that forehead (10) and chin (152) are equally far forward."""
    line = points[10] - points[152]
    angle = np.arctan2(line[2], line[1])
    cosine, sine = np.cos(angle), np.sin(angle)
    return points @ np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]]).T


def _close_smile(face: Floats) -> Floats:
    """Bring the lips together and the mouth corners in; what is far away stays."""
    width = np.linalg.norm(face[291] - face[61])
    narrow = min(1.0, 0.80 * INTER_OCULAR_M / width)
    middle = 0.5 * (np.array(face[list(INNER_UPPER)]) + face[list(INNER_LOWER)])  # [11, 3]
    corner_y = face[61, 1]
    # A smile lifts the corners: the closed line sinks to meet its own middle.
    middle[:, 1] += 0.7 * (middle[5, 1] - corner_y) * (np.abs(middle[:, 0]) / middle[-1, 0]) ** 2
    goals: dict[int, Floats] = {}
    for rings, inner in ((UPPER_RINGS, INNER_UPPER), (LOWER_RINGS, INNER_LOWER)):
        for ring in rings:
            for column, vertex in enumerate(ring):
                goal = face[vertex] + middle[column] - face[inner[column]]
                goals[vertex] = goal * [narrow, 1, 1]
    near = np.linalg.norm(face - face[[61, 291]].mean(0), axis=1)
    for vertex in np.flatnonzero(near > 0.75 * width):
        if vertex not in goals and (near[vertex] > MOUTH_REACH_M or vertex in FACE_OVAL):
            goals[int(vertex)] = face[vertex]
    known = np.array(list(goals))
    smooth = RBFInterpolator(
        face[known], np.array(list(goals.values())) - face[known], kernel="linear"
    )
    return face + smooth(face)


def _triangles(face: Floats) -> Ints:
    """3-cycles of MediaPipe's edges, wound counter-clockwise seen from the front. [852, 3]"""
    edges = {tuple(sorted(edge)) for edge in FACEMESH_TESSELATION}
    near: dict[int, set[int]] = {}
    for first, second in edges:
        near.setdefault(first, set()).add(second)
        near.setdefault(second, set()).add(first)
    cycles = {tuple(sorted((a, b, c))) for a, b in edges for c in near[a] & near[b]}
    # Two cycles run around a nostril's wing without bounding a face of their own.
    triangles = np.array(sorted(cycles - {(49, 64, 129), (279, 294, 358)}))
    return _wound_alike(triangles, face)


def _wound_alike(triangles: Ints, face: Floats) -> Ints:
    """Triangles turned so that neighbours agree and the nose's root (168) faces forward.

    Lips fold at the corners of the mouth, so each triangle's own normal cannot tell.
    """
    by_edge: dict[tuple[int, int], list[int]] = {}
    for index, (a, b, c) in enumerate(triangles.tolist()):
        for edge in ((a, b), (b, c), (a, c)):
            by_edge.setdefault((min(edge), max(edge)), []).append(index)
    wound = {int(np.flatnonzero((triangles == NOSE_ROOT).any(1))[0])}
    waiting = list(wound)
    while waiting:
        index = waiting.pop()
        a, b, c = triangles[index].tolist()
        for start, end in ((a, b), (b, c), (c, a)):
            for other in by_edge[min(start, end), max(start, end)]:
                if other in wound:
                    continue
                around = triangles[other].tolist()
                if around[(around.index(start) + 1) % 3] == end:  # both run the same way
                    triangles[other] = triangles[other][::-1]
                wound.add(other)
                waiting.append(other)
    first = face[triangles[(triangles == NOSE_ROOT).any(1)][0]]
    is_forward = np.cross(first[1] - first[0], first[2] - first[0])[2] > 0
    return triangles if is_forward else triangles[:, ::-1]
