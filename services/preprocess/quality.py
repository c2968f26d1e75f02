"""``quality.json``: which frames were rejected and why, and how well each step went."""

from pydantic import BaseModel, ConfigDict

from services.preprocess.sound import SoundReport
from services.preprocess.workspace import (
    CaptureReport,
    CropReport,
    FitReport,
    MatteReport,
    PlateReport,
    Workspace,
    load_report,
)
from shared.contracts.tracked_dataset import RejectedFrame


class QualityReport(BaseModel):
    """Contents of ``quality.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    warnings: dict[str, str]
    """Code and explanation of everything that limits what can be expected."""
    rejected: list[RejectedFrame]
    """Frames not used, with reasons."""
    n_frames: int
    """Training and held-out together."""
    n_train: int
    """The first frames, which everything was tuned on."""
    face_height_px: float
    """Chin to forehead in capture pixels, median over training frames."""
    fit: FitReport
    """How far the fitted mesh is from the landmarks."""
    matte: MatteReport
    """How much of the crop the person covers."""
    plate: PlateReport
    """How much of the background was seen."""
    sound: SoundReport
    """Offset found and taken off."""


def write_quality(space: Workspace) -> list[str]:
    """Gather the steps' notes into ``quality.json``; the codes of all warnings."""
    facts = load_report(space, "track", CaptureReport)
    crop = load_report(space, "crop", CropReport)
    plate = load_report(space, "plate", PlateReport)
    sound = load_report(space, "sound", SoundReport)
    report = QualityReport(
        warnings={**facts.warnings, **crop.warnings, **plate.warnings, **sound.warnings},
        rejected=crop.rejected,
        n_frames=facts.n_frames,
        n_train=facts.n_train,
        face_height_px=crop.face_height_px,
        fit=load_report(space, "fit", FitReport),
        matte=load_report(space, "matte", MatteReport),
        plate=plate,
        sound=sound,
    )
    text = report.model_dump_json(indent=2) + "\n"
    (space.folder / "quality.json").write_text(text, encoding="utf-8")
    return sorted(report.warnings)
