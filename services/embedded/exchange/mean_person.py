"""``fused.ply``: the subject at their mean expression, as points that other trainings start from.

The layout is that of 3D Gaussian Splatting's start clouds: place, normal and colour of every
vertex; triangles besides, so that it is also a mesh. SyncGaussianTalker starts from such a file
made of the mean identity and expression.
"""

from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from services.embedded.exchange.ply_file import write_points
from shared.avatar_method import AvatarModel, Subject, each_track
from shared.head_model import HeadPose, neutral_vertices, pose_vertices
from shared.layers import join_layers

SOLID = 0.3
"""Gaussians below this opacity lend their colour to no vertex."""


def write_mean_person(path: Path, subject: Subject, model: AvatarModel) -> None:
    """Write the mean person, upright and looking ahead, in metres."""
    pose = mean_pose(subject.training_pose)
    head = subject.head_model
    with torch.no_grad():
        posed = pose_vertices(head, neutral_vertices(head, subject.shape), pose)[0]
        colors = _vertex_colors(subject, model, posed)
    normals = vertex_normals(posed, head.faces)
    columns = {
        **{name: posed[:, axis].numpy() for axis, name in enumerate("xyz")},
        **{f"n{name}": normals[:, axis].numpy() for axis, name in enumerate("xyz")},
        **{name: colors[:, k].numpy() for k, name in enumerate(("red", "green", "blue"))},
    }
    write_points(path, columns, head.faces.numpy())


def mean_pose(track: HeadPose) -> HeadPose:
    """Mean expression, jaw and gaze of a track, with the head straight at the origin. [1, ...]"""
    mean = HeadPose(*(values.mean(0, keepdim=True) for values in track))
    zero = torch.zeros(1, 3)
    return mean._replace(rotation=zero, neck_pose=zero, translation=zero)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals, weighted by the area of the faces around. [V, 3]"""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    across = torch.linalg.cross(b - a, c - a)
    summed = torch.zeros_like(vertices)
    for corner in range(3):
        summed.index_add_(0, faces[:, corner], across)
    return torch.nn.functional.normalize(summed, dim=1)


def _vertex_colors(subject: Subject, model: AvatarModel, vertices: Tensor) -> Tensor:
    """Colour of the nearest solid Gaussian of the same, usual head pose. uint8 [V, 3]"""
    # The avatar is posed as it was filmed, where it looks best, and the mesh along with it.
    track = subject.training_pose
    usual = HeadPose(*(values.median(0, keepdim=True).values for values in track))
    filmed = mean_pose(track)._replace(
        rotation=usual.rotation, neck_pose=usual.neck_pose, translation=usual.translation
    )
    heard = each_track(
        subject.training_performance, lambda values: values.median(0, keepdim=True).values
    )
    performance = heard._replace(pose=filmed)
    head = subject.head_model
    places = pose_vertices(head, neutral_vertices(head, subject.shape), filmed)[0]
    gaussians = join_layers(model.pose(model.condition(performance)[0]))
    solid = gaussians.opacities > SOLID
    if not bool(solid.any()):
        return torch.full_like(vertices, 128).byte()
    nearest = cKDTree(gaussians.means[solid].numpy()).query(places.numpy())[1]
    chosen = gaussians.colors[solid][torch.from_numpy(nearest.astype(np.int64)), :3]
    return (chosen.clamp(0, 1) * 255).round().byte()
