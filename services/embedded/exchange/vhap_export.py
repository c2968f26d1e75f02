"""A tracked dataset as VHAP would have exported it, for GaussianAvatars to train on."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from services.embedded.exchange.flame_params import WIDTHS, FlameSequence, write_sequence
from services.embedded.exchange.head_exchange import static_offset, write_head
from services.embedded.exchange.vhap_format import CANONICAL, CANONICAL_JAW, to_transform
from shared.dataset_reader import TrackedDataset, open_dataset, read_frame, read_matte
from shared.dataset_views import DatasetViews, read_views
from shared.head_model import HeadPose, load_head_model
from shared.media.image import write_png
from shared.progress import Progress


def export_vhap(dataset: Path, out: Path, models_dir: Path, progress: Progress) -> None:
    """Write pictures, mattes, parameters and cameras; held-out frames are the test split.

    Raises:
        MissingModel: the head is FLAME's and the file of the published model is not there.
    """
    opened = open_dataset(dataset)
    views = read_views(opened)
    name = opened.manifest.head_model
    model = load_head_model(dataset / "head_model.npz")
    offset = static_offset(name, model, models_dir)
    shape = torch.from_numpy(opened.tracking["shape"])
    write_head(out, name, model)
    for folder in ("images", "fg_masks", "flame_param"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "val": [], "test": []}
    for row in range(opened.manifest.n_frames):
        entry = _entry(opened, views, row)
        splits[_split_of(opened, row)].append(entry)
        write_png(out / entry["file_path"], read_frame(opened, row))
        write_png(out / entry["fg_mask_path"], read_matte(opened, row))
        pose = HeadPose(
            *(torch.from_numpy(opened.tracking[field][[row]]) for field in HeadPose._fields)
        )
        write_sequence(out / entry["flame_param_path"], FlameSequence(pose, shape, offset))
        progress((row + 1) / opened.manifest.n_frames, "writing frames")
    for split, frames in splits.items():
        _write_transforms(out / f"transforms_{split}.json", frames)
    # The file whose presence tells readers that the head moves.
    canonical = FlameSequence(_canonical_pose(len(model.expr_basis)), shape, offset)
    write_sequence(out / CANONICAL, canonical)


def _split_of(dataset: TrackedDataset, row: int) -> str:
    if row >= dataset.manifest.n_train:
        return "test"
    return "train" if dataset.tracking["is_valid"][row] else "val"


def _entry(dataset: TrackedDataset, views: DatasetViews, row: int) -> dict[str, Any]:
    K = np.asarray(dataset.tracking["Ks"][row], np.float64)
    size = dataset.manifest.crop_size
    timestep, camera = int(views.timesteps[row]), int(views.cameras[row])
    stem = f"{timestep:05d}_{camera:02d}"
    return {
        "timestep_index": timestep,
        "timestep_index_original": timestep,
        "timestep_id": f"frame_{timestep:05d}",
        "camera_index": camera,
        "camera_id": views.camera_ids[camera],
        "cx": K[0, 2],
        "cy": K[1, 2],
        "fl_x": K[0, 0],
        "fl_y": K[1, 1],
        "w": size,
        "h": size,
        "camera_angle_x": 2 * math.atan(size / (2 * K[0, 0])),
        "camera_angle_y": 2 * math.atan(size / (2 * K[1, 1])),
        "transform_matrix": to_transform(torch.from_numpy(views.viewmats[camera])),
        "file_path": f"images/{stem}.png",
        "fg_mask_path": f"fg_masks/{stem}.png",
        "flame_param_path": f"flame_param/{timestep:05d}.npz",
    }


def _write_transforms(path: Path, frames: list[dict[str, Any]]) -> None:
    shared = {
        name: frames[0][name]
        for name in ("cx", "cy", "fl_x", "fl_y", "w", "h", "camera_angle_x", "camera_angle_y")
        if frames
    }
    indices = {
        "timestep_indices": sorted({frame["timestep_index"] for frame in frames}),
        "camera_indices": sorted({frame["camera_index"] for frame in frames}),
    }
    path.write_text(json.dumps(shared | indices | {"frames": frames}, indent=1) + "\n", "utf-8")


def _canonical_pose(n_expressions: int) -> HeadPose:
    widths = {"expr": n_expressions, **WIDTHS}
    pose = HeadPose(*(torch.zeros(1, widths[name]) for name in HeadPose._fields))
    return pose._replace(jaw_pose=torch.tensor([[CANONICAL_JAW, 0.0, 0.0]]))
