"""Small stand-ins for what a test does not test: a head, an avatar, a rasterizer."""

import torch
from torch import Tensor

from shared.avatar_method import Performance, Subject
from shared.contracts.tracked_dataset import REGIONS
from shared.gaussians import Gaussians
from shared.head_model import N_JOINTS, HeadModel, HeadPose
from shared.landmarks import FACE_OVAL
from shared.layers import Layers

FAKE_EXPRESSIONS = ("jawOpen", "mouthClose")
FAKE_CROP_SIZE = 64


class FakeAvatarModel:
    """A ball of a head on a block of a torso; the ball follows the head pose.

    Its colour tells the frame's first expression coefficient.
    """

    def __init__(self, n_gaussians: int = 600) -> None:
        generator = torch.Generator().manual_seed(0)
        half = n_gaussians // 2
        directions = torch.randn(half, 3, generator=generator)
        ball = 0.09 * torch.nn.functional.normalize(directions, dim=1)
        block = (torch.rand(n_gaussians - half, 3, generator=generator) - 0.5) * torch.tensor(
            [0.24, 0.2, 0.02]
        ) - torch.tensor([0.0, 0.17, 0.0])
        self._ball, self._block = ball, block

    def condition(self, performance: Performance) -> Tensor:
        """Translation and the first expression. -> [T, 4]"""
        motion = performance.pose
        return torch.cat([motion.translation, motion.expr[:, :1]], dim=1)

    def pose(self, condition: Tensor) -> Layers:
        """Round Gaussians of 1 cm."""
        means = torch.cat([self._ball + condition[:3], self._block])
        n = len(means)
        colors = torch.full((n, 3), 0.5)
        colors[:, 0] = condition[3].clamp(0, 1)
        posed = Gaussians(
            means=means,
            quats=torch.tensor([1.0, 0, 0, 0]).expand(n, 4).contiguous(),
            scales=torch.full((n, 3), 0.01),
            opacities=torch.full((n,), 0.9),
            colors=colors,
        )
        return (posed,)

    def regions(self) -> Tensor | None:
        """The ball is the face, the block the torso. [N]"""
        labels = [REGIONS.index("face")] * len(self._ball) + [REGIONS.index("torso")] * len(
            self._block
        )
        return torch.tensor(labels, dtype=torch.uint8)


def fake_head_model() -> HeadModel:
    """All landmarks in the middle of the head, but for the face's outline, a circle of 7 cm."""
    template = torch.zeros(478, 3)
    angles = torch.arange(len(FACE_OVAL)) * (2 * torch.pi / len(FACE_OVAL))
    template[list(FACE_OVAL), 0] = 0.07 * angles.sin()
    template[list(FACE_OVAL), 1] = 0.07 * angles.cos()
    weights = torch.zeros(478, N_JOINTS)
    weights[:, 0] = 1
    return HeadModel(
        template=template,
        shape_basis=torch.zeros(1, 478, 3),
        expr_basis=torch.zeros(len(FAKE_EXPRESSIONS), 478, 3),
        expression_names=FAKE_EXPRESSIONS,
        joints=torch.zeros(N_JOINTS, 3),
        weights=weights,
        faces=torch.tensor([[0, 1, 2]]),
        face_regions=torch.zeros(1, dtype=torch.uint8),
        landmark_vertices=torch.arange(478),
    )


def fake_motion(n_frames: int) -> HeadPose:
    """A head that sways by 1 cm while its first expression rises from 0 to 1."""
    translation = torch.zeros(n_frames, 3)
    translation[:, 0] = 0.01 * torch.sin(torch.arange(n_frames) / 5)
    expr = torch.zeros(n_frames, len(FAKE_EXPRESSIONS))
    expr[:, 0] = torch.linspace(0, 1, n_frames)
    return HeadPose(
        expr=expr,
        rotation=torch.zeros(n_frames, 3),
        neck_pose=torch.zeros(n_frames, 3),
        jaw_pose=torch.zeros(n_frames, 3),
        eyes_pose=torch.zeros(n_frames, 6),
        translation=translation,
    )


def fake_subject() -> Subject:
    """The fake head, 1 m before a camera whose crop shows 0.4 m."""
    viewmat = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    viewmat[2, 3] = 1.0
    focal = FAKE_CROP_SIZE / 0.4
    K = torch.tensor([[focal, 0, FAKE_CROP_SIZE / 2], [0, focal, FAKE_CROP_SIZE / 2], [0, 0, 1]])
    return Subject(
        head_model=fake_head_model(),
        shape=torch.zeros(1),
        viewmat=viewmat,
        K=K,
        crop_size=FAKE_CROP_SIZE,
        training_performance=Performance(fake_motion(20)),
        training_body=torch.zeros(20, 6),
    )
