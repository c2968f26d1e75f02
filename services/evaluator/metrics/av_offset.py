"""Offset between the video's own sound and its mouth, positive when the sound is late.

The estimator is the one that corrects captures (``shared.media.av_sync``): 0 means as in sync as
natural speech is. The capture's mouth under the same sound is its baseline ``capture``.
"""

from services.evaluator.metric import F32, Evidence, FaceTrack, Measure, unavailable
from services.evaluator.mouth_and_sound import bridged_opening
from shared.contracts.scores import Score
from shared.media.av_sync import MIN_CONFIDENCE, AvOffset, estimate_offset

KIND = "track"
UNIT = "ms"
HIGHER_IS_BETTER = None
RANGE = (-500.0, 500.0)
SOURCE = "this project: shared/media/av_sync.py, after Schwartz and Savariaux 2014"


def score(evidence: Evidence) -> Score:
    """Offset in milliseconds; ``details`` has the estimator's confidence, 0 to 1."""
    measure = Measure(UNIT, HIGHER_IS_BETTER)
    if evidence.audio is None:
        return unavailable(measure, "the video has no sound")
    found = _offset(evidence.audio, evidence.video, evidence.fps)
    if found is None:
        return unavailable(measure, "no frame shows a face")
    if not found.is_reliable:
        return unavailable(
            measure,
            f"sound and mouth do not tell their offset (confidence {found.confidence:.2f}, "
            f"needed {MIN_CONFIDENCE})",
        )
    capture = (
        _offset(evidence.audio, evidence.reference, evidence.fps) if evidence.reference else None
    )
    return Score(
        value=found.offset_ms,
        unit=UNIT,
        higher_is_better=HIGHER_IS_BETTER,
        baselines={"capture": capture.offset_ms} if capture and capture.is_reliable else {},
        details={"confidence": found.confidence},
    )


def _offset(audio: F32, track: FaceTrack, fps: int) -> AvOffset | None:
    """None when no face was found."""
    opening = bridged_opening(track.landmarks)
    return None if opening is None else estimate_offset(audio, opening, fps)
