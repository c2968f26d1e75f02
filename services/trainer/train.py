"""Tracked dataset -> avatar."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from services.trainer.avatar_writer import run_key, write_avatar, write_heldout_pose
from services.trainer.checkpoints import (
    SHARE_BETWEEN,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from services.trainer.densification import choose_change
from services.trainer.frames import FrameCache, frame_order, read_ahead
from services.trainer.optimizer import Adam
from services.trainer.options import TrainOptions
from services.trainer.registration import register_training
from services.trainer.run import Run
from services.trainer.seeds import ReferenceFrames, choose_references, choose_seeds
from services.trainer.ssim import ssim
from services.trainer.studio import build_studio, shrink_image
from services.trainer.subject import build_subject
from shared.avatar_method import AvatarMethod, TrainableModel
from shared.contracts.artifact import MANIFEST
from shared.contracts.avatar import AvatarManifest
from shared.dataset_reader import TrackedDataset, open_dataset, valid_frames
from shared.errors import InvalidInput
from shared.media.image import write_png
from shared.plugins import load_plugin
from shared.progress import Progress, part_of
from shared.rasterizer import Rendered
from shared.rasterizer_choice import open_rasterizer

SSIM_WEIGHT = 0.2
HOLE_WEIGHT = 0.1
COARSE_SHARE = 0.15
"""Share of the steps on pictures of half the size."""
COARSE_SHRINK = 2
DENSIFY_SHARES = (0.15, 0.25, 0.35, 0.45, 0.55)
"""When Gaussians are added, as shares of all steps."""
REGISTER_SHARES = (0.15, 0.4, 0.65)
"""When every training frame's head pose and torso are registered anew."""
SETTLE_SHARE = 0.7
"""When a model settles what it has learned of the tracking."""
N_ERROR_FRAMES = 12
VALIDATE_SHARES = tuple(share / 10 for share in range(1, 11))
VALIDATION_EVERY = 40
"""One training frame in so many is kept for the validation curve."""
MIN_TRAIN_FRAMES = 25
STEPS_PER_FRAME = 2
"""Of a long capture so many frames are used, evenly chosen, that each has this many steps."""


def train_avatar(
    dataset: Path, options: TrainOptions, out: Path, progress: Progress
) -> AvatarManifest:
    """Fit ``options.method`` to ``dataset`` and write the avatar artifact into ``out``.

    A training that was killed goes on from its last checkpoint in ``out`` and ends in the same
    bytes.

    Raises:
        InvalidInput: ``too_short`` when too few frames can be used, and what opening the dataset
            and the plug-ins raise.
    """
    opened = open_dataset(dataset)
    # The name in the manifest and in the checkpoints' key is that of what draws.
    options = options.model_copy(update={"rasterizer": open_rasterizer(options.rasterizer)[0]})
    progress(0.0, "looking at the capture")
    run, references = prepare_run(opened, options)
    method: AvatarMethod = load_plugin("shared.avatar_methods", options.method)
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    model, curve = fit_model(
        run, references, method, options, out=out, progress=part_of(progress, 0.05, 0.93)
    )
    write_heldout_pose(run, model, out, part_of(progress, 0.93, 1.0))
    manifest = write_avatar(run, model, options, curve, out)
    progress(1.0, "avatar written")
    return manifest


def prepare_run(dataset: TrackedDataset, options: TrainOptions) -> tuple[Run, ReferenceFrames]:
    """Everything that is settled before the first step."""
    frames = valid_frames(dataset, 0, dataset.manifest.n_train)
    if len(frames) < MIN_TRAIN_FRAMES:
        raise InvalidInput(
            "too_short",
            f"{len(frames)} usable training frames, at least {MIN_TRAIN_FRAMES} are needed; "
            "film longer or hold out less",
        )
    validation = frames[VALIDATION_EVERY // 2 :: VALIDATION_EVERY]
    budget = options.budget()
    train = _thin([frame for frame in frames if frame not in set(validation)], budget.n_steps)
    references = choose_references(dataset, train)
    subject = build_subject(dataset, references.usual)
    _, rasterizer = open_rasterizer(options.rasterizer)
    studio = build_studio(rasterizer, subject, dataset, (1, COARSE_SHRINK))
    cache = FrameCache(dataset)
    run = Run(dataset, subject, studio, cache, train, validation, budget, options.seed)
    return run, references


def _thin(frames: list[int], n_steps: int) -> list[int]:
    """At most as many frames as the steps can serve, evenly chosen."""
    n_most = max(MIN_TRAIN_FRAMES, n_steps // STEPS_PER_FRAME)
    if len(frames) <= n_most:
        return frames
    return [frames[place] for place in np.linspace(0, len(frames) - 1, n_most).round().astype(int)]


def fit_model(
    run: Run,
    references: ReferenceFrames,
    method: AvatarMethod,
    options: TrainOptions,
    *,
    out: Path,
    progress: Progress,
) -> tuple[TrainableModel, list[dict[str, float]]]:
    """The training loop."""
    key = run_key(run, options)
    checkpoint = load_checkpoint(out / "checkpoints", key)
    if checkpoint is None:
        seeds = choose_seeds(run.dataset, references, run.budget.n_start, run.seed)
        model = method.create(run.subject, seeds, options.method_options, run.seed)
        optimizer, start, curve = Adam(model), 0, []
    else:
        model = method.restore(run.subject, checkpoint.model, options.method_options)
        optimizer, start, curve = Adam(model), checkpoint.step, checkpoint.curve
        optimizer.restore(checkpoint.optimizer)
    n_steps = run.budget.n_steps
    densify_at = {round(share * n_steps): k for k, share in enumerate(DENSIFY_SHARES, 1)}
    register_at = {round(share * n_steps) for share in REGISTER_SHARES}
    settle_at = max(1, round(SETTLE_SHARE * n_steps))
    validate_at = {round(share * n_steps) for share in VALIDATE_SHARES}
    save_every = max(1, int(SHARE_BETWEEN * n_steps))
    pictures = read_ahead(run.cache, frame_order(run.train, run.seed, start))
    for step in range(start, n_steps):
        frame, target = next(pictures)
        shrink = COARSE_SHRINK if step < COARSE_SHARE * n_steps else 1
        drawn = run.studio.draw_condition(model, model.training_condition(frame), shrink)
        loss = picture_loss(drawn, shrink_image(target, shrink)) + model.regularisation(frame)
        optimizer.step(loss, step / n_steps)
        done = step + 1
        if done in densify_at and done < n_steps:
            densify(run, model, optimizer, densify_at[done])
        if done in register_at:
            progress(done / n_steps, "registering the training frames")
            register_training(run, model)
        if done == settle_at:
            model.settle()
        if done in validate_at:
            curve.append(
                {"step": done, **validate(run, model, out / "previews" / f"{done:07d}.png")}
            )
        if done % save_every == 0 and done < n_steps:
            state = Checkpoint(done, model.tensors(), optimizer.tensors(), curve)
            save_checkpoint(out / "checkpoints", key, state)
        if done % 10 == 0:
            progress(
                done / n_steps, f"training, {len(model.tensors()['opacity_logits'])} Gaussians"
            )
    return model, curve


def picture_loss(drawn: Rendered, target: Tensor) -> Tensor:
    """L1 and structural dissimilarity, as in 3D Gaussian Splatting, and no holes in the person.

    Args:
        drawn: The picture.
        target: RGB, and 1 inside the person. [H, W, 4]
    """
    colors = target[..., :3].contiguous()
    holes = (target[..., 3] * (1 - drawn.alpha)).mean()
    return (
        (1 - SSIM_WEIGHT) * (drawn.colors - colors).abs().mean()
        + SSIM_WEIGHT * (1 - ssim(drawn.colors, colors))
        + HOLE_WEIGHT * holes
    )


def densify(run: Run, model: TrainableModel, optimizer: Adam, occasion: int) -> None:
    """Grow towards the budget where some training frames are worst."""
    generator = np.random.default_rng([run.seed, 2, occasion])
    frames = generator.choice(run.train, min(N_ERROR_FRAMES, len(run.train)), replace=False)
    errors = []
    with torch.no_grad():
        for frame in frames:
            gaussians = model.pose(model.training_condition(int(frame)))
            target = torch.from_numpy(run.cache.read(int(frame))[..., :3]).float() / 255
            error = (run.studio.draw(gaussians).colors - target).abs().mean(-1)
            seen = gaussians.means @ run.subject.viewmat[:3, :3].T + run.subject.viewmat[:3, 3]
            places = (seen[:, :2] / seen[:, 2:]) @ run.subject.K[:2, :2].T + run.subject.K[:2, 2]
            errors.append((error.numpy(), places.numpy()))
    share = occasion / len(DENSIFY_SHARES)
    n_wanted = round(run.budget.n_start + share * (run.budget.n_gaussians - run.budget.n_start))
    change = choose_change(errors, gaussians.opacities, n_wanted, generator)
    optimizer.select(change.sources, change.is_new)
    noise = generator.standard_normal((len(change.sources), 3)).astype(np.float32)
    model.split(change.shrinks, change.is_new, torch.from_numpy(noise))


def validate(run: Run, model: TrainableModel, preview: Path) -> dict[str, float]:
    """Mean PSNR and SSIM of the validation frames, driven by tracking alone; keeps a picture."""
    if not run.validation:
        return {}
    figures = []
    with torch.no_grad():
        conditions = model.condition(run.subject.training_pose)
        for frame in run.validation:
            image = run.studio.draw_condition(model, conditions[frame]).colors.clamp(0, 1)
            target = torch.from_numpy(run.cache.read(frame)[..., :3].copy()).float() / 255
            mse = float((image - target).square().mean())
            figures.append((-10 * math.log10(mse), float(ssim(image, target))))
    preview.parent.mkdir(parents=True, exist_ok=True)
    pair = torch.cat([target, image], 1)
    write_png(preview, (pair * 255).round().byte().numpy())
    psnr_db, similarity = np.mean(figures, axis=0)
    return {"psnr_db": round(float(psnr_db), 4), "ssim": round(float(similarity), 5)}
