"""The metric contract: what is known of a video, and the figures made of it.

One module per metric in ``metrics/``; the file name is the registry name. A picture metric sees
frames in small batches, so that a long video is never held; a learned metric does so with weights
that the operator supplies; a region metric sees the capture's face regions with them; a track
metric sees what was gathered over the whole video. What cannot be computed is said to be so, never
replaced.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from services.evaluator.lip_sync.measure import LipSync
from services.evaluator.supplied import ActionUnitPair, ExpressionPair
from shared.contracts.scores import Score

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

MetricKind = Literal["picture", "learned", "region", "track"]
Compare = Callable[[Tensor, Tensor], Tensor]
"""Rendered and captured frames in [0, 1], [B, H, W, 3] each -> one figure each, [B]"""
Range = tuple[float | None, float | None]
"""Least and greatest value that a figure can have; None without a bound."""

STANDARD_HEIGHT = 512
"""Distances are given as if the image were this high, in pixels."""


class FaceTrack(NamedTuple):
    """A face's landmarks over a video."""

    landmarks: F32  # [T, 478, 3] px of the video, NaN where no face was found
    height: int
    """Of the video, in pixels."""


class Evidence(NamedTuple):
    """What a track metric may look at; None is what this run does not have."""

    fps: int
    video: FaceTrack
    reference: FaceTrack | None
    """The capture's frames that the video is compared with."""
    training: FaceTrack | None
    """The capture's training frames."""
    audio: F32 | None
    """The video's own sound, 16 kHz mono, on its clock. [samples]"""
    render_seconds: float | None
    """How long all frames took from pose to encoded file, as the renderer recorded it."""
    lip_sync: LipSync | str = "lip sync was not measured"
    """SyncNet's figures, or why there are none."""
    reference_lip_sync: LipSync | str = "there is no reference video"
    """The same of the capture under the same sound."""
    identity: F64 | str = "faces were not compared"
    """Cosine similarity of faces of video and reference, frame by frame, or why there is none."""
    action_units: ActionUnitPair | None = None
    """OpenFace's tables of both videos, where somebody supplied them."""
    expressions: ExpressionPair | None = None
    """What drove the video and what was tracked in the capture, where both are known."""


class Metric(Protocol):
    """What every metric module states, as constants."""

    @property
    def KIND(self) -> str:  # noqa: N802 - a module's constant
        """``picture``, ``learned``, ``region`` or ``track``, MetricKind."""
        ...

    @property
    def UNIT(self) -> str:  # noqa: N802 - a module's constant
        """Unit of the figure."""
        ...

    @property
    def RANGE(self) -> Range:  # noqa: N802 - a module's constant
        """What values it can have."""
        ...

    @property
    def SOURCE(self) -> str:  # noqa: N802 - a module's constant
        """Who defined it: paper, section or program."""
        ...

    @property
    def HIGHER_IS_BETTER(self) -> bool | None:  # noqa: N802 - a module's constant
        """None when neither direction is better."""
        ...


class PictureMetric(Metric, Protocol):
    """What a metric on pairs of frames offers; ``KIND`` is "picture"."""

    def compare(self, preds: Tensor, target: Tensor) -> Tensor:
        """Rendered and captured frames in [0, 1], [B, H, W, 3] each -> one figure each, [B]"""
        ...


class LearnedMetric(Metric, Protocol):
    """What a metric on pairs of frames with weights offers; ``KIND`` is "learned"."""

    def load(self, models_dir: Path) -> Compare:
        """Read the weights and give what compares frames.

        Raises:
            MissingModel: ``missing_model_file``; its message becomes the reason of the score.
            InvalidInput: ``bad_model_file``.
        """
        ...


class RegionMetric(Metric, Protocol):
    """What a metric on parts of pairs of frames offers; ``KIND`` is "region"."""

    def compare_regions(self, preds: Tensor, target: Tensor, labels: Tensor) -> Tensor:
        """Frames as above and labels of ``tracked_dataset.REGIONS``, uint8 [B, H, W] -> [B, 12]

        The person's figure stands in place of the background's; NaN where there is no such part.
        """
        ...


class TrackMetric(Metric, Protocol):
    """What a metric on a whole video offers; ``KIND`` is "track"."""

    def score(self, evidence: Evidence) -> Score:
        """The figure, or why there is none."""
        ...


class Measure(NamedTuple):
    """Unit and direction of a figure."""

    unit: str
    higher_is_better: bool | None


def mean_score(
    values: F64, measure: Measure, *, baselines: dict[str, float], details: dict[str, float]
) -> Score:
    """Mean over frames and the worst frame. [T], NaN where a frame has no value"""
    found = values[np.isfinite(values)]
    if not found.size:
        return unavailable(measure, "no frame could be compared")
    worst = found.min() if measure.higher_is_better else found.max()
    return Score(
        value=float(found.mean()),
        unit=measure.unit,
        higher_is_better=measure.higher_is_better,
        worst=float(worst),
        baselines=baselines,
        details=details,
    )


def unavailable(measure: Measure, reason: str) -> Score:
    """A score without a value."""
    return Score(
        value=None,
        unit=measure.unit,
        higher_is_better=measure.higher_is_better,
        unavailable=reason,
    )


def paired(a: FaceTrack, b: FaceTrack) -> tuple[F32, F32]:
    """Landmarks of the frames that both have, at ``STANDARD_HEIGHT``. -> [T, 478, 3] twice"""
    n_frames = min(len(a.landmarks), len(b.landmarks))
    return at_standard_height(a)[:n_frames], at_standard_height(b)[:n_frames]


def at_standard_height(track: FaceTrack) -> F32:
    """Landmarks in pixels of an image ``STANDARD_HEIGHT`` high. [T, 478, 3]"""
    return track.landmarks * np.float32(STANDARD_HEIGHT / track.height)
