"""Writes the avatar artifact at the end of a training."""

import hashlib
import json
import shutil
from pathlib import Path

import torch
from torch import Tensor

from services.trainer.options import TrainOptions
from services.trainer.registration import register_heldout
from services.trainer.run import Run
from services.trainer.subject import tracked_performance
from shared.avatar_method import TrainableModel
from shared.avatar_store import TENSORS, save_subject, save_tensors
from shared.contracts.artifact import MANIFEST, write_arrays, write_manifest
from shared.contracts.avatar import HELDOUT_TABLE, AvatarManifest
from shared.dataset_reader import read_frame
from shared.progress import Progress


def count_gaussians(model: TrainableModel) -> int:
    """How many Gaussians the model has now."""
    name, dim = next(iter(model.per_gaussian().items()))
    return model.tensors()[name].shape[dim]


def run_key(run: Run, options: TrainOptions) -> str:
    """Names a training by everything its result depends on."""
    manifest = (run.dataset.folder / MANIFEST).read_bytes()
    return hashlib.sha256(manifest + options.model_dump_json().encode()).hexdigest()


def write_heldout_pose(run: Run, model: TrainableModel, out: Path, progress: Progress) -> None:
    """Refine and store the held-out frames' head pose; nothing to do without a hold-out."""
    first, n_frames = run.dataset.manifest.n_train, run.dataset.manifest.n_frames
    if first == n_frames:
        return

    def read_picture(frame: int) -> Tensor:
        return torch.from_numpy(read_frame(run.dataset, first + frame)).float() / 255

    for parameter in model.parameters():
        parameter.requires_grad = False
    rotation, translation = register_heldout(
        run,
        model,
        tracked_performance(run.dataset, run.needs, first, n_frames),
        read_picture,
        progress,
    )
    arrays = {"rotation": rotation.numpy(), "translation": translation.numpy()}
    write_arrays(out / "heldout_pose.npz", arrays, HELDOUT_TABLE)


def write_avatar(
    run: Run,
    model: TrainableModel,
    options: TrainOptions,
    curve: list[dict[str, float]],
    out: Path,
) -> AvatarManifest:
    """Store parameters, subject, plate, curve and manifest; drop the checkpoints."""
    tensors = model.tensors()
    save_tensors(out / TENSORS, tensors)
    save_subject(out, run.subject)
    shutil.copyfile(run.dataset.folder / "plate.png", out / "plate.png")
    (out / "curve.json").write_text(json.dumps(curve, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    dataset = run.dataset.manifest
    left, top, side = (float(value) for value in run.dataset.tracking["crops"][0])
    manifest = AvatarManifest(
        method=options.method,
        method_options=options.method_options,
        head_model=dataset.head_model,
        expression_names=dataset.expression_names,
        fps=dataset.fps,
        rasterizer=options.rasterizer,
        feature_encoder=run.needs.audio_encoder,
        feature_rows=run.needs.audio_rows,
        needs_upper_face=run.needs.upper_face,
        n_gaussians=count_gaussians(model),
        capture_sha256=dataset.capture_sha256,
        capture_width=dataset.capture_width,
        capture_height=dataset.capture_height,
        crop_size=dataset.crop_size,
        crop=(left, top, side),
        K=run.subject.K.tolist(),
        viewmat=run.subject.viewmat.tolist(),
        preset=options.preset,
        n_steps=run.budget.n_steps,
        seed=options.seed,
    )
    write_manifest(out, manifest)
    return manifest
