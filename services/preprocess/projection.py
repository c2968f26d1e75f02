"""Projects the fitted head into the pictures."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from services.preprocess.head_fit import HeadFit, landmarks_of
from services.preprocess.regions import ProjectedMesh
from shared.geometry.cameras import project, to_camera
from shared.head_model import N_FACE_LANDMARKS, HeadPose, neutral_vertices, pose_vertices

F32 = NDArray[np.float32]

AXES_M = 0.06
"""Length of the drawn pose axes."""


class ProjectedHead(NamedTuple):
    """A head in one picture."""

    mesh: ProjectedMesh
    axes: F32  # [4, 2] pixels: origin, then the ends of the subject's x, y and z


def pose_of(fit: HeadFit, frame: int) -> HeadPose:
    """Head-model parameters of one frame, as a batch of one."""
    row = slice(frame, frame + 1)
    return HeadPose(
        expr=fit.expr[row],
        rotation=fit.rotation[row],
        neck_pose=fit.neck_pose[row],
        jaw_pose=fit.jaw_pose[row],
        eyes_pose=fit.eyes_pose[row],
        translation=fit.translation[row],
    )


def project_head(fit: HeadFit, frame: int) -> ProjectedHead:
    """Where the head model lies in a frame's picture."""
    model = fit.head_model
    neutral = neutral_vertices(model, fit.shape)
    pose = pose_of(fit, frame)
    vertices = pose_vertices(model, neutral, pose)[0]  # [V, 3]
    K = fit.Ks[frame]
    # The head turns about the root joint; its axes are the posed differences of four points.
    ends = torch.cat([torch.zeros(1, 3), AXES_M * torch.eye(3)])  # [4, 3]
    rigid = model._replace(
        expr_basis=torch.zeros(len(model.expression_names), 4, 3),
        weights=torch.eye(5)[:1].expand(4, 5),
        pose_basis=None,
    )
    axes = pose_vertices(rigid, ends, pose)[0]
    return ProjectedHead(
        mesh=ProjectedMesh(
            points=project(vertices, fit.viewmat, K).numpy(),
            depth=to_camera(vertices, fit.viewmat)[:, 2].numpy(),
            faces=model.faces.numpy(),
            labels=model.face_regions.numpy(),
        ),
        axes=project(axes, fit.viewmat, K).numpy(),
    )


def landmark_errors(fit: HeadFit, landmarks: F32) -> F32:
    """Root mean square distance of the mesh to the landmarks, pixels.

    Args:
        fit: The fitted head.
        landmarks: Crop pixels; irises, which have no vertex of their own, are left out.
            [T, 478, 3]

    Returns:
        One error per frame. [T]
    """
    face = slice(0, N_FACE_LANDMARKS)
    apart = landmarks_of(fit)[:, face, :2] - landmarks[:, face, :2]
    return np.asarray(np.sqrt(np.square(apart).sum(-1).mean(-1)), dtype=np.float32)
