"""Which of MediaPipe's landmarks outline which face region."""

from shared.landmarks import (
    FACE_OVAL,
    LEFT_BROW,
    LEFT_EYE,
    LIPS,
    NOSE,
    RIGHT_BROW,
    RIGHT_EYE,
)

LANDMARK_REGIONS = {
    "lips": LIPS,
    "eyes": RIGHT_EYE + LEFT_EYE,
    "brows": RIGHT_BROW + LEFT_BROW,
    "nose": NOSE,
    "face": FACE_OVAL,
}
"""By region (``tracked_dataset.REGIONS``); teeth, hair, ears, neck and torso have none."""
