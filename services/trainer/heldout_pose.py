"""Photometric refinement of the held-out frames' head pose: six numbers per frame, nothing else.

The avatar stays as trained. Expression, jaw and gaze are the training mean, so that nothing of a
held-out frame but its head pose can reach what is spoken later.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from shared.avatar_method import AvatarModel, Subject
from shared.head_model import HeadPose
from shared.progress import Progress

N_ITERATIONS = 30
RATE = 5e-4
SHRINK = 2
"""Pictures are compared at half size: registration needs no more."""


def refine_heldout_pose(
    subject: Subject,
    model: AvatarModel,
    tracked: HeadPose,
    draw: Callable[[Tensor, int], Tensor],
    read_target: Callable[[int], Tensor],
    progress: Progress,
) -> tuple[Tensor, Tensor]:
    """Adjust each held-out frame's rotation and translation to its picture.

    Args:
        subject: Gives the neutral expression: the training mean.
        model: The trained avatar.
        tracked: The held-out frames; only rotation and translation are used. [T, ...]
        draw: Renders a condition at a shrunken size: (condition, shrink) -> [S / shrink, .., 3]
        read_target: A held-out frame, shrunken. -> [S / SHRINK, S / SHRINK, 3]
        progress: Told about each frame.

    Returns:
        Rotation [T, 3] and translation [T, 3].
    """
    n_frames = len(tracked.rotation)
    still = HeadPose(*(values.mean(0, keepdim=True) for values in subject.training_pose))
    poses = torch.cat([tracked.rotation, tracked.translation], 1)
    refined = poses.clone()
    delta = torch.zeros(6)
    for frame in range(n_frames):
        delta = delta.clone().requires_grad_()
        optimizer = torch.optim.Adam([delta], lr=RATE)
        target = read_target(frame)
        for _ in range(N_ITERATIONS):
            pose = (poses[frame] + delta)[None]
            moved = still._replace(rotation=pose[:, :3], translation=pose[:, 3:])
            image = draw(model.condition(moved)[0], SHRINK)
            loss = functional.l1_loss(image, target)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
        delta = delta.detach()
        refined[frame] = poses[frame] + delta
        progress((frame + 1) / n_frames, "refining held-out head pose")
    return refined[:, :3], refined[:, 3:]
