"""LSE-C: how surely SyncNet finds lips and sound in step; what other tables call "Sync".

The median over 31 shifts of the mean distance less the least (``lip_sync/distances.py``), of the
longest face track. The same of the capture under this sound is its baseline ``capture``. Wav2Lip
beats real video on it, so a high figure is not realism.
"""

from services.evaluator.metric import Evidence, Measure, unavailable
from shared.contracts.scores import Score

KIND = "track"
UNIT = "1"
HIGHER_IS_BETTER = True
RANGE = (0.0, None)
SOURCE = "Chung and Zisserman, ACCVW 2016; Prajwal et al. (Wav2Lip), ACM MM 2020; syncnet_v2"


def score(evidence: Evidence) -> Score:
    """Confidence; ``details`` has SyncNet's offset, positive when the sound is ahead."""
    found, capture = evidence.lip_sync, evidence.reference_lip_sync
    if isinstance(found, str):
        return unavailable(Measure(UNIT, HIGHER_IS_BETTER), found)
    return Score(
        value=found.distances.confidence,
        unit=UNIT,
        higher_is_better=HIGHER_IS_BETTER,
        baselines={} if isinstance(capture, str) else {"capture": capture.distances.confidence},
        details={
            "offset_frames": float(found.distances.offset_frames),
            "n_frames": float(found.n_frames),
            "n_tracks": float(found.n_tracks),
        },
        method=f"faces found by {found.detector}",
    )
