"""The dataset's sound: cut to the frames, with its offset to the lips found and taken off."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from shared.contracts.tracked_dataset import FPS
from shared.errors import InvalidInput
from shared.landmarks import mouth_opening
from shared.media.audio import SAMPLE_RATE, fit_length, read_audio, shift_audio, write_wav
from shared.media.av_sync import MIN_CONFIDENCE, estimate_offset

F32 = NDArray[np.float32]

MIN_CORRECTION_MS = 45.0
"""Less is not noticed (ITU-R BT.1359-1: 45 ms of early sound) and within the estimate's error."""
_SILENT_PEAK = 1e-3


class SoundReport(BaseModel):
    """What was found out about the sound."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    has_audio: bool
    """Whether the capture has sound that can be decoded."""
    offset_ms: float | None = None
    """Found over the training frames, positive when sound is late; None without sound."""
    confidence: float = 0.0
    """0 to 1."""
    correction_ms: float = 0.0
    """By how much the sound was moved forward: the offset if it is sure and noticeable."""
    warnings: dict[str, str] = {}
    """Code and explanation."""


def write_sound(
    capture: Path, start_s: float, landmarks: F32, n_train: int, out: Path
) -> SoundReport:
    """Write ``out`` (audio.wav) on the clock of the frames; nothing when there is no sound.

    Args:
        capture: The uploaded file.
        start_s: Time of frame 0 on the container's clock.
        landmarks: Of all frames, training and held out. [T, 478, 3]
        n_train: Frames that the offset is estimated on.
        out: The wav file to write.
    """
    out.unlink(missing_ok=True)
    try:
        audio = read_audio(capture, start_s=start_s)
    except InvalidInput as error:
        if error.code != "no_audio":
            raise
        explained = (
            f"{error.message}; an avatar can be trained, but it cannot learn how this person "
            "moves when speaking"
        )
        return SoundReport(has_audio=False, warnings={"no_audio": explained})
    training = fit_length(audio, n_train * SAMPLE_RATE // FPS)
    found = estimate_offset(training, mouth_opening(landmarks[:n_train]), FPS)
    is_moved = found.is_reliable and abs(found.offset_ms) >= MIN_CORRECTION_MS
    correction_ms = round(found.offset_ms, 1) if is_moved else 0.0
    moved = shift_audio(audio, round(correction_ms * SAMPLE_RATE / 1000))
    write_wav(out, fit_length(moved, len(landmarks) * SAMPLE_RATE // FPS))
    return SoundReport(
        has_audio=True,
        offset_ms=round(found.offset_ms, 1),
        confidence=round(found.confidence, 3),
        correction_ms=correction_ms,
        warnings=_warnings(training, found.confidence),
    )


def _warnings(training: F32, confidence: float) -> dict[str, str]:
    if float(np.abs(training).max(initial=0.0)) < _SILENT_PEAK:
        return {"silent_audio": "the sound is silent, so nothing can be learnt from it"}
    if confidence < MIN_CONFIDENCE:
        return {
            "offset_unsure": "too little speech to tell whether sound and lips are in step; "
            "the sound was left as it is"
        }
    return {}
