"""A made-up person who turns their head and speaks: known parameters, landmarks, pictures."""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from services.preprocess.head_fit import HeadFit, landmarks_of
from shared.contracts.tracked_dataset import REGIONS
from shared.geometry.cameras import frontal_viewmat, intrinsics, project
from shared.head_model import HeadPose, joints_of, neutral_vertices, pose_vertices
from shared.head_models import open_head

SIZE = 256
DISTANCE_M = 1.1
FOCAL_PX = 1400.0 * SIZE / 512


class Speaker(NamedTuple):
    """The truth, in the form of a fit."""

    fit: HeadFit
    n_train: int


def make_speaker(n_frames: int, n_train: int) -> Speaker:
    """A person unlike the mean one, moving smoothly; deterministic."""
    random = torch.Generator().manual_seed(5)
    head = open_head.mean_head()
    shape = 0.5 * torch.randn(len(head.model.shape_basis), generator=random)
    model = head.model._replace(joints=joints_of(head, shape))
    time = torch.arange(n_frames) / 25

    def waves(n: int, size: float, pace: float) -> torch.Tensor:
        phases = 6.28 * torch.rand(n, generator=random)
        paces = pace * (0.7 + 0.6 * torch.rand(n, generator=random))
        return size * torch.sin(6.28 * time[:, None] * paces + phases)

    expr = torch.zeros(n_frames, len(model.expression_names))
    for name, size in (("mouthFunnel", 0.4), ("mouthSmile_L", 0.3), ("browInnerUp", 0.4)):
        expr[:, model.expression_names.index(name)] = size * 0.5 + waves(1, size / 2, 2.0)[:, 0]
    opening = torch.zeros(n_frames, 3)
    opening[:, 0] = 0.08 + waves(1, 0.07, 3.0)[:, 0]
    zero = torch.zeros(n_frames, 3)
    fit = HeadFit(
        head_model=model,
        shape=shape,
        expr=expr,
        rotation=waves(3, 0.12, 0.6),
        neck_pose=zero,
        jaw_pose=opening,
        eyes_pose=waves(6, 0.1, 0.5) * torch.tensor([1.0, 1, 0, 1, 1, 0]),
        translation=waves(3, 0.01, 0.5),
        Ks=intrinsics(FOCAL_PX, SIZE).expand(n_frames, 3, 3).contiguous(),
        viewmat=frontal_viewmat(DISTANCE_M),
    )
    return Speaker(fit, n_train)


def noisy_landmarks(speaker: Speaker, noise_px: float) -> NDArray[np.float32]:
    """Landmarks as a tracker would find them: jitter, and a depth without origin."""
    marks = landmarks_of(speaker.fit)
    marks[..., 2] -= marks[..., 2].mean(1, keepdims=True)
    marks += np.random.default_rng(3).normal(0, noise_px, marks.shape)
    return marks.astype(np.float32)


def film(fit: HeadFit, frame: int) -> NDArray[np.uint8]:
    """Picture of one frame: a speckled head before a striped wall. [SIZE, SIZE, 3]"""
    model = fit.head_model
    rest = neutral_vertices(model, fit.shape)
    pose = HeadPose(*[getattr(fit, name)[[frame]] for name in HeadPose._fields])
    vertices = pose_vertices(model, rest, pose)[0]
    pixels = project(vertices, fit.viewmat, fit.Ks[frame]).numpy()
    columns = np.arange(SIZE)
    stripes = (110 + 50 * np.sin(columns / 3.0)).astype(np.uint8)
    picture = np.repeat(np.tile(stripes, (SIZE, 1))[..., None], 3, axis=2).copy()
    grey = _speckle(len(model.faces))
    inner = [REGIONS.index("mouth_inside"), REGIONS.index("teeth"), REGIONS.index("torso")]
    faces = model.faces.numpy()
    corners = pixels[faces]
    is_front = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) < 0
    is_drawn = is_front & ~np.isin(model.face_regions.numpy(), inner)
    depth = vertices[:, 2].numpy()[faces].mean(1)
    for face in np.argsort(depth):
        if is_drawn[face]:
            outline = np.round((corners[face] - 0.5) * 16).astype(np.int32)
            cv2.fillConvexPoly(picture, outline, [int(grey[face])] * 3, cv2.LINE_AA, 4)
    return picture


def _speckle(n: int) -> NDArray[np.int64]:
    return np.random.default_rng(11).integers(60, 220, n)
