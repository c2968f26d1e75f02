"""LSE-D: SyncNet's least mean distance between lips and sound over 31 shifts.

Of the longest face track (``lip_sync/distances.py``); the same of the capture under this sound is
its baseline ``capture``.
"""

from services.evaluator.metric import Evidence, Measure, unavailable
from shared.contracts.scores import Score

KIND = "track"
UNIT = "1"
HIGHER_IS_BETTER = False
RANGE = (0.0, None)
SOURCE = "Chung and Zisserman, ACCVW 2016; Prajwal et al. (Wav2Lip), ACM MM 2020; syncnet_v2"


def score(evidence: Evidence) -> Score:
    """Distance at the best shift."""
    found, capture = evidence.lip_sync, evidence.reference_lip_sync
    if isinstance(found, str):
        return unavailable(Measure(UNIT, HIGHER_IS_BETTER), found)
    return Score(
        value=found.distances.distance,
        unit=UNIT,
        higher_is_better=HIGHER_IS_BETTER,
        baselines={} if isinstance(capture, str) else {"capture": capture.distances.distance},
        method=f"faces found by {found.detector}",
    )
