"""How the vertices of a dense mesh follow displacements of its landmarks.

A screened membrane: as smooth as the landmarks allow, dying away over some centimetres beyond
them. It is carried by the mesh's edges, so lips, which only touch, go apart.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, identity
from scipy.sparse.linalg import splu

from shared.open_head_parts.fields import sparse_laplacian
from shared.scanned_heads.landmark_transfer import Embedding

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOLD = 1e4
"""Stiffness between a landmark and the skin, against that of a 2.5 mm edge (4)."""
REACH_M = 0.02
"""Way along the skin over which a displacement falls to a third."""


def follow_landmarks(vertices: Floats, faces: Ints, embedding: Embedding) -> NDArray[np.float32]:
    """Share of each landmark's displacement at each vertex; faces not given stay. [V, L]

    Args:
        vertices: The head at rest. [V, 3] m
        faces: Triangles that displacements spread over, in the order that ``embedding`` numbers.
        embedding: The landmarks.
    """
    members = np.unique(faces)
    place = np.full(len(vertices), -1)
    place[members] = np.arange(len(members))
    laplacian = sparse_laplacian(vertices[members], place[faces])
    n_marks = len(embedding.faces)
    rows = np.repeat(np.arange(n_marks), 3)
    columns = place[faces[embedding.faces]].ravel()
    at_marks = coo_matrix(
        (embedding.weights.ravel(), (rows, columns)), shape=(n_marks, len(members))
    ).tocsc()
    corners = vertices[faces]
    lengths = np.linalg.norm(np.roll(corners, 1, axis=1) - corners, axis=2)
    # An edge of length h has the stiffness 0.01 / h (sparse_laplacian): decay over REACH_M.
    screen = 0.01 * float(np.median(lengths)) / REACH_M**2
    system = laplacian + HOLD * (at_marks.T @ at_marks) + screen * identity(len(members))
    solved = splu(system.tocsc()).solve(HOLD * at_marks.T.toarray())
    follow = np.zeros((len(vertices), n_marks), np.float32)
    follow[members] = solved
    return follow
