"""What the steps leave for each other in ``work/`` of the dataset folder.

The files are part of the dataset, so that a finished one can be taken up again at any step after
a correction by hand; they are small beside the frames.
"""

from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from services.preprocess.head_fit import HeadFit
from services.preprocess.options import PrepareOptions
from shared.contracts.artifact import Arrays
from shared.contracts.tracked_dataset import RejectedFrame
from shared.errors import InvalidInput
from shared.head_model import load_head_model, save_head_model

_FIT_ARRAYS = tuple(name for name in HeadFit._fields if name != "head_model")


class Report(BaseModel):
    """Base of what a step notes down."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class CaptureReport(Report):
    """Left by ``track``."""

    sha256: str
    width: int
    height: int
    start_s: float
    n_frames: int
    n_train: int
    tracker: str
    warnings: dict[str, str]


class CropReport(Report):
    """Left by ``crop``."""

    size: int
    is_moving: bool
    face_height_px: float
    """Chin to forehead in capture pixels, median over training frames."""
    rejected: list[RejectedFrame]
    warnings: dict[str, str]


class MatteReport(Report):
    """Left by ``matte``."""

    coverage_min: float
    coverage_median: float
    coverage_max: float
    """Shares of the crop that the person covers."""
    is_background_known: bool
    """Whether the mattes were sharpened with the background."""


class PlateReport(Report):
    """Left by ``plate``."""

    seen: float
    """Share of the crop's area seen without the person; the rest is filled in."""
    noise_levels: float
    """Standard deviation of a background pixel over time, of 255."""
    agreement: float
    """Share of uncovered samples near the plate; low when camera or background move."""
    warnings: dict[str, str]


class FitReport(Report):
    """Left by ``fit``."""

    head_model: str = "open_head"
    """Registry name."""
    error_px_train: float
    error_px_held_out: float | None
    """Root mean square distance of mesh and landmarks, median over valid frames, crop pixels."""
    error_px_worst: float
    worst_frame: int


class Workspace(NamedTuple):
    """Paths inside a dataset folder."""

    folder: Path

    @property
    def work(self) -> Path:
        """Folder of intermediate files."""
        return self.folder / "work"

    def frame(self, index: int) -> Path:
        """Stored crop."""
        return self.folder / "frames" / f"{index:06d}.jpg"

    def matte(self, index: int) -> Path:
        """Person matte."""
        return self.folder / "mattes" / f"{index:06d}.png"

    def regions(self, index: int) -> Path:
        """Face regions."""
        return self.folder / "regions" / f"{index:06d}.png"


class Job(NamedTuple):
    """What every step is given."""

    capture: Path
    options: PrepareOptions
    space: Workspace
    models_dir: Path | None
    """Folder of the operator's model files."""


R = TypeVar("R", bound=BaseModel)


def save_report(space: Workspace, name: str, report: BaseModel) -> None:
    """Write a step's notes."""
    text = report.model_dump_json(indent=2) + "\n"
    (space.work / f"{name}.json").write_text(text, encoding="utf-8")


def load_report(space: Workspace, name: str, model: type[R]) -> R:
    """Read a step's notes.

    Raises:
        InvalidInput: ``missing_step`` when the step has not been run in this folder.
    """
    path = space.work / f"{name}.json"
    try:
        return model.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise _missing(name, path) from error


def save_step(space: Workspace, name: str, arrays: Arrays) -> None:
    """Write a step's arrays."""
    np.savez(space.work / f"{name}.npz", **arrays)


def load_step(space: Workspace, name: str) -> Arrays:
    """Read a step's arrays; nothing is unpickled.

    Raises:
        InvalidInput: ``missing_step`` when the step has not been run in this folder.
    """
    path = space.work / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except (OSError, ValueError) as error:
        raise _missing(name, path) from error


def save_fit(space: Workspace, fit: HeadFit) -> None:
    """Write the fitted head: its model as ``head_model.npz``, the rest into ``work/``."""
    save_head_model(space.folder / "head_model.npz", fit.head_model)
    save_step(space, "fit", {name: getattr(fit, name).numpy() for name in _FIT_ARRAYS})


def load_fit(space: Workspace) -> HeadFit:
    """Read the fitted head."""
    arrays = load_step(space, "fit")
    tensors = {name: torch.from_numpy(arrays[name]) for name in _FIT_ARRAYS}
    return HeadFit(head_model=load_head_model(space.folder / "head_model.npz"), **tensors)


def _missing(step: str, path: Path) -> InvalidInput:
    return InvalidInput(
        "missing_step", f"{path} is not there; run from the step {step!r} (or an earlier one) first"
    )
