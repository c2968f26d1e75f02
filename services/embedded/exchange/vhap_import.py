"""A dataset of VHAP (what GaussianAvatars trains on) as a tracked dataset, of one camera or more.

Training moments come first, each with all its cameras; pictures of the validation camera are
kept, marked as not to be trained on. The test split's moments are held out, as the camera that
faces the person sees them.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from services.embedded.exchange.flame_params import FlameSequence, read_sequence
from services.embedded.exchange.head_exchange import Head, clear_folder, of_person, read_head
from services.embedded.exchange.vhap_format import (
    SPLITS,
    VhapFrame,
    camera_of,
    file_inside,
    read_transforms,
)
from services.embedded.exchange.vhap_pictures import Canvas, Seen, read_pictures, write_pictures
from shared.contracts.artifact import Arrays, write_arrays, write_manifest
from shared.contracts.tracked_dataset import (
    TRACKING_TABLE,
    VIEWS_TABLE,
    RejectedFrame,
    TrackedDatasetManifest,
)
from shared.dataset_views import VIEWS
from shared.errors import InvalidInput
from shared.geometry.cameras import project
from shared.head_model import (
    HeadModel,
    HeadPose,
    landmarks_on,
    neutral_vertices,
    pose_vertices,
    save_head_model,
)
from shared.progress import Progress

VALIDATION = "kept for validation: its camera is held out"


class Row(NamedTuple):
    """One frame of the tracked dataset."""

    frame: VhapFrame
    timestep: int
    is_valid: bool


class Plan(NamedTuple):
    """Frames in their order."""

    rows: list[Row]
    n_train: int
    cameras: list[int]
    """Camera indices of VHAP in our order; the first faces the person."""


class Scene(NamedTuple):
    """What all frames show, and of whom."""

    plan: Plan
    canvas: Canvas
    head_name: str
    model: HeadModel
    shape: torch.Tensor  # [K]
    pose: HeadPose  # T frames
    viewmats: torch.Tensor  # [T, 4, 4]
    Ks: torch.Tensor  # [T, 3, 3] px of the square


def import_vhap(
    folder: Path, out: Path, models_dir: Path, progress: Progress
) -> TrackedDatasetManifest:
    """Make a tracked dataset of a VHAP dataset.

    Raises:
        InvalidInput: ``exchange_file_missing``, ``bad_exchange_file``, ``folder_occupied``,
            ``expression_mismatch``, ``moving_vertices``.
        MissingModel: it is FLAME's and the file of the published model is not there.
    """
    splits = {split: read_transforms(folder, split) for split in SPLITS}
    if not splits["train"]:
        raise InvalidInput(
            "exchange_file_missing", f"{folder / 'transforms_train.json'} is not there, or empty"
        )
    plan = plan_rows(splits["train"], splits["val"], splits["test"])
    scene = _read_scene(folder, plan, read_head(folder, models_dir))
    clear_folder(out)
    save_head_model(out / "head_model.npz", scene.model)
    write_arrays(out / "tracking.npz", _write_frames(folder, scene, out, progress), TRACKING_TABLE)
    if len(plan.cameras) > 1:
        write_arrays(out / VIEWS, _views(scene), VIEWS_TABLE)
    scene.canvas.write_plate(out / "plate.png")
    (out / "quality.json").write_text('{"source": "vhap"}\n', encoding="utf-8")
    (out / "importing").unlink()
    source = (folder / "transforms_train.json").read_bytes()
    manifest = TrackedDatasetManifest(
        n_frames=len(plan.rows),
        n_train=plan.n_train,
        capture_sha256=hashlib.sha256(source).hexdigest(),
        capture_width=scene.canvas.width,
        capture_height=scene.canvas.height,
        crop_size=scene.canvas.side,
        head_model=scene.head_name,
        expression_names=list(scene.model.expression_names),
        tracker="vhap",
        has_audio=False,
        audio_offset_ms=None,
        warnings=["no_audio"],
        rejected=[
            RejectedFrame(frame=number, reason=VALIDATION)
            for number, row in enumerate(plan.rows)
            if not row.is_valid
        ],
    )
    write_manifest(out, manifest)
    return manifest


def plan_rows(train: list[VhapFrame], val: list[VhapFrame], test: list[VhapFrame]) -> Plan:
    """Order frames: training moments with all cameras, then the held-out moments.

    Raises:
        InvalidInput: ``bad_exchange_file`` where no camera shows all moments of the training.
    """
    moments = {moment: place for place, moment in enumerate(_moments(train))}
    reference = _facing_camera(train, len(moments))
    others = sorted({frame.camera_index for frame in (*train, *val)} - {reference})
    cameras = [reference, *others]
    shown = {(frame.timestep_index, frame.camera_index): (frame, False) for frame in val}
    shown = {key: found for key, found in shown.items() if key[0] in moments}
    shown |= {(frame.timestep_index, frame.camera_index): (frame, True) for frame in train}
    rows = [
        Row(*_with_place(shown[moment, camera], moments[moment]))
        for moment in moments
        for camera in cameras
        if (moment, camera) in shown
    ]
    later = [moment for moment in _moments(test) if moment not in moments]
    heldout = {frame.timestep_index: frame for frame in test if frame.camera_index == reference}
    kept = [moment for moment in later if moment in heldout]
    rows += [
        Row(heldout[moment], len(moments) + place, is_valid=True)
        for place, moment in enumerate(kept)
    ]
    return Plan(rows, len(rows) - len(kept), cameras)


def _with_place(found: tuple[VhapFrame, bool], timestep: int) -> tuple[VhapFrame, int, bool]:
    frame, is_valid = found
    return frame, timestep, is_valid


def _moments(frames: Iterable[VhapFrame]) -> list[int]:
    return sorted({frame.timestep_index for frame in frames})


def _facing_camera(train: list[VhapFrame], n_moments: int) -> int:
    """The camera that looks at the face most directly, of those that show all moments."""
    by_camera: dict[int, list[VhapFrame]] = {}
    for frame in train:
        by_camera.setdefault(frame.camera_index, []).append(frame)
    complete = {k: frames for k, frames in by_camera.items() if len(frames) == n_moments}
    if not complete:
        raise InvalidInput(
            "bad_exchange_file",
            f"none of the {len(by_camera)} training cameras shows all {n_moments} moments",
        )
    # The third axis of an OpenGL camera points backwards: out of the face for one before it.
    return max(complete, key=lambda k: complete[k][0].transform_matrix[2][2])


def _read_scene(folder: Path, plan: Plan, head: Head) -> Scene:
    """Parameters, cameras and the person of all frames."""
    sequences: dict[int, FlameSequence] = {}
    for row in plan.rows:
        if row.timestep not in sequences:
            path = file_inside(folder, row.frame.flame_param_path, "the FLAME parameters")
            sequences[row.timestep] = read_sequence(path, len(head.model.expression_names))
    sizes = {(row.frame.w, row.frame.h) for row in plan.rows}
    if len(sizes) > 1:
        raise InvalidInput(
            "bad_exchange_file", f"pictures of {folder} have several sizes: {sorted(sizes)}"
        )
    canvas = Canvas(*sizes.pop())
    model, shape = of_person(head, sequences[plan.rows[0].timestep], folder)
    cameras = [camera_of(row.frame) for row in plan.rows]
    poses = [sequences[row.timestep].pose for row in plan.rows]
    return Scene(
        plan=plan,
        canvas=canvas,
        head_name=head.name,
        model=model,
        shape=shape,
        pose=HeadPose(*(torch.cat(values) for values in zip(*poses, strict=True))),
        viewmats=torch.stack([viewmat for viewmat, _ in cameras]),
        Ks=torch.stack([canvas.shift(K) for _, K in cameras]),
    )


def _write_frames(folder: Path, scene: Scene, out: Path, progress: Progress) -> Arrays:
    """Write the pictures of all frames; what is tracked in them is returned."""
    rows, model = scene.plan.rows, scene.model
    neutral = neutral_vertices(model, scene.shape)
    landmarks = np.zeros((len(rows), 478, 3), np.float32)
    for number, row in enumerate(rows):
        still = HeadPose(*(values[number : number + 1] for values in scene.pose))
        vertices = pose_vertices(model, neutral, still)[0]
        seen = Seen(vertices, scene.viewmats[number], scene.Ks[number])
        marks = landmarks_on(model, vertices)
        landmarks[number, :, :2] = project(marks, seen.viewmat, seen.K).numpy()
        pictures = read_pictures(folder, row.frame, scene.canvas)
        write_pictures(out, number, pictures, model, seen)
        progress((number + 1) / len(rows), "reading frames")
    return {
        **{name: values.numpy() for name, values in scene.pose._asdict().items()},
        "shape": scene.shape.numpy(),
        "landmarks": landmarks,
        "crops": np.tile(np.array(scene.canvas.crop, np.float32), (len(rows), 1)),
        "Ks": scene.Ks.numpy(),
        "viewmat": scene.viewmats[0].numpy(),
        "is_valid": np.array([row.is_valid for row in rows]),
    }


def _views(scene: Scene) -> Arrays:
    """Arrays of VIEWS_TABLE."""
    rows, cameras = scene.plan.rows, scene.plan.cameras
    of_rows = [cameras.index(row.frame.camera_index) for row in rows]
    first = [of_rows.index(place) for place in range(len(cameras))]
    ids = [
        rows[row].frame.camera_id or f"camera_{rows[row].frame.camera_index:02d}" for row in first
    ]
    return {
        "camera_ids": np.array(ids, dtype="<U32"),
        "viewmats": scene.viewmats[first].numpy(),
        "cameras": np.array(of_rows, np.int32),
        "timesteps": np.array([row.timestep for row in rows], np.int32),
    }
