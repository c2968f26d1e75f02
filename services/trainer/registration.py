"""Gauss-Newton registration of pictures: how the few numbers that place an avatar must change.

Stochastic steps see a frame a few times only; head pose and torso motion of a frame are few
numbers on which the whole picture depends, so difference quotients serve them better.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.trainer.run import Run
from services.trainer.studio import shrink_image
from shared.avatar_method import AvatarModel, Performance, TrainableModel
from shared.progress import Progress

SHRINK = 2
"""Pictures are compared at half size: registration needs no more."""
PROBE = (1e-3, 1e-3, 1e-3, 3e-4, 3e-4, 3e-3)
"""Steps of the difference quotients: radians, then metres; depth shows least."""
PRIOR = (1e-2, 1e-2, 1e-2, 2e-3, 2e-3, 2e-2)
"""Standard deviation that one correction is held to."""
NOISE = 0.02
"""Picture error that counts as noise, in [0, 1]; larger ones count less."""
POINTS_PER_FRAME = 400.0
"""Errors of neighbouring pixels are alike: this many count as independent."""
N_HELDOUT_ROUNDS = 3


def register_training(run: Run, model: TrainableModel, progress: Progress) -> None:
    """One step on head pose and torso of every training moment, in place."""
    placements = model.placements()
    moments = run.moments()
    with torch.no_grad():
        for n_done, (moment, frames) in enumerate(moments):
            progress(n_done / len(moments), "registering the training frames")
            rows = [values[moment] for values in placements]  # views, [6] each

            def render(moment: int = moment, frames: list[int] = frames) -> Tensor:
                condition = model.training_condition(moment)
                drawn = [run.draw(model, condition, frame, SHRINK).colors for frame in frames]
                return torch.stack(drawn).flatten()

            images = [render()]
            for row in rows:
                for axis, step in enumerate(PROBE):
                    kept = row[axis].clone()
                    row[axis] += step
                    images.append(render())
                    row[axis] = kept
            target = torch.cat([_shrunken(run.cache.read(frame)[..., :3]) for frame in frames])
            change = correction(images, target, torch.zeros(6 * len(rows)))
            for values, part in zip(placements, change.split(6), strict=True):
                values[moment] += part


def register_heldout(
    run: Run,
    model: AvatarModel,
    tracked: Performance,
    read_frame: Callable[[int], Tensor],
    progress: Progress,
) -> tuple[Tensor, Tensor]:
    """Head pose of the held-out frames: six numbers per frame, nothing else.

    The avatar stays as trained. The tracked expression takes part as a nuisance, as it does in
    tracking itself: a raised brow must not be taken for a lifted head. Only rotation and
    translation are handed on.

    Args:
        run: The training.
        model: The trained avatar.
        tracked: The held-out frames. [T, ...]
        read_frame: A held-out frame's picture. -> [S, S, 3]
        progress: Told about each frame.

    Returns:
        Rotation [T, 3] and translation [T, 3].
    """
    pose = tracked.pose
    poses = torch.cat([pose.rotation, pose.translation], 1)
    n_frames = len(poses)
    deltas = torch.zeros_like(poses)
    probes = torch.cat([torch.zeros(1, 6), torch.diag(torch.tensor(PROBE))])
    with torch.no_grad():
        for turn in range(N_HELDOUT_ROUNDS):
            # Whole motions are conditioned, since a torso depends on the frames before.
            conditions = [
                model.condition(
                    tracked._replace(
                        pose=pose._replace(rotation=moved[:, :3], translation=moved[:, 3:])
                    )
                )
                for moved in (poses + deltas + probe for probe in probes)
            ]
            for frame in range(n_frames):
                images = [_draw(run, model, rows[frame]) for rows in conditions]
                target = shrink_image(read_frame(frame), SHRINK).flatten()
                deltas[frame] += correction(images, target, deltas[frame])
                done = (turn + (frame + 1) / n_frames) / N_HELDOUT_ROUNDS
                progress(done, "refining held-out head pose")
    refined = poses + deltas
    return refined[:, :3], refined[:, 3:]


def correction(images: Iterable[Tensor], target: Tensor, so_far: Tensor) -> Tensor:
    """One Gauss-Newton step with robust weights and a prior.

    Args:
        images: Drawn as things are, then at each of P probes. P + 1 of [pixels]
        target: The captured picture. [pixels]
        so_far: Sum of earlier corrections, which the prior pulls to zero. [P]

    Returns:
        What to add. [P]
    """
    first, *probed = images
    n_parts = len(probed) // 6
    error = target - first
    steps = torch.tensor(PROBE * n_parts)
    slope = (torch.stack(probed) - first) / steps[:, None]  # [P, pixels]
    # Cauchy weights: what the avatar cannot show must not pull it.
    weight = POINTS_PER_FRAME / len(error) / (NOISE**2 + error.square())
    precision = torch.tensor(PRIOR * n_parts) ** -2
    gram = (slope * weight) @ slope.T + torch.diag(precision)
    return torch.linalg.solve(gram, slope @ (weight * error) - so_far * precision)


def _draw(run: Run, model: AvatarModel, condition: Tensor) -> Tensor:
    return run.studio.draw_condition(model, condition, SHRINK).colors.flatten()


def _shrunken(image: NDArray[np.uint8]) -> Tensor:
    return shrink_image(torch.from_numpy(image).float() / 255, SHRINK).flatten()
