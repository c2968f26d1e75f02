"""The open head: a head model that needs no licensed file.

Face in MediaPipe's 468-point topology, hair shell, neck, torso, mouth and teeth by construction,
expression units in ARKit's vocabulary (``shared.open_head_parts``). FLAME's layout and five
joints, after Li et al. 2017; without pose correctives.
"""

from pathlib import Path

import torch

from shared.head_model import N_FACE_LANDMARKS, N_JOINTS, Freedom, HeadModel, MeanHead
from shared.open_head_parts.assembly import build_open_head, expression_follow

NEEDS_FILE = None
"""No operator's file is needed (``shared.model_files`` names those that others need)."""

FREEDOM = Freedom(units_m=0.0006, offset_m=0.0, lowest_jaw=-0.6, is_scaled=True)
"""Units are coarse and bend to the person; the shape's harmonics leave nothing for an offset."""
IRISES = ((3, 473), (4, 468))
"""Joint and iris landmark of the left and the right eye."""


def build(models_dir: Path | None = None) -> HeadModel:
    """The mean head, before it is fitted to a subject."""
    del models_dir
    return build_open_head()


def mean_head(models_dir: Path | None = None) -> MeanHead:
    """The mean head, with what fitting needs: each eyeball's centre moves with its ball."""
    model = build(models_dir)
    basis = torch.zeros(len(model.shape_basis), N_JOINTS, 3)
    for joint, iris in IRISES:
        basis[:, joint] = model.shape_basis[:, model.landmark_vertices[iris]]
    return MeanHead(
        model,
        joint_basis=basis,
        landmark_trust=torch.ones(N_FACE_LANDMARKS),
        follow=expression_follow(),
        freedom=FREEDOM,
    )
