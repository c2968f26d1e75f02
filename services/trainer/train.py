"""Tracked dataset -> avatar."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from services.trainer.avatar_writer import (
    count_gaussians,
    run_key,
    write_avatar,
    write_heldout_pose,
)
from services.trainer.densification import MIN_OPACITY, choose_change, in_layers
from services.trainer.frames import FrameCache, frame_order, read_ahead, windowed_order
from services.trainer.losses import lip_square, part_loss, picture_loss
from services.trainer.optimizer import Adam
from services.trainer.options import TrainOptions
from services.trainer.registration import register_training
from services.trainer.run import Run
from services.trainer.seeds import ReferenceFrames, choose_references, choose_seeds
from services.trainer.ssim import ssim
from services.trainer.studio import build_studio, shrink_image, shrink_intrinsics
from services.trainer.subject import build_subject
from services.trainer.surface_loss import surface_loss
from services.trainer.timeline import build_timeline
from shared.avatar_abilities import Scheduled, Sparing
from shared.avatar_method import AvatarMethod, TrainableModel
from shared.contracts.artifact import MANIFEST
from shared.contracts.avatar import AvatarManifest
from shared.dataset_reader import (
    TrackedDataset,
    check_pictures,
    open_dataset,
    valid_frames,
)
from shared.errors import InvalidInput
from shared.landmarks import mouth_opening
from shared.media.image import write_png
from shared.plugins import load_plugin
from shared.progress import Progress, part_of
from shared.rasterizer import RenderedSurfels
from shared.rasterizer_choice import open_rasterizer
from shared.training_checkpoints import (
    SHARE_BETWEEN,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from shared.upper_face import N_BROWS

COARSE_SHRINK = 2
"""Of the pictures at first."""
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
    check_pictures(opened)
    # The name in the manifest and in the checkpoints' key is that of what draws.
    options = options.model_copy(update={"rasterizer": open_rasterizer(options.rasterizer)[0]})
    progress(0.0, "looking at the capture")
    method: AvatarMethod = load_plugin("shared.avatar_methods", options.method)
    run, references = prepare_run(opened, method, options)
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    model, curve = fit_model(
        run, references, method, options, out=out, progress=part_of(progress, 0.05, 0.93)
    )
    write_heldout_pose(run, model, out, part_of(progress, 0.93, 1.0))
    manifest = write_avatar(run, model, options, curve, out)
    progress(1.0, "avatar written")
    return manifest


def prepare_run(
    dataset: TrackedDataset, method: AvatarMethod, options: TrainOptions
) -> tuple[Run, ReferenceFrames]:
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
    timeline = build_timeline(dataset)
    needs = method.needs(options.method_options)
    schedule = method.schedule(options.method_options)
    if timeline and (needs.audio_encoder or schedule.parts):
        raise InvalidInput(
            "several_cameras",
            f"{options.method} learns from one camera with its sound, the dataset has several; "
            "choose the method rigged_gaussians",
        )
    of_capture = set(timeline.reference) if timeline else set(train)
    references = choose_references(dataset, [frame for frame in train if frame in of_capture])
    subject = build_subject(dataset, references.usual, needs, timeline)
    _, rasterizer = open_rasterizer(options.rasterizer)
    studio = build_studio(rasterizer, subject, dataset, (1, COARSE_SHRINK))
    cache = FrameCache(dataset, with_mouth=bool(schedule.parts))
    run = Run(
        dataset=dataset,
        subject=subject,
        studio=studio,
        cache=cache,
        train=train,
        validation=validation,
        budget=budget,
        needs=needs,
        schedule=schedule,
        seed=options.seed,
        timeline=timeline,
    )
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
        seeds = [
            points._replace(frame=run.moment(points.frame))
            for points in choose_seeds(run.dataset, references, run.budget.n_start, run.seed)
        ]
        model = method.create(run.subject, seeds, options.method_options, run.seed)
        optimizer, start, curve = Adam(model), 0, []
    else:
        model = method.restore(run.subject, checkpoint.model, options.method_options)
        optimizer, start, curve = Adam(model), checkpoint.step, checkpoint.curve
        optimizer.restore(checkpoint.optimizer)
    n_steps, schedule = run.budget.n_steps, run.schedule
    densify_at = {round(share * n_steps): k for k, share in enumerate(schedule.densify_shares, 1)}
    register_at = {round(share * n_steps) for share in schedule.register_shares}
    settle_at = max(1, round(schedule.settle_share * n_steps))
    validate_at = {round(share * n_steps) for share in VALIDATE_SHARES}
    save_every = max(1, int(SHARE_BETWEEN * n_steps))
    pictures = read_ahead(run.cache, choose_order(run, start))
    for step in range(start, n_steps):
        if isinstance(model, Scheduled):
            told = part_of(progress, step / n_steps, (step + 1) / n_steps)
            optimizer.forget(model.begin_step(step, n_steps, told))
        frame, target = next(pictures)
        loss = frame_loss(run, model, frame, target, step / n_steps)
        optimizer.step(loss, step / n_steps)
        done = step + 1
        if done in densify_at and done < n_steps:
            densify(run, model, optimizer, densify_at[done])
        if done in register_at:
            # No step is done meanwhile, but each frame is told: a minute's silence looks stalled.
            told = part_of(progress, done / n_steps, (done + 1) / n_steps)
            register_training(run, model, told)
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
            progress(done / n_steps, f"training, {count_gaussians(model)} Gaussians")
    return model, curve


def choose_order(run: Run, start: int) -> Iterator[int]:
    """Frames of the steps from ``start`` on."""
    order = frame_order(run.train, run.seed, start)
    windows = run.schedule.windows
    if not windows:
        return order
    upper_face = run.subject.training_performance.upper_face
    signals = {"lip_opening": mouth_opening(run.dataset.tracking["landmarks"].astype(np.float32))}
    if upper_face is not None:
        signals["blink"] = upper_face[:, N_BROWS:].mean(1).numpy()
    pool = (run.train, run.budget.n_steps, run.seed)
    return windowed_order(order, windows, signals, pool, start)


def frame_loss(run: Run, model: TrainableModel, frame: int, target: Tensor, done: float) -> Tensor:
    """What one training frame costs, as a whole or by its parts."""
    shrink = COARSE_SHRINK if done < run.schedule.coarse_share else 1
    small = shrink_image(target, shrink)
    lips = lip_square(run.dataset.tracking["landmarks"][frame], target.shape[0], shrink)
    moment = run.moment(frame)
    layers = run.pose(model, model.training_condition(moment), frame)
    parts = [part for part in run.schedule.parts if done < part.until]
    loss = model.regularisation(moment)
    if parts:
        for part in parts:
            loss = loss + part_loss(run.studio, layers, small, part, lips, frame=frame)
        return loss
    view = run.view(frame)
    drawn = run.studio.draw(layers, shrink, view)
    if run.schedule.surface and isinstance(drawn, RenderedSurfels):
        K = shrink_intrinsics(view.K, shrink)
        loss = loss + surface_loss(drawn, run.schedule.surface, done, view.viewmat, K)
    return picture_loss(drawn, small, run.schedule.weights, lips, run.head_distance) + loss


def densify(run: Run, model: TrainableModel, optimizer: Adam, occasion: int) -> None:
    """Grow towards the budget where some training frames are worst."""
    generator = np.random.default_rng([run.seed, 2, occasion])
    frames = generator.choice(run.train, min(N_ERROR_FRAMES, len(run.train)), replace=False)
    errors = []
    with torch.no_grad():
        for frame in frames:
            layers = run.pose(model, model.training_condition(run.moment(int(frame))), int(frame))
            target = torch.from_numpy(run.cache.read(int(frame))[..., :3]).float() / 255
            view = run.view(int(frame))
            error = (run.studio.draw(layers, 1, view).colors - target).abs().mean(-1)
            means = torch.cat([layer.means for layer in layers])
            seen = means @ view.viewmat[:3, :3].T + view.viewmat[:3, 3]
            places = (seen[:, :2] / seen[:, 2:]) @ view.K[:2, :2].T + view.K[:2, 2]
            errors.append((error.numpy(), places.numpy()))
    opacities = torch.cat([layer.opacities for layer in layers])
    if isinstance(model, Sparing):
        spared = model.spare(opacities <= MIN_OPACITY)
        opacities = torch.where(spared, torch.ones_like(opacities), opacities)
    share = occasion / len(run.schedule.densify_shares)
    n_wanted = round(run.budget.n_start + share * (run.budget.n_gaussians - run.budget.n_start))
    change = in_layers(
        choose_change(errors, opacities, n_wanted, generator),
        [len(layer.means) for layer in layers],
    )
    optimizer.select(change.sources, change.is_new)
    noise = generator.standard_normal((len(change.sources), 3)).astype(np.float32)
    model.split(change.shrinks, change.is_new, torch.from_numpy(noise))


def validate(run: Run, model: TrainableModel, preview: Path) -> dict[str, float]:
    """Mean PSNR and SSIM of the validation frames, driven by tracking alone; keeps a picture."""
    if not run.validation:
        return {}
    figures = []
    with torch.no_grad():
        conditions = model.condition(run.subject.training_performance)
        for frame in run.validation:
            image = run.draw(model, conditions[run.moment(frame)], frame).colors.clamp(0, 1)
            target = torch.from_numpy(run.cache.read(frame)[..., :3].copy()).float() / 255
            mse = float((image - target).square().mean())
            figures.append((-10 * math.log10(mse), float(ssim(image, target))))
    preview.parent.mkdir(parents=True, exist_ok=True)
    pair = torch.cat([target, image], 1)
    write_png(preview, (pair * 255).round().byte().numpy())
    psnr_db, similarity = np.mean(figures, axis=0)
    return {"psnr_db": round(float(psnr_db), 4), "ssim": round(float(similarity), 5)}
