"""Scores: metric names and values of one video, with the baselines beside them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.contracts.artifact import Manifest

QUALITY_BELOW = "quality_below"
"""Fact of a scoring stage whose video does not reach the bars of its job: what, in words; and the
code with which the job then fails."""


class Score(BaseModel):
    """One figure."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    value: float | None
    """None when it could not be computed; ``unavailable`` then says why."""
    unit: str
    """Unit of the value."""
    higher_is_better: bool | None
    """None when neither direction is better."""
    worst: float | None = None
    """Worst frame's value, where the figure is a mean over frames."""
    baselines: dict[str, float] = {}
    """The same figure for named trivial answers, of the same run."""
    details: dict[str, float] = {}
    """Companion figures, such as the lag of ``opening_corr`` in frames."""
    method: str | None = None
    """Which of several ways was gone, such as the detector that found the faces."""
    unavailable: str | None = None
    """Why there is no value."""


class ScoresManifest(Manifest):
    """Folder: ``scores.json`` (this), ``report.html``, ``curves.npz``.

    Where a face was found, ``face.mp4``: the face alone, the capture's beside it.
    """

    kind: Literal["scores"] = "scores"
    schema_version: int = 2
    """2: a score may name its method; ``face.mp4``."""
    video: str
    """What was judged, for example heldout (spoken)."""
    n_frames: int
    """Frames compared."""
    scores: dict[str, Score]
    """By metric name."""
