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
from services.embedded.exchange.vhap_pictures import Canvas, write_pictures
from shared.contracts.artifact import write_arrays, write_manifest
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
    head = read_head(folder, models_dir)
    plan = plan_rows(splits["train"], splits["val"], splits["test"])
    sequences = _read_sequences(folder, plan, head)
    sizes = {(row.frame.w, row.frame.h) for row in plan.rows}
    if len(sizes) > 1:
        raise InvalidInput(
            "bad_exchange_file", f"pictures of {folder} have several sizes: {sorted(sizes)}"
        )
    canvas = Canvas(*sizes.pop())
    clear_folder(out)
    first = sequences[plan.rows[0].timestep]
    model, shape = of_person(head, first, folder)
    save_head_model(out / "head_model.npz", model)
    cameras = [camera_of(row.frame) for row in plan.rows]
    Ks = torch.stack([canvas.shift(K) for _, K in cameras])
    pose = HeadPose(
        *(
            torch.cat([getattr(sequences[row.timestep].pose, name) for row in plan.rows])
            for name in HeadPose._fields
        )
    )
    neutral = neutral_vertices(model, shape)
    landmarks = np.zeros((len(plan.rows), 478, 3), np.float32)
    for number, row in enumerate(plan.rows):
        still = HeadPose(*(values[number : number + 1] for values in pose))
        vertices = pose_vertices(model, neutral, still)[0]
        viewmat = cameras[number][0]
        marks = landmarks_on(model, vertices)
        landmarks[number, :, :2] = project(marks, viewmat, Ks[number]).numpy()
        write_pictures(
            folder, row.frame, out, number, canvas, model, (vertices, viewmat, Ks[number])
        )
        progress((number + 1) / len(plan.rows), "reading frames")
    arrays = {name: values.numpy() for name, values in pose._asdict().items()} | {
        "shape": shape.numpy(),
        "landmarks": landmarks,
        "crops": np.tile(np.float32(canvas.crop), (len(plan.rows), 1)),
        "Ks": Ks.numpy(),
        "viewmat": cameras[0][0].numpy(),
        "is_valid": np.array([row.is_valid for row in plan.rows]),
    }
    write_arrays(out / "tracking.npz", arrays, TRACKING_TABLE)
    if len(plan.cameras) > 1:
        _write_views(out, plan, cameras)
    canvas.write_plate(out / "plate.png")
    (out / "quality.json").write_text('{"source": "vhap"}\n', encoding="utf-8")
    (out / "importing").unlink()
    source = (folder / "transforms_train.json").read_bytes()
    manifest = TrackedDatasetManifest(
        n_frames=len(plan.rows),
        n_train=plan.n_train,
        capture_sha256=hashlib.sha256(source).hexdigest(),
        capture_width=canvas.width,
        capture_height=canvas.height,
        crop_size=canvas.side,
        head_model=head.name,
        expression_names=list(model.expression_names),
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


def _read_sequences(folder: Path, plan: Plan, head: Head) -> dict[int, FlameSequence]:
    """Parameters of each moment, [1, ...], by our number of it."""
    n_expressions = len(head.model.expression_names)
    found: dict[int, FlameSequence] = {}
    for row in plan.rows:
        if row.timestep not in found:
            path = file_inside(folder, row.frame.flame_param_path, "the FLAME parameters")
            found[row.timestep] = read_sequence(path, n_expressions)
    return found


def _write_views(out: Path, plan: Plan, cameras: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    places = {camera: place for place, camera in enumerate(plan.cameras)}
    of_rows = [places[row.frame.camera_index] for row in plan.rows]
    first = [of_rows.index(place) for place in range(len(plan.cameras))]
    ids = [
        plan.rows[row].frame.camera_id or f"camera_{plan.rows[row].frame.camera_index:02d}"
        for row in first
    ]
    arrays = {
        "camera_ids": np.array(ids, dtype="<U32"),
        "viewmats": np.stack([cameras[row][0].numpy() for row in first]),
        "cameras": np.array(of_rows, np.int32),
        "timesteps": np.array([row.timestep for row in plan.rows], np.int32),
    }
    write_arrays(out / VIEWS, arrays, VIEWS_TABLE)
