"""Points on the head's surface that pictures are compared at, and how their depth may vary."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import eigsh
from scipy.spatial import cKDTree

from shared.contracts.tracked_dataset import REGIONS
from shared.head_model import (
    HeadModel,
    HeadPose,
    landmarks_on,
    neutral_vertices,
    pose_vertices,
)
from shared.landmarks import FACE_OVAL
from shared.open_head_parts.fields import graph_laplacian, sparse_laplacian

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FACE_REGIONS = ("face", "lips", "nose", "brows")
REGIONS_USED = (*FACE_REGIONS, "hair")
MIN_FACING = 0.25
"""Cosine between a triangle's normal and the front below which it gets no points."""
N_DEPTH_MODES = 100
FACE_DEPTH_M = 0.005
HAIR_DEPTH_M = 0.025
HAIR_DEPTH_RISE = 0.35
"""Spread of the true depth about the model's: of the face; of hair at most, and how fast it
grows with the distance from the face's outline."""


STILL = 1e-9
"""Eigenvalues below this share of the largest are zero."""
MAX_DENSE_VERTICES = 3000
"""Up to so many vertices all vibrations are found at once; above, the slow ones alone."""
LOWER_TEETH = 0.5
"""Share of the jaw joint above which a tooth is a lower one."""
BACK_FADE = 0.6
"""Depth is free where normals point forward and fixed where they point back by this much."""


class SurfacePoints(NamedTuple):
    """Points of the head's surface, each in a triangle."""

    corners: Ints  # [P, 3] vertices
    weights: Floats  # [P, 3] barycentric
    normals: NDArray[np.float32]  # [P, 3] at rest


def surface_points(
    model: HeadModel, rest: Floats, pixels_per_metre: float, spacing: float
) -> SurfacePoints:
    """Front-facing points of face and hair, about ``spacing`` pixels apart."""
    faces = _used_faces(model)
    corners = rest[faces]  # [F, 3, 3]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double_area = np.linalg.norm(normals, axis=1)
    normals /= np.maximum(double_area, 1e-12)[:, None]
    area_px = 0.5 * double_area * normals[:, 2] * pixels_per_metre**2
    is_seen = normals[:, 2] > MIN_FACING
    wanted = np.where(is_seen, area_px / spacing**2, 0.0)
    if np.median(wanted[is_seen]) < 1:
        # A mesh finer than the points gives one for each so much area, not one per triangle.
        counts = np.diff(np.floor(np.cumsum(wanted)), prepend=0.0).astype(np.int64)
    else:
        counts = np.ceil(wanted).astype(np.int64)
    owner = np.repeat(np.arange(len(faces)), counts)
    turn = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    # The R2 sequence (Roberts 2018) spreads any number of points evenly, without a seed.
    spread = (0.5 + turn[:, None] * [0.7548776662466927, 0.5698402909980532]) % 1.0
    is_outside = spread.sum(1) > 1
    spread[is_outside] = 1 - spread[is_outside]
    weights = np.concatenate([1 - spread.sum(1, keepdims=True), spread], axis=1)
    return SurfacePoints(faces[owner], weights, normals[owner].astype(np.float32))


def local_points(
    model: HeadModel, shape: torch.Tensor, pose: HeadPose, points: SurfacePoints
) -> NDArray[np.float32]:
    """Points about the root joint, with expression and jaw but no head pose. [T, P, 3] m"""
    still = pose._replace(
        rotation=torch.zeros_like(pose.rotation), translation=torch.zeros_like(pose.translation)
    )
    neutral = neutral_vertices(model, shape)
    weights = torch.from_numpy(points.weights).float()
    placed = []
    for start in range(0, len(pose.expr), 64):
        part = HeadPose(*[value[start : start + 64] for value in still])
        vertices = pose_vertices(model, neutral, part) - model.joints[0]
        corners = vertices[:, torch.from_numpy(points.corners)]  # [t, P, 3, 3]
        placed.append((corners * weights[..., None]).sum(2).numpy())
    return np.concatenate(placed)


def depth_modes(model: HeadModel, rest: Floats) -> Floats:
    """Smooth changes of depth over face and hair, one sigma each; other parts follow. [M, V]"""
    faces = _used_faces(model)
    members = np.unique(faces)
    place = np.full(len(rest), -1)
    place[members] = np.arange(len(members))
    values, vectors = _vibrations(rest[members], place[faces])
    # Each loose piece of the mesh has a constant of its own, which vibrates at no frequency.
    first = int((values > STILL * values[-1]).argmax())
    modes, values = (part[..., first : first + N_DEPTH_MODES] for part in (vectors, values))
    modes = modes / np.sqrt((modes**2).mean(0)) * np.sqrt(values[0] / values)
    peak = np.abs(modes).argmax(0)
    modes *= np.sign(modes[peak, np.arange(modes.shape[1])])  # an eigenvector's sign is arbitrary
    outline = landmarks_on(model, torch.from_numpy(rest))[list(FACE_OVAL)].numpy()
    away, _ = cKDTree(outline).query(rest[members])
    is_face = np.isin(members, vertices_of(model, FACE_REGIONS))
    away[is_face] = 0
    spread_m = np.minimum(FACE_DEPTH_M + HAIR_DEPTH_RISE * away, HAIR_DEPTH_M)
    # No camera sees the back; it stays as built.
    spread_m *= np.clip(1 + _forwardness(rest, faces)[members] / BACK_FADE, 0, 1)
    modes *= spread_m[:, None]
    # What is neither face nor hair goes with the face vertex next to it.
    _, nearest = cKDTree(rest[members[is_face]]).query(rest)
    spread = modes[is_face][nearest]  # [V, M]
    spread[members] = modes
    for vertices in _rigid_parts(model):
        spread[vertices] = spread[vertices].mean(0)
    result: Floats = spread.T.copy()
    return result


def vertices_of(model: HeadModel, regions: tuple[str, ...]) -> Ints:
    """Vertices of the triangles of some regions, in order."""
    labels = [REGIONS.index(name) for name in regions]
    return np.unique(model.faces.numpy()[np.isin(model.face_regions.numpy(), labels)])


def _vibrations(vertices: Floats, faces: Ints) -> tuple[Floats, Floats]:
    """Slowest vibrations of a mesh, the constant first: values [M], vectors [V, M]."""
    if len(vertices) <= MAX_DENSE_VERTICES:
        values, vectors = np.linalg.eigh(graph_laplacian(vertices, faces))
        return values, vectors
    laplacian = sparse_laplacian(vertices, faces)
    # Loose pieces and a start of our own: equal meshes give equal modes.
    start = np.linspace(1.0, 2.0, len(vertices))
    values, vectors = eigsh(laplacian, N_DEPTH_MODES + 1, sigma=-1e-3, v0=start)
    return values, vectors


def _forwardness(rest: Floats, faces: Ints) -> Floats:
    """How far each vertex's normal points to the front, -1 to 1. [V]"""
    corners = rest[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sums = np.zeros_like(rest)
    for corner in range(3):
        np.add.at(sums, faces[:, corner], normals)
    forward: Floats = sums[:, 2] / np.maximum(np.linalg.norm(sums, axis=1), 1e-12)
    return forward


def _used_faces(model: HeadModel) -> Ints:
    labels = [REGIONS.index(name) for name in REGIONS_USED]
    return model.faces.numpy()[np.isin(model.face_regions.numpy(), labels)]


def _rigid_parts(model: HeadModel) -> list[Ints]:
    """Vertices of each eyeball and each row of teeth."""
    weights = model.weights.numpy()
    parts = [np.flatnonzero(weights[:, joint] > 0) for joint in (3, 4)]
    teeth = vertices_of(model, ("teeth",))
    lower = weights[teeth, 2] > LOWER_TEETH
    return [*parts, teeth[lower], teeth[~lower]]
