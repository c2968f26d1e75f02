"""Artefact counts as scores: the renderer's own, and crossed lips in the finished video."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.evaluator.metric import FaceTrack, Measure, unavailable
from shared.contracts.scores import Score
from shared.errors import InvalidInput
from shared.landmarks import is_lip_crossed

F64 = NDArray[np.float64]

RENDERER_COUNTS = ("transparent_pixels", "uncovered_pixels", "stretch_p99")
"""Lists per frame in a video artifact's ``artefacts.json``."""

DESCRIPTIONS = {
    "lip_crossings": "Frames where an upper-lip landmark lies below its lower partner.",
    "transparent_pixels": "Transparent pixels inside the head's outline, all frames together.",
    "uncovered_pixels": "Uncovered pixels between chin and torso, all frames together.",
    "stretch_p99": "Longest axis of a Gaussian over its canonical length, 99th percentile.",
}


def read_counts(path: Path) -> dict[str, F64]:
    """Read the renderer's counts; none where there is no such file.

    Raises:
        InvalidInput: ``bad_artefacts`` when the file is not as the renderer writes it.
    """
    if not path.is_file():
        return {}
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {name: np.array(table[name], dtype=np.float64) for name in RENDERER_COUNTS}
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput("bad_artefacts", f"{path.name} is damaged: {error!r}") from error


def artefact_scores(
    counts: dict[str, F64], video: FaceTrack, reference: FaceTrack | None
) -> dict[str, Score]:
    """The four artefact figures; none is better the higher."""
    scores = {"lip_crossings": _lip_crossings(video, reference)}
    for name in RENDERER_COUNTS:
        unit = "1" if name == "stretch_p99" else "px"
        values = counts.get(name)
        if values is None or not values.size:
            scores[name] = unavailable(
                Measure(unit, higher_is_better=False),
                "counted while rendering; this video brings no counts",
            )
        elif name == "stretch_p99":
            scores[name] = _score(unit, float(values.mean()), float(values.max()), {})
        else:
            n_frames = {"n_frames": float((values > 0).sum())}
            scores[name] = _score(unit, float(values.sum()), float(values.max()), n_frames)
    return scores


def _lip_crossings(video: FaceTrack, reference: FaceTrack | None) -> Score:
    measure = Measure("frames", higher_is_better=False)
    seen = video.landmarks[np.isfinite(video.landmarks).all(axis=(1, 2))]
    if not len(seen):
        return unavailable(measure, "no frame shows a face")
    baselines: dict[str, float] = {}
    if reference is not None:
        truth = reference.landmarks[np.isfinite(reference.landmarks).all(axis=(1, 2))]
        baselines["capture"] = float(is_lip_crossed(truth).sum())
    return Score(
        value=float(is_lip_crossed(seen).sum()),
        unit=measure.unit,
        higher_is_better=False,
        baselines=baselines,
    )


def _score(unit: str, value: float, worst: float, details: dict[str, float]) -> Score:
    return Score(value=value, unit=unit, higher_is_better=False, worst=worst, details=details)
