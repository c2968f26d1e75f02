"""Finds MediaPipe's 468 face landmarks on a head mesh that has only some of them.

The stored MediaPipe face (``open_head_parts.canonical_face``) is bent so that its anchors, the
landmarks known on the mesh, come to lie on them: a biharmonic spline, exact at sure anchors. Each
landmark then drops onto the nearest point of the mesh's outer skin. Lips are told apart by the
jaw's weight, since a closed mouth has both in one place.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from shared.open_head_parts.canonical_face import load_canonical_face
from shared.open_head_parts.lip_rings import LOWER_RINGS, UPPER_RINGS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

IBUG_68 = (
    127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""MediaPipe's landmark next to each of the 68 of iBUG (Sagonas et al. 2013), in their order."""
N_JAWLINE = 17
"""The first of the 68: points of an outline, which slide along the skin."""
JAWLINE_TRUST = 0.2
SMOOTHING_M = 0.01
LEAST_SMOOTHING_M = 5e-4
"""How far the spline may pass by anchors: unsure ones by more."""
NEIGHBOURS = 24
"""Nearest triangles, by their middles, that a landmark is dropped on."""
LOWER_LIP = 0.5
"""Share of the mouth's largest jaw weight from which a triangle is the lower lip's."""
REACH_M = 0.010
"""Distance from an anchor at which a landmark's place is half sure."""


class Anchors(NamedTuple):
    """Landmarks whose place on the mesh is known."""

    landmarks: Ints  # [A] MediaPipe's numbers
    points: Floats  # [A, 3] m
    trust: Floats  # [A] 1 sure, towards 0 guessed


class Skin(NamedTuple):
    """The outer skin of a head at rest, mouth and eyes closed or not."""

    vertices: Floats  # [V, 3] m
    faces: Ints  # [F, 3] corners
    numbers: Ints  # [F] of each face in the whole mesh
    jaw_weights: Floats  # [V]


class Embedding(NamedTuple):
    """Where landmarks lie on a mesh."""

    faces: Ints  # [L]
    weights: Floats  # [L, 3] barycentric
    trust: Floats  # [L]


def transfer_landmarks(skin: Skin, anchors: Anchors) -> Embedding:
    """Place all 468 face landmarks on a mesh. -> L = 468"""
    canonical = load_canonical_face().vertices
    source = canonical[anchors.landmarks]
    scale, turn, shift = _similarity(source, anchors.points, anchors.trust)
    placed = scale * canonical @ turn.T + shift
    # Unsure anchors pull softly. Inner lips coincide in the source: no spline is exact at both.
    bend = RBFInterpolator(
        placed[anchors.landmarks],
        anchors.points - placed[anchors.landmarks],
        kernel="linear",
        smoothing=SMOOTHING_M * (1 / anchors.trust - 1) + LEAST_SMOOTHING_M,
        degree=1,
    )
    bent = placed + bend(placed)
    embedding = _dropped(skin, bent)
    near, _ = cKDTree(source).query(canonical)
    return embedding._replace(trust=1 / (1 + np.square(near / REACH_M)))


def nearest_points(skin: Skin, points: Floats) -> Embedding:
    """The nearest point of the skin to each given one; fully trusted. [L, 3]"""
    return _on_faces(skin, points, np.ones((len(points), len(skin.faces)), dtype=np.bool_))


def nearest_corners(corners: Ints, embedding: Embedding) -> Ints:
    """The corner of each landmark's triangle that it is nearest to. [L, 3] -> [L]"""
    return corners[np.arange(len(corners)), embedding.weights.argmax(1)]


def _dropped(skin: Skin, points: Floats) -> Embedding:
    """Nearest skin for each landmark, lips on their own side of the mouth."""
    share = skin.jaw_weights[skin.faces].mean(1)
    mouth = points[[ring[len(ring) // 2] for ring in (*UPPER_RINGS, *LOWER_RINGS)]]
    middles = skin.vertices[skin.faces].mean(1)
    away = np.linalg.norm(middles - mouth.mean(0), axis=1)
    is_lower = share > LOWER_LIP * share[away < 2 * REACH_M].max()
    allowed = np.ones((len(points), len(skin.faces)), dtype=np.bool_)
    for ring in UPPER_RINGS:
        allowed[list(ring[1:-1])] = ~is_lower
    for ring in LOWER_RINGS:
        allowed[list(ring[1:-1])] = is_lower
    return _on_faces(skin, points, allowed)


def _on_faces(skin: Skin, points: Floats, allowed: NDArray[np.bool_]) -> Embedding:
    corners = skin.vertices[skin.faces]
    middles = corners.mean(1)
    faces = np.zeros(len(points), dtype=np.int64)
    weights = np.zeros((len(points), 3))
    for index, point in enumerate(points):
        usable = np.flatnonzero(allowed[index])
        away = np.square(middles[usable] - point).sum(1)
        near = usable[np.argsort(away, kind="stable")[:NEIGHBOURS]]
        shares = _nearest_on_triangles(corners[near], point)
        places = (shares[..., None] * corners[near]).sum(1)
        best = int(np.square(places - point).sum(1).argmin())
        faces[index], weights[index] = near[best], shares[best]
    return Embedding(skin.numbers[faces], weights, np.ones(len(points)))


def _nearest_on_triangles(corners: Floats, point: Floats) -> Floats:
    """Barycentric weights of the point of each triangle nearest to ``point``. [T, 3]"""
    best = np.zeros((len(corners), 3))
    gap = np.full(len(corners), np.inf)
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    one, two, to = b - a, c - a, point - a
    g11, g12, g22 = (one * one).sum(1), (one * two).sum(1), (two * two).sum(1)
    h1, h2 = (one * to).sum(1), (two * to).sum(1)
    det = np.maximum(g11 * g22 - g12 * g12, 1e-20)
    v, w = (g22 * h1 - g12 * h2) / det, (g11 * h2 - g12 * h1) / det
    inside = np.stack([1 - v - w, v, w], axis=1)
    candidates = [np.where((inside >= 0).all(1, keepdims=True), inside, np.nan)]
    for start, end in ((0, 1), (1, 2), (2, 0)):
        along = corners[:, end] - corners[:, start]
        share = ((point - corners[:, start]) * along).sum(1) / np.maximum((along**2).sum(1), 1e-20)
        share = np.clip(share, 0, 1)
        edge = np.zeros((len(corners), 3))
        edge[:, start], edge[:, end] = 1 - share, share
        candidates.append(edge)
    for candidate in candidates:
        place = (candidate[..., None] * corners).sum(1)
        away = np.square(place - point).sum(1)
        is_nearer = away < gap  # never where a candidate is NaN
        gap[is_nearer] = away[is_nearer]
        best[is_nearer] = candidate[is_nearer]
    return best


def _similarity(source: Floats, target: Floats, trust: Floats) -> tuple[float, Floats, Floats]:
    """Scale, rotation and shift that bring ``source`` nearest to ``target`` (Umeyama 1991)."""
    share = (trust / trust.sum())[:, None]
    from_mean, to_mean = (share * source).sum(0), (share * target).sum(0)
    centred, wanted = source - from_mean, target - to_mean
    left, sizes, right = np.linalg.svd((share * wanted).T @ centred)
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    turn = (left * flip) @ right
    scale = float((sizes * flip).sum() / (share * centred**2).sum())
    return scale, turn, to_mean - scale * turn @ from_mean
