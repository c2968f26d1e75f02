"""Smooth fields over the face's edges: distances along the skin, bumps, harmonics, skinning."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix, diags
from scipy.sparse.csgraph import dijkstra

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BUMP_FLOOR = 0.35
"""Kernel mass at which a bump has fallen to about half; sets how far a bump reaches."""


def edges_of(faces: Ints) -> Ints:
    """Each edge once, smaller index first. [E, 2]"""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def skin_distances(vertices: Floats, faces: Ints) -> Floats:
    """Shortest way between vertices along edges, so that lips are far apart. [V, V] m"""
    edges = edges_of(faces)
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    n = len(vertices)
    graph = coo_matrix((lengths, (edges[:, 0], edges[:, 1])), shape=(n, n))
    distances: Floats = dijkstra(graph, directed=False)
    return distances


def bump(distances: Floats, goals: Mapping[int, Sequence[float]], reach: float) -> Floats:
    """Displacement that is near each goal at its vertex and fades over ``reach`` metres. [V, 3]

    Nadaraya-Watson regression with a floor, so far from every goal it goes to zero.
    """
    known = np.array(list(goals))
    wanted = np.array([list(goal) for goal in goals.values()])
    kernel = np.exp(-0.5 * (distances[:, known] / reach) ** 2)  # [V, G]
    # Each goal counts by how alone it stands; crowded landmarks must not outweigh sparse ones.
    crowd = kernel[known].sum(1)
    weight = kernel / crowd
    total = weight.sum(1, keepdims=True)
    nearest = kernel.max(1, keepdims=True)
    smooth: Floats = (weight @ wanted) / np.maximum(total, 1e-12)
    fade: Floats = nearest / (nearest + BUMP_FLOOR * (1 - nearest))
    return smooth * fade


def membrane(vertices: Floats, faces: Ints, fixed: Mapping[int, float]) -> Floats:
    """Value per vertex that is as smooth as the fixed ones allow (harmonic). [V]"""
    laplacian = graph_laplacian(vertices, faces)
    known = np.array(list(fixed))
    values = np.array(list(fixed.values()))
    free = np.setdiff1d(np.arange(len(vertices)), known)
    field = np.zeros(len(vertices))
    field[known] = values
    field[free] = np.linalg.solve(
        laplacian[np.ix_(free, free)], -laplacian[np.ix_(free, known)] @ values
    )
    return field


def harmonics(vertices: Floats, faces: Ints, joined: Ints, n_modes: int) -> tuple[Floats, Floats]:
    """Slowest vibrations of the face, one per column, root mean square 1, constant left out.

    Args:
        vertices: Face at rest. [V, 3] m
        faces: Its triangles. [F, 3]
        joined: Pairs of vertices that always move together. [P, 2]
        n_modes: How many.

    Returns:
        Modes [V, n_modes] and their frequencies relative to the first [n_modes].
    """
    laplacian = graph_laplacian(vertices, faces)
    owner = np.arange(len(vertices))
    owner[joined[:, 1]] = joined[:, 0]
    kept, column = np.unique(owner, return_inverse=True)
    merge = np.zeros((len(vertices), len(kept)))
    merge[np.arange(len(vertices)), column] = 1
    values, vectors = np.linalg.eigh(merge.T @ laplacian @ merge)
    modes = (merge @ vectors)[:, 1 : n_modes + 1]
    modes /= np.sqrt((modes**2).mean(0))
    # The sign of an eigenvector is arbitrary; the largest entry is made positive.
    peak = np.abs(modes).argmax(0)
    modes *= np.sign(modes[peak, np.arange(modes.shape[1])])
    return modes, np.sqrt(values[1 : n_modes + 1] / values[1])


def sparse_laplacian(vertices: Floats, faces: Ints) -> csc_matrix:
    """The same as ``graph_laplacian`` for meshes of many vertices."""
    edges, weights = _edge_weights(vertices, faces)
    n = len(vertices)
    graph = coo_matrix((weights, (edges[:, 0], edges[:, 1])), shape=(n, n)).tocsc()
    graph = graph + graph.T
    return csc_matrix(diags(np.asarray(graph.sum(1))[:, 0]) - graph)


def _edge_weights(vertices: Floats, faces: Ints) -> tuple[Ints, Floats]:
    edges = edges_of(faces)
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    return edges, 0.01 / lengths


def graph_laplacian(vertices: Floats, faces: Ints) -> Floats:
    """Graph Laplacian with inverse edge lengths. [V, V]"""
    edges, weights = _edge_weights(vertices, faces)
    laplacian = np.zeros((len(vertices), len(vertices)))
    laplacian[edges[:, 0], edges[:, 1]] = -weights
    laplacian[edges[:, 1], edges[:, 0]] = -weights
    np.fill_diagonal(laplacian, -laplacian.sum(1))
    return laplacian
