"""An avatar of the made-up person, as a training could have left it, and a motion for it."""

from pathlib import Path

import numpy as np
import torch

from shared.avatar_method import MethodOptions
from shared.avatar_methods import rigged_gaussians
from shared.avatar_store import TENSORS, save_subject, save_tensors
from shared.contracts.artifact import write_arrays, write_manifest
from shared.contracts.avatar import AvatarManifest
from shared.contracts.motion import MOTION_TABLE, MotionManifest
from shared.media.image import write_png
from tests.tracked_person import SIDE, make_seeds, make_subject

N_FRAMES = 30
CAPTURE = (SIDE + 16, SIDE + 8)
"""Width and height, px."""
CROP = (8.0, 4.0, float(SIDE))


def write_rigged_avatar(
    folder: Path, options: MethodOptions, *, is_corrected: bool = True
) -> rigged_gaussians.RiggedGaussians:
    """Write an avatar of odd numbers and return its model.

    Args:
        folder: Where to.
        options: Of the method.
        is_corrected: Whether corrections by expression and head were learned too.
    """
    subject = make_subject(N_FRAMES)._replace(
        training_body=0.01 * torch.sin(torch.arange(N_FRAMES * 6.0)).view(N_FRAMES, 6)
    )
    model = rigged_gaussians.create(subject, make_seeds(spacing=4), options, 0)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name in ("local", "log_scales", "quats", "opacity_logits", "colors"):
            values = getattr(model, name)
            values += 0.1 * torch.randn(values.shape, generator=generator)
        model.pose_deltas += 0.01 * torch.randn(model.pose_deltas.shape, generator=generator)
        if model.options.sh_degree:
            model.harmonics += 0.1 * torch.randn(model.harmonics.shape, generator=generator)
        if is_corrected:
            model.moves += 0.1 * torch.randn(model.moves.shape, generator=generator)
    for parameter in model.parameters():
        parameter.requires_grad_(False)  # noqa: FBT003 - torch
    folder.mkdir(parents=True)
    save_tensors(folder / TENSORS, model.tensors())
    save_subject(folder, subject)
    plate = np.zeros((CAPTURE[1], CAPTURE[0], 3), np.uint8)
    plate[4:-4, 8:-8] = 200
    write_png(folder / "plate.png", plate)
    manifest = AvatarManifest(
        method="rigged_gaussians", method_options=options, head_model="open_head",
        expression_names=list(subject.head_model.expression_names), fps=25, rasterizer="cpu",
        n_gaussians=len(model.binding), capture_sha256="0" * 64, capture_width=CAPTURE[0],
        capture_height=CAPTURE[1], crop_size=SIDE, crop=CROP, K=subject.K.tolist(),
        viewmat=subject.viewmat.tolist(), preset="draft", n_steps=1200, seed=0,
    )  # fmt: skip
    write_manifest(folder, manifest)
    return model


def write_rigged_motion(folder: Path, n_frames: int = 4) -> Path:
    """The person's own motion, for that avatar."""
    folder.mkdir()
    subject = make_subject(N_FRAMES)
    arrays = {
        name: values[5 : 5 + n_frames].numpy()
        for name, values in subject.training_pose._asdict().items()
    }
    write_arrays(folder / "motion.npz", arrays, MOTION_TABLE)
    manifest = MotionManifest(
        fps=25, n_frames=n_frames, head_model="open_head",
        expression_names=list(subject.head_model.expression_names), motion_model="tracked",
        audio_encoder=None, pose_source="tracked",
    )  # fmt: skip
    write_manifest(folder, manifest)
    return folder
