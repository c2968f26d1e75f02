"""Offset between the video's own sound and its mouth, positive when the sound is late.

The lag at which the loudness of the sound correlates best with the mouth's opening, both without
their slow drift. In speech that is in sync the mouth opens before its sound is loud, by about
0.1 s (measured on a weekly address with known sync, 0.10 s in each third of it), which is taken
off. The capture's own figure is its baseline when the capture's sound is the video's.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from services.evaluator.metric import Evidence, FaceTrack, Measure, unavailable
from shared.contracts.scores import Score
from shared.landmarks import mouth_opening

KIND = "track"
UNIT = "ms"
HIGHER_IS_BETTER = None

SAMPLE_RATE = 16_000
NATURAL_LEAD_S = 0.1
MAX_OFFSET_S = 0.3
"""Looked for on both sides."""
STEP_S = 0.01
MIN_CORRELATION = 0.15
"""Below it, the best lag is chance."""
MIN_SECONDS = 2.0
DRIFT_S = 0.5
"""Standard deviation of the Gaussian mean that is taken off both signals."""

F64 = NDArray[np.float64]


def score(evidence: Evidence) -> Score:
    """Offset in milliseconds; ``details`` has the correlation it rests on."""
    measure = Measure(UNIT, HIGHER_IS_BETTER)
    if evidence.audio is None:
        return unavailable(measure, "the video has no sound")
    found = offset_ms(evidence.video, evidence.audio.astype(np.float64), evidence.fps)
    if isinstance(found, str):
        return unavailable(measure, found)
    offset, correlation = found
    baselines: dict[str, float] = {}
    if evidence.reference is not None:
        capture = offset_ms(evidence.reference, evidence.audio.astype(np.float64), evidence.fps)
        if not isinstance(capture, str):
            baselines["capture"] = capture[0]
    return Score(
        value=offset,
        unit=UNIT,
        higher_is_better=HIGHER_IS_BETTER,
        baselines=baselines,
        details={"correlation": correlation},
    )


def offset_ms(track: FaceTrack, audio: F64, fps: int) -> tuple[float, float] | str:
    """Offset and correlation, or why there is none. audio: [samples] at 16 kHz"""
    opening = mouth_opening(track.landmarks).astype(np.float64)
    seen = np.isfinite(opening)
    if seen.sum() < MIN_SECONDS * fps:
        return f"fewer than {MIN_SECONDS:.0f} s show a face"
    times = np.arange(len(opening)) / fps
    opening = np.interp(times, times[seen], opening[seen])
    level = loudness(audio)  # [n], one per STEP_S
    level_times = (np.arange(len(level)) + 0.5) * STEP_S
    if not len(level) or level.std() < 1e-6 or opening.std() < 1e-6:  # noqa: PLR2004 - rounding
        return "the sound or the mouth does not vary"
    opening = opening - gaussian_filter1d(opening, DRIFT_S * fps)
    level = level - gaussian_filter1d(level, DRIFT_S / STEP_S)
    n_steps = round(MAX_OFFSET_S / STEP_S)
    lags = NATURAL_LEAD_S + STEP_S * np.arange(-n_steps, n_steps + 1)
    values = np.array([_correlation(opening, times + lag, level, level_times) for lag in lags])
    best = int(values.argmax())
    if not values[best] >= MIN_CORRELATION:
        return f"mouth and sound hardly correlate ({values[best]:.2f}), so no lag stands out"
    if best in {0, len(lags) - 1}:
        return f"no best lag within {1000 * MAX_OFFSET_S:.0f} ms"
    return 1000 * float(lags[best] - NATURAL_LEAD_S), float(values[best])


def loudness(audio: F64) -> F64:
    """Logarithm of the smoothed amplitude, one value per 10 ms. [samples] -> [n]"""
    hop = round(SAMPLE_RATE * STEP_S)
    n = len(audio) // hop
    amplitude = np.sqrt(np.square(audio[: n * hop]).reshape(n, hop).mean(axis=1))
    level = np.log(amplitude + 1e-4)  # -80 dB keeps digital silence finite
    return np.asarray(gaussian_filter1d(level, 3.0)) if n else level


def _correlation(opening: F64, times: F64, level: F64, level_times: F64) -> float:
    inside = (times >= level_times[0]) & (times <= level_times[-1])
    if inside.sum() < len(times) // 2:
        return -1.0
    return float(np.corrcoef(opening[inside], np.interp(times[inside], level_times, level))[0, 1])
