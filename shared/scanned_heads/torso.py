"""Shoulders and chest below a head mesh that ends at the neck.

The same sheet as the open head's (``open_head_parts.surroundings``): rings around the neck's axis,
skinned to the root, following no shape and no expression. What a picture shows of clothes rides
on it.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.contracts.tracked_dataset import REGIONS
from shared.head_model import N_JOINTS, HeadModel, landmarks_on
from shared.landmarks import LEFT_IRIS, RIGHT_IRIS
from shared.open_head_parts.part import grid_faces
from shared.open_head_parts.surroundings import NECK_CENTRE_Z, NECK_RADII, TORSO_RINGS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_COLUMNS = 32
NECK_RING = (-0.17, *NECK_RADII)
"""The ring above the torso's first, where the open head's neck ends; a mesh's own neck overlaps."""


def with_torso(model: HeadModel) -> HeadModel:
    """The model with a torso after its own vertices and faces, below the point between irises."""
    irises = landmarks_on(model, model.template)[[LEFT_IRIS[0], RIGHT_IRIS[0]]].double().numpy()
    rings, torso_faces = _sheet(irises.mean(0))
    n, extra = len(model.template), len(rings)

    def wider(fields: Tensor) -> Tensor:
        return torch.nn.functional.pad(fields, (0, 0, 0, extra))

    rooted = torch.zeros(extra, N_JOINTS)
    rooted[:, 0] = 1
    labels = torch.full((len(torso_faces),), REGIONS.index("torso"), dtype=torch.uint8)
    return model._replace(
        template=torch.cat([model.template, torch.from_numpy(rings).float()]),
        shape_basis=wider(model.shape_basis),
        expr_basis=wider(model.expr_basis),
        pose_basis=None if model.pose_basis is None else wider(model.pose_basis),
        weights=torch.cat([model.weights, rooted]),
        faces=torch.cat([model.faces, torch.from_numpy(torso_faces) + n]),
        face_regions=torch.cat([model.face_regions, labels]),
    )


def _sheet(eyes: Floats) -> tuple[Floats, Ints]:
    """Vertices [P, 3] and triangles [F, 3] of the rings."""
    angle = np.linspace(0, 2 * np.pi, N_COLUMNS, endpoint=False)  # 0 in front, + on the left
    vertices = np.concatenate(
        [
            np.stack(
                [
                    wide * np.sin(angle),
                    np.full_like(angle, height),
                    NECK_CENTRE_Z + deep * np.cos(angle),
                ],
                axis=1,
            )
            for height, wide, deep in (NECK_RING, *TORSO_RINGS)
        ]
    )
    index = np.arange(len(vertices)).reshape(-1, N_COLUMNS).T
    return eyes + vertices, grid_faces(np.concatenate([index, index[:1]])[::-1])
