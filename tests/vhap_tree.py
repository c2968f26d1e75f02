"""A folder as VHAP exports it, of the made-up person before three cameras, written by hand."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.head_model import save_head_model
from shared.media.image import write_png
from tests.tracked_person import SIDE, make_fit, pose_of, take_picture

WIDTH, LEFT = 48, 8
"""Pictures are this wide, cut out of the square from this column on."""
ANGLES = (-0.35, 0.0, 0.3)
"""Of the cameras about the head, rad; the second faces the person."""
N_TRAIN, N_TEST = 13, 2
VALIDATION_CAMERA = 2


class Tree(NamedTuple):
    """What was written."""

    folder: Path
    viewmats: list[Tensor]  # [4, 4] each
    K: Tensor  # [3, 3] of the cut pictures


def orbit(viewmat: Tensor, angle: float) -> Tensor:
    """The camera swung about the world's origin. [4, 4]"""
    turn = torch.eye(4)
    turn[0, 0] = turn[2, 2] = math.cos(angle)
    turn[0, 2], turn[2, 0] = math.sin(angle), -math.sin(angle)
    return viewmat @ turn


def write_vhap_tree(folder: Path) -> Tree:
    """Write it; the head model is not FLAME, so it lies beside."""
    n_frames = N_TRAIN + N_TEST
    fit = make_fit(n_frames)
    viewmats = [orbit(fit.viewmat, angle) for angle in ANGLES]
    K = fit.Ks[0].clone()
    K[0, 2] -= LEFT
    for name in ("images", "fg_masks", "flame_param"):
        (folder / name).mkdir(parents=True)
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "val": [], "test": []}
    for time in range(n_frames):
        _write_params(folder / "flame_param" / f"{time:05d}.npz", n_frames, time)
        for camera, viewmat in enumerate(viewmats):
            picture = take_picture(fit._replace(viewmat=viewmat), time)
            stem = f"{time:05d}_{camera:02d}.png"
            write_png(folder / "images" / stem, _cut(picture.image))
            write_png(folder / "fg_masks" / stem, _cut(picture.matte))
            split = "test" if time >= N_TRAIN else "train"
            if split == "train" and camera == VALIDATION_CAMERA:
                split = "val"
            splits[split].append(_entry(time, camera, viewmat, K))
    for name, frames in splits.items():
        text = json.dumps({"cx": 0, "cy": 0, "frames": frames})
        (folder / f"transforms_{name}.json").write_text(text, "utf-8")
    _write_params(folder / "canonical_flame_param.npz", n_frames, 0)
    save_head_model(folder / "head_model.npz", fit.head_model)
    (folder / "talksplat.json").write_text('{"head_model": "open_head"}', "utf-8")
    return Tree(folder, viewmats, K)


def _entry(time: int, camera: int, viewmat: Tensor, K: Tensor) -> dict[str, Any]:
    pose = np.linalg.inv(viewmat.double().numpy())
    pose = pose @ np.diag([1.0, -1, -1, 1])  # OpenCV to OpenGL
    return {
        "timestep_index": time + 100,
        "timestep_index_original": time,
        "timestep_id": f"{time:05d}",
        "camera_index": camera,
        "camera_id": f"cam{camera}",
        "cx": float(K[0, 2]), "cy": float(K[1, 2]), "fl_x": float(K[0, 0]),
        "fl_y": float(K[1, 1]), "h": SIDE, "w": WIDTH,
        "camera_angle_x": 0.1, "camera_angle_y": 0.1,
        "transform_matrix": pose.tolist(),
        "file_path": f"images/{time:05d}_{camera:02d}.png",
        "fg_mask_path": f"fg_masks/{time:05d}_{camera:02d}.png",
        "flame_param_path": f"flame_param/{time:05d}.npz",
    }  # fmt: skip


def _write_params(path: Path, n_frames: int, time: int) -> None:
    fit = make_fit(n_frames)
    rows = {name: values[[time]].numpy() for name, values in pose_of(fit)._asdict().items()}
    offset = np.zeros((1, len(fit.head_model.template), 3), np.float32)
    np.savez(path, **rows, shape=fit.shape.numpy(), static_offset=offset)


def _cut(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(picture[:, LEFT : LEFT + WIDTH])
