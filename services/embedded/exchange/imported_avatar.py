"""Writes an avatar artifact from Gaussians on triangles that another program has trained."""

import shutil
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from shared.avatar_method import AvatarMethod, MethodOptions, Subject, each_track
from shared.avatar_store import TENSORS, save_subject, save_tensors
from shared.contracts.artifact import write_manifest
from shared.contracts.avatar import AvatarManifest
from shared.contracts.tracked_dataset import FPS
from shared.head_model import neutral_vertices
from shared.media.image import write_png
from shared.plugins import load_plugin
from shared.rigging.placing import rest_places
from shared.rigging.view_colors import degree_of

METHOD = "rigged_gaussians"


class Imported(NamedTuple):
    """What was read."""

    subject: Subject
    head_model: str
    gaussians: dict[str, Tensor]
    """Tensors of the method by name, for N Gaussians."""
    own_torso: bool
    crop: tuple[float, float, float]
    capture_size: tuple[int, int]
    """Width and height, px."""
    capture_sha256: str
    n_steps: int
    plate: Path | None
    """A picture of the background; white when None."""


def write_imported(imported: Imported, out: Path) -> AvatarManifest:
    """Write the artifact; ``out`` exists and is empty but for its mark."""
    subject = _two_frames(imported.subject)
    harmonics = imported.gaussians.get("harmonics")
    options: MethodOptions = {
        "n_expression_codes": 0,
        "init": "faces",
        "own_torso": imported.own_torso,
        "sh_degree": 0 if harmonics is None else degree_of(harmonics),
    }
    tensors = _whole(subject, imported.gaussians, options)
    method = cast(AvatarMethod, load_plugin("shared.avatar_methods", METHOD))
    method.restore(subject, tensors, options)  # refuses what does not fit
    save_tensors(out / TENSORS, tensors)
    save_subject(out, subject)
    width, height = imported.capture_size
    if imported.plate:
        shutil.copyfile(imported.plate, out / "plate.png")
    else:
        write_png(out / "plate.png", np.full((height, width, 3), 255, np.uint8))
    (out / "curve.json").write_text("[]\n", encoding="utf-8")
    (out / "importing").unlink()
    manifest = AvatarManifest(
        method=METHOD,
        method_options=options,
        head_model=imported.head_model,
        expression_names=list(subject.head_model.expression_names),
        fps=FPS,
        rasterizer="cpu",
        n_gaussians=len(tensors["binding"]),
        capture_sha256=imported.capture_sha256,
        capture_width=width,
        capture_height=height,
        crop_size=subject.crop_size,
        crop=imported.crop,
        K=subject.K.tolist(),
        viewmat=subject.viewmat.tolist(),
        preset="imported",
        n_steps=imported.n_steps,
        seed=0,
    )
    write_manifest(out, manifest)
    return manifest


def _whole(
    subject: Subject, gaussians: dict[str, Tensor], options: MethodOptions
) -> dict[str, Tensor]:
    """The read tensors with what the method has besides, at its start."""
    method = cast(AvatarMethod, load_plugin("shared.avatar_methods", METHOD))
    model = method.create(subject, [], options, 0)
    tensors = dict(model.tensors())
    n = len(gaussians["binding"])
    for name, dim in model.per_gaussian().items():
        size = list(tensors[name].shape)
        size[dim] = n
        tensors[name] = torch.zeros(size, dtype=tensors[name].dtype)
    neutral = neutral_vertices(subject.head_model, subject.shape)
    rest = rest_places(subject, neutral, gaussians["binding"], gaussians["local"])
    return {**tensors, "rest": rest, **gaussians}


def _two_frames(subject: Subject) -> Subject:
    """A person in a single frame stands still for two: what varies over frames has no spread."""
    if len(subject.training_pose.expr) > 1:
        return subject
    return subject._replace(
        training_performance=each_track(
            subject.training_performance, lambda values: values.repeat(2, 1)
        ),
        training_body=subject.training_body.repeat(2, 1),
    )
