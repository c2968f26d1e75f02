"""What somebody supplies beside videos: OpenFace's tables, and the motion that drove the video."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from shared.contracts.artifact import Arrays, read_arrays, read_manifest
from shared.contracts.motion import MOTION_TABLE, MotionManifest
from shared.dataset_reader import TrackedDataset
from shared.errors import InvalidInput
from shared.head_model import (
    HeadModel,
    HeadPose,
    landmark_patch,
    landmarks_on,
    load_head_model,
    neutral_vertices,
    pose_vertices,
)
from shared.landmarks import LIPS

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

LOWER_UNITS = (10, 12, 14, 15, 17, 20, 23, 25, 26)
"""Action units of the mouth and the jaw (TalkingGaussian's choice)."""
UPPER_UNITS = (1, 2, 4, 5, 6, 7, 9, 45)
"""Action units of brows, eyes, cheeks and nose."""
_MAX_BYTES = 200 * 2**20
_MAX_DIFFERENCE = 2
"""Rows by which tables of the same frames may differ: encoders add or drop one at the end."""


class ActionUnitPair(NamedTuple):
    """Intensities 0 to 5 of LOWER_UNITS and UPPER_UNITS, row by row; NaN without a face."""

    video: F64  # [T, 17]
    reference: F64  # [T, 17]


class ExpressionPair(NamedTuple):
    """What drove a video's frames, and what was tracked in the capture's."""

    names: tuple[str, ...]
    driven: F32  # [T, E]
    tracked: F32  # [T, E], NaN where the frame was rejected
    driven_jaw: F32  # [T, 3] rad
    tracked_jaw: F32  # [T, 3] rad
    driven_lips: F32  # [T, 40, 3] m, of the subject's head held still
    tracked_lips: F32  # [T, 40, 3] m


def read_action_units(video: Path, reference: Path) -> ActionUnitPair:
    """Read OpenFace's tables of the video and of the same frames of the capture.

    Raises:
        InvalidInput: ``bad_action_units``.
    """
    tables = [_read_table(path) for path in (video, reference)]
    rows = [len(table) for table in tables]
    if abs(rows[0] - rows[1]) > _MAX_DIFFERENCE:
        raise InvalidInput(
            "bad_action_units",
            f"{video.name} has {rows[0]} rows and {reference.name} {rows[1]}; run OpenFace on the "
            "video and on the same frames of the capture",
        )
    return ActionUnitPair(*(table[: min(rows)] for table in tables))


def read_expressions(motion: Path, dataset: TrackedDataset) -> ExpressionPair:
    """Read a video's motion and the tracked parameters of the dataset's held-out frames.

    Raises:
        InvalidInput: ``motion_incompatible`` when their head models or expressions differ, and what
            opening the motion raises.
    """
    manifest = read_manifest(motion, MotionManifest)
    driven = read_arrays(motion / "motion.npz", MOTION_TABLE)
    model = load_head_model(dataset.folder / "head_model.npz")
    names = tuple(manifest.expression_names)
    if (manifest.head_model, names) != (dataset.manifest.head_model, model.expression_names):
        raise InvalidInput(
            "motion_incompatible",
            f"the motion has {len(names)} expressions of {manifest.head_model}, the dataset "
            f"{len(model.expression_names)} of {dataset.manifest.head_model}; judge a motion of "
            "the dataset's own head model",
        )
    first = dataset.manifest.n_train
    n_frames = min(manifest.n_frames, dataset.manifest.n_frames - first)
    tracked = {name: dataset.tracking[name][first : first + n_frames] for name in MOTION_TABLE}
    driven = {name: values[:n_frames] for name, values in driven.items()}
    shape = dataset.tracking["shape"].astype(np.float32)
    is_bad = ~np.asarray(dataset.tracking["is_valid"][first : first + n_frames], dtype=bool)
    expr = tracked["expr"].astype(np.float32)
    lips = _lips(model, shape, tracked)
    expr[is_bad] = lips[is_bad] = np.nan
    return ExpressionPair(
        names=names,
        driven=driven["expr"].astype(np.float32),
        tracked=expr,
        driven_jaw=driven["jaw_pose"].astype(np.float32),
        tracked_jaw=tracked["jaw_pose"].astype(np.float32),
        driven_lips=_lips(model, shape, driven),
        tracked_lips=lips,
    )


def _lips(model: HeadModel, shape: F32, motion: Arrays) -> F32:
    """Lip landmarks on the mesh; expression and jaw move, the head does not. -> [T, 40, 3] m"""
    patch, _ = landmark_patch(model)
    n_frames = len(motion["expr"])
    still = torch.zeros(n_frames, 3)
    pose = HeadPose(
        expr=torch.from_numpy(motion["expr"].astype(np.float32)),
        rotation=still,
        neck_pose=still,
        jaw_pose=torch.from_numpy(motion["jaw_pose"].astype(np.float32)),
        eyes_pose=torch.zeros(n_frames, 6),
        translation=still,
    )
    vertices = pose_vertices(patch, neutral_vertices(patch, torch.from_numpy(shape)), pose)
    return np.asarray(landmarks_on(patch, vertices)[:, list(LIPS)].numpy(), dtype=np.float32)


def _read_table(table: Path) -> F64:
    """Intensities of the 17 units. [T, 17]"""
    if table.stat().st_size > _MAX_BYTES:
        raise InvalidInput("bad_action_units", f"{table.name} is larger than {_MAX_BYTES} bytes")
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            header, *rows = list(csv.reader(stream, skipinitialspace=True))
        names = [name.strip() for name in header]
        wanted = [f"AU{unit:02d}_r" for unit in LOWER_UNITS + UPPER_UNITS]
        places = [names.index(name) for name in wanted]
        values = np.array([[float(row[place]) for place in places] for row in rows])
        if "success" in names:
            values[[float(row[names.index("success")]) == 0 for row in rows]] = np.nan
    except (UnicodeDecodeError, csv.Error, ValueError, IndexError) as error:
        raise InvalidInput(
            "bad_action_units",
            f"{table.name} is not a table of OpenFace's FeatureExtraction with -aus: {error}",
        ) from error
    if not len(values):
        raise InvalidInput("bad_action_units", f"{table.name} has no rows")
    return values.reshape(-1, len(wanted))
