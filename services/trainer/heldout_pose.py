"""Photometric refinement of the held-out frames' head pose: six numbers per frame, nothing else.

The avatar stays as trained. The tracked expression takes part as a nuisance, as it does in
tracking itself: a raised brow must not be taken for a lifted head. Only rotation and translation
are handed on.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from shared.avatar_method import AvatarModel
from shared.head_model import HeadPose
from shared.progress import Progress

N_ITERATIONS = 3
PROBE = (1e-3, 1e-3, 1e-3, 3e-4, 3e-4, 3e-3)
"""Steps of the difference quotients: radians, then metres; depth shows least."""
PRIOR = (1e-2, 1e-2, 1e-2, 2e-3, 2e-3, 2e-2)
"""How far tracking may be off: the standard deviation that a correction is held to."""
NOISE = 0.02
"""Picture error that counts as noise, in [0, 1]; larger ones count less."""
POINTS_PER_FRAME = 400.0
"""Errors of neighbouring pixels are alike: this many count as independent."""
SHRINK = 2
"""Pictures are compared at half size: registration needs no more."""


def refine_heldout_pose(
    model: AvatarModel,
    tracked: HeadPose,
    *,
    draw: Callable[[Tensor, int], Tensor],
    read_target: Callable[[int], Tensor],
    progress: Progress,
) -> tuple[Tensor, Tensor]:
    """Adjust each held-out frame's rotation and translation to its picture.

    Args:
        model: The trained avatar.
        tracked: The held-out frames. [T, ...]
        draw: Renders a condition at a shrunken size: (condition, shrink) -> [S / shrink, .., 3]
        read_target: A held-out frame, shrunken. -> [S / SHRINK, S / SHRINK, 3]
        progress: Told about each frame.

    Returns:
        Rotation [T, 3] and translation [T, 3].
    """
    poses = torch.cat([tracked.rotation, tracked.translation], 1)
    n_frames = len(poses)
    deltas = torch.zeros_like(poses)
    probes = torch.cat([torch.zeros(1, 6), torch.diag(torch.tensor(PROBE))])
    with torch.no_grad():
        for iteration in range(N_ITERATIONS):
            # Whole motions are conditioned, since a torso depends on the frames before.
            conditions = [
                model.condition(tracked._replace(rotation=moved[:, :3], translation=moved[:, 3:]))
                for moved in (poses + deltas + probe for probe in probes)
            ]
            for frame in range(n_frames):
                images = torch.stack([draw(rows[frame], SHRINK).flatten() for rows in conditions])
                deltas[frame] += correction(images, read_target(frame).flatten(), deltas[frame])
                done = (iteration + (frame + 1) / n_frames) / N_ITERATIONS
                progress(done, "refining held-out head pose")
    refined = poses + deltas
    return refined[:, :3], refined[:, 3:]


def correction(images: Tensor, target: Tensor, delta: Tensor) -> Tensor:
    """One Gauss-Newton step of a frame's pose, with robust weights and a prior.

    Args:
        images: Drawn at the present pose, then at each probe. [7, pixels]
        target: The frame's picture. [pixels]
        delta: Correction so far, which the prior pulls to zero. [6]

    Returns:
        What to add to ``delta``. [6]
    """
    error = target - images[0]
    slope = (images[1:] - images[0]) / torch.tensor(PROBE)[:, None]  # [6, pixels]
    # Cauchy weights: what the avatar cannot show must not pull the head.
    weight = POINTS_PER_FRAME / len(error) / (NOISE**2 + error.square())
    precision = torch.tensor(PRIOR) ** -2
    gram = (slope * weight) @ slope.T + torch.diag(precision)
    return torch.linalg.solve(gram, slope @ (weight * error) - delta * precision)
