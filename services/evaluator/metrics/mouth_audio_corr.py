"""How well the mouth follows the sound: correlation with the loudness of its bands, best shift.

The share of the mouth opening's variance that the energies of eight frequency bands explain at the
best shift (``shared.media.av_sync``), as a correlation. It needs no weights and is not SyncNet's
LSE. The capture's mouth under the same sound is its baseline ``capture``.
"""

from services.evaluator.metric import Evidence, Measure, unavailable
from services.evaluator.mouth_and_sound import offset_curve
from shared.contracts.scores import Score

KIND = "track"
UNIT = "1"
HIGHER_IS_BETTER = True
RANGE = (0.0, 1.0)
SOURCE = "this project: shared/media/av_sync.py, after Schwartz and Savariaux 2014"


def score(evidence: Evidence) -> Score:
    """Correlation; ``details`` has the shift in ms, positive when the sound is late."""
    measure = Measure(UNIT, HIGHER_IS_BETTER)
    if evidence.audio is None:
        return unavailable(measure, "the video has no sound")
    found = offset_curve(evidence.audio, evidence.video.landmarks, evidence.fps)
    if found is None:
        return unavailable(measure, "there are no two seconds of a moving mouth under sound")
    capture = (
        offset_curve(evidence.audio, evidence.reference.landmarks, evidence.fps)
        if evidence.reference
        else None
    )
    return Score(
        value=found.best,
        unit=UNIT,
        higher_is_better=HIGHER_IS_BETTER,
        baselines={} if capture is None else {"capture": capture.best},
        details={"at_ms": found.best_ms},
    )
