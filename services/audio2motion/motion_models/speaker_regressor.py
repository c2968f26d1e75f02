"""Speaker regressor: what this face did when it sounded and moved like that.

Kernel ridge regression (a Gaussian process' mean) from a fifth of a second of sound, and from
head pose, to the face of one subject. It is fitted to ten seconds and more of the capture
itself, without downloaded weights. The mouth's coefficients are reduced to a few shapes,
ordered by how far they move the lips; lesser shapes are noisier and held closer to their mean.
The mouth follows the sound and hardly the pose; brows, lids and gaze follow both. How much
sound and lips are apart in this capture is found by leaving out two seconds at a time. Like
every regression it moves less than the subject does, the less sound and pose tell.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve

from services.audio2motion.motion_model import SpokenCapture
from services.audio2motion.mouth_basis import MouthShapes, mouth_shapes
from services.audio2motion.sound_kernel import (
    AUDIO_ENCODERS,
    WINDOW_END_S,
    SoundEncoder,
    describe_sound,
    likeness,
    measure_sound,
    sound_windows,
)
from services.audio2motion.speaker_memory import (
    FILE,
    TABLE,
    SpeakerStream,
    pose_likeness,
    predict_frames,
    read_speaker,
    sound_times,
)
from services.audio2motion.streaming import MotionStream
from shared.contracts.artifact import Arrays, write_arrays
from shared.progress import Progress

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]

__all__ = ["AUDIO_ENCODERS", "LOOK_AHEAD_S", "fit", "open_stream", "predict"]

_N_SHAPES = 8
"""They hold about 98 % of the lips' motion."""
_NOISE = 0.17
"""Variance of the strongest mouth shape that sound does not explain, to that it does; the k-th
has k times as much. Chosen, as all scales here, by blocked cross-validation on the training
frames of two captures."""
_POSE_TO_MOUTH = 0.015
"""Variance of the mouth that head pose explains, to that sound does."""
_UPPER_NOISE = 5.0
"""The same of brows, lids and gaze, which sound and pose share alike."""
_SHIFTS_S = (-0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12)
LOOK_AHEAD_S = WINDOW_END_S + SoundEncoder.REACH_SAMPLES / SoundEncoder.SAMPLE_RATE + max(_SHIFTS_S)
"""With the largest shift there is; most captures have none."""
_SHIFT_PENALTY = 0.02
"""Of explained variance, for a shift of 80 ms; a few seconds cannot tell small shifts."""
_BLOCK_S, _GAP_S = 2.0, 0.3
"""Left out at a time, and not judged at the edges, whose sound the neighbours share."""
_TRIAL_FRAMES = 600
"""Frames that the shift is found on; the cost grows with their cube."""
_MAX_FRAMES = 2000
"""Frames remembered; a longer capture is thinned out in runs of two seconds."""


def fit(shown: SpokenCapture, *, seed: int, out: Path, progress: Progress) -> None:
    """Fit to one capture; see the contract. Nothing here is random."""
    del seed
    frames = _remembered_frames(shown.is_valid, shown.fps)
    coefficients, poses = shown.coefficients[frames], shown.pose[frames]
    mouth = mouth_shapes(coefficients, shown.lip_effect, _N_SHAPES)
    rows = describe_sound(shown.audio)
    times = sound_times(frames, shown.fps)
    shift = _find_shift(rows, times, mouth.activations, progress)
    windows = sound_windows(rows, times + shift)
    by_sound, by_pose = _face_weights(
        coefficients, mouth, likeness(windows, windows), pose_likeness(poses, poses)
    )
    arrays: Arrays = {
        "windows": windows,
        "poses": poses,
        "by_sound": by_sound,
        "by_pose": by_pose,
        "shift": np.asarray(shift),
        "mean": coefficients.mean(axis=0, dtype=np.float64),
    }
    write_arrays(out / FILE, arrays, TABLE)
    progress(1.0, "motion model fitted")


def predict(model: Path, audio: F32, pose: F32, *, fps: int) -> F32:
    """Expression, jaw and eyes of a speech; see the contract. [T, P]"""
    speaker = read_speaker(model)
    return predict_frames(speaker, describe_sound(audio), pose, fps=fps)


def open_stream(model: Path, like: F32, *, fps: int) -> MotionStream:
    """The same, chunk by chunk; see ``services.audio2motion.streaming``."""
    return SpeakerStream(read_speaker(model), measure_sound(like), fps)


def _face_weights(
    coefficients: F32, mouth: MouthShapes, by_sound: Floats, by_pose: Floats
) -> tuple[Floats, Floats]:
    """What each example adds to each coefficient, by its sound and by its pose. [N, P] twice"""
    of_mouth = by_sound + _POSE_TO_MOUTH * by_pose
    activations = np.empty_like(mouth.activations)
    for k in range(activations.shape[1]):
        activations[:, k] = solve(_noisy(of_mouth, k), mouth.activations[:, k], assume_a="pos")
    shaped = activations @ mouth.shapes
    rest = np.flatnonzero(~mouth.shapes.any(axis=0))
    deviations = coefficients[:, rest] - coefficients[:, rest].mean(axis=0, dtype=np.float64)
    noise = _UPPER_NOISE * np.eye(len(coefficients))
    upper = np.zeros_like(shaped)
    upper[:, rest] = solve(by_sound + by_pose + noise, deviations, assume_a="pos")
    return shaped + upper, _POSE_TO_MOUTH * shaped + upper


def _noisy(alike: Floats, shape: int) -> Floats:
    """Covariance of the ``shape``-th mouth shape over the examples. [N, N]"""
    return alike + _NOISE * (1 + shape) * np.eye(len(alike))


def _find_shift(rows: F32, times: Floats, targets: Floats, progress: Progress) -> float:
    """The shift between lips and sound with which left-out frames are predicted best."""
    start = max(0, (len(times) - _TRIAL_FRAMES) // 2)
    trial = slice(start, start + _TRIAL_FRAMES)
    costs = []
    for i, shift in enumerate(_SHIFTS_S):
        windows = sound_windows(rows, times[trial] + shift)
        error = _left_out_error(likeness(windows, windows), targets[trial], times[trial])
        costs.append(error + _SHIFT_PENALTY * (shift / 0.08) ** 2)
        progress(0.9 * (i + 1) / len(_SHIFTS_S), "finding how lips and sound go together")
    return _SHIFTS_S[int(np.argmin(costs))]


def _left_out_error(alike: Floats, targets: Floats, times: Floats) -> float:
    """Share of the variance that is not predicted when two seconds at a time are left out.

    Leaving out a block E needs no second fit: its residual is inv(inv(K)[E, E]) (inv(K) y)[E].
    """
    inverse = np.linalg.inv(_noisy(alike, 1))
    weighted = inverse @ targets
    left_over = 0.0
    for start in np.arange(times[0], times[-1], _BLOCK_S):
        is_out = (times >= start - _GAP_S) & (times < start + _BLOCK_S + _GAP_S)
        is_judged = (times >= start) & (times < start + _BLOCK_S)
        if not is_judged.any():
            continue
        residual = np.linalg.solve(inverse[np.ix_(is_out, is_out)], weighted[is_out])
        left_over += float(np.square(residual[is_judged[is_out]]).sum())
    return left_over / max(float(np.square(targets).sum()), 1e-30)


def _remembered_frames(is_valid: NDArray[np.bool_], fps: int) -> NDArray[np.int64]:
    """Valid frames, at most ``_MAX_FRAMES`` of them in runs spread over the capture."""
    frames = np.flatnonzero(is_valid)
    run = 2 * fps
    n_runs = -(-len(frames) // run)
    n_kept = max(1, _MAX_FRAMES // run)
    if n_runs <= n_kept:
        return frames
    kept = np.unique(np.linspace(0, n_runs - 1, n_kept).astype(int))
    return np.concatenate([frames[k * run : (k + 1) * run] for k in kept])
