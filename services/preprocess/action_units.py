"""Reads OpenFace's action units into a tracked dataset, in place of tracked brows and blinks.

OpenFace 2.2's ``au.csv`` has a row per video frame with intensities from 0 to 5. What the methods
take is seven numbers: AU 1, 2 and 4 move brows, AU 45 is the blink, clipped at 2 and halved as in
KU GaussianTalker.
"""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.contracts.artifact import write_arrays, write_manifest
from shared.contracts.motion import UPPER_FACE_TABLE
from shared.contracts.tracked_dataset import TrackedDatasetManifest
from shared.dataset_reader import open_dataset
from shared.errors import InvalidInput

F64 = NDArray[np.float64]

UNITS = {"AU04_r": (0, 1), "AU01_r": (2,), "AU02_r": (3, 4), "AU45_r": (5, 6)}
"""Columns of the table, and the places of UPPER_FACE_UNITS that they fill."""
_HIGHEST = 5.0
_HIGHEST_BLINK = 2.0
_MAX_FAILED = 0.2
"""Share of rows in which OpenFace saw no face; they are filled from their neighbours."""
_MAX_BYTES = 200 * 2**20


def import_action_units(table: Path, dataset: Path) -> TrackedDatasetManifest:
    """Store brows and blinks of ``table`` as the dataset's ``upper_face.npz``.

    Rows are taken at the dataset's frame times where the table has time stamps; else it must have
    as many rows as the dataset has frames. Avatars trained from then on use them.

    Raises:
        InvalidInput: ``bad_action_units`` and what opening the dataset raises; then nothing is
            written.
    """
    tracked = open_dataset(dataset)
    manifest = tracked.manifest
    columns = _read_columns(table)
    seen = columns["success"] > 0 if "success" in columns else np.ones(len(columns["AU45_r"]), bool)
    if seen.mean() < 1 - _MAX_FAILED:
        raise InvalidInput(
            "bad_action_units",
            f"{table.name}: OpenFace saw a face in {int(seen.sum())} of {len(seen)} rows, "
            f"at least {1 - _MAX_FAILED:.0%} are needed; run it on the capture itself",
        )
    times = _row_times(table, columns, manifest)
    wanted = np.arange(manifest.n_frames) / manifest.fps
    upper_face = np.zeros((manifest.n_frames, 7), np.float32)
    for name, places in UNITS.items():
        values = np.interp(wanted, times[seen], columns[name][seen])
        highest = _HIGHEST_BLINK if name == "AU45_r" else _HIGHEST
        upper_face[:, places] = (values.clip(0, highest) / highest)[:, None]
    write_arrays(dataset / "upper_face.npz", {"upper_face": upper_face}, UPPER_FACE_TABLE)
    write_manifest(dataset, manifest)
    return manifest


def _read_columns(table: Path) -> dict[str, F64]:
    """The table's columns that are used, as numbers."""
    if table.stat().st_size > _MAX_BYTES:
        raise InvalidInput("bad_action_units", f"{table.name} is larger than {_MAX_BYTES} bytes")
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            header, *rows = list(csv.reader(stream, skipinitialspace=True))
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise InvalidInput(
            "bad_action_units", f"{table.name} is not a table of comma-separated values: {error}"
        ) from error
    names = [name.strip() for name in header]
    if missing := sorted(UNITS.keys() - set(names)):
        raise InvalidInput(
            "bad_action_units",
            f"{table.name} has no column {', '.join(missing)}; run OpenFace's FeatureExtraction "
            "with -aus",
        )
    if any(len(row) != len(names) for row in rows) or not rows:
        raise InvalidInput(
            "bad_action_units", f"{table.name}: every row must have {len(names)} values"
        )
    used = [name for name in (*UNITS, "success", "timestamp", "face_id") if name in names]
    try:
        columns = {name: np.array([float(row[names.index(name)]) for row in rows]) for name in used}
    except ValueError as error:
        raise InvalidInput("bad_action_units", f"{table.name}: {error}") from error
    if unreal := [name for name, values in columns.items() if not np.isfinite(values).all()]:
        raise InvalidInput(
            "bad_action_units", f"{table.name}: {', '.join(unreal)} has values that are no numbers"
        )
    if len(np.unique(columns.get("face_id", np.zeros(1)))) > 1:
        raise InvalidInput(
            "bad_action_units", f"{table.name} has several faces; a capture must show one"
        )
    return columns


def _row_times(table: Path, columns: dict[str, F64], manifest: TrackedDatasetManifest) -> F64:
    """When each row was filmed, s."""
    n_rows, n_frames = len(columns["AU45_r"]), manifest.n_frames
    if "timestamp" not in columns:
        if n_rows != n_frames:
            raise InvalidInput(
                "bad_action_units",
                f"{table.name} has {n_rows} rows and no time stamps, the dataset {n_frames} "
                "frames; run OpenFace on the capture at 25 frames per second",
            )
        return np.arange(n_frames) / manifest.fps
    times = columns["timestamp"]
    last = (n_frames - 1) / manifest.fps
    if (np.diff(times) <= 0).any() or times[0] > 1 / manifest.fps or times[-1] < last - 0.1:
        raise InvalidInput(
            "bad_action_units",
            f"{table.name} has time stamps from {times[0]:.2f} to {times[-1]:.2f} s, the dataset "
            f"lasts {last:.2f} s; they must rise and cover it",
        )
    return times
