"""Speaker regressor: Gaussian processes from mel windows to one subject's mouth shapes.

Fitted to ten seconds and more of the capture itself; no downloaded weights. Tracked expression
and jaw are reduced to a few mouth shapes, ordered by how far they move the lips; each is
predicted from half a second of mel bands. Like every regression it moves less than the subject
does, the less the sound tells.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from services.audio2motion.gaussian_process import (
    Examples,
    SpeechKernel,
    compare,
    fit_kernel,
    posterior_mean,
    solve,
)
from services.audio2motion.motion_model import SpokenCapture
from services.audio2motion.mouth import moves_lips
from shared.audio_encoders import mel
from shared.contracts.artifact import Column, read_arrays, write_arrays
from shared.progress import Progress, part_of

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]

AUDIO_ENCODER = "mel"

N_SHAPES = 6
"""Mouth shapes; they hold about 98 % of the lips' motion."""
OFFSETS_S = np.arange(-0.12, 0.2801, 0.04)
"""Rows of a window, in seconds from the frame; lips move before the sound."""
_BLUR_ROWS = 2.0
"""The mouth does not follow single glottal pulses: 20 ms blur of the mel bands."""
_FLAT = 1e-3
"""Coefficients count this much of the lips' mean motion beside their effect on the lips."""
_FIT_FRAMES = 600
"""Hyperparameters are learned on this many frames; the cost grows with their cube."""
_MAX_FRAMES = 1500
"""Frames remembered; a longer capture is thinned out in runs of two seconds."""
_FILE = "speaker_regressor.npz"

_TABLE = {
    "windows": Column("float32", ("N", "L", "C"), "1", "mel windows of the remembered frames"),
    "weights": Column("float64", ("N", "K"), "1", "each frame's part in a prediction"),
    "kernel_weights": Column("float64", ("L", "C"), "1", "weight of each value of a window"),
    "length_scale": Column("float64", (), "1", "of the squared exponential kernel"),
    "linear": Column("float64", ("K",), "1", "variance of the linear kernel"),
    "smooth": Column("float64", ("K",), "1", "variance of the squared exponential kernel"),
    "mean": Column("float64", ("P",), "1", "mean coefficients of the capture"),
    "shapes": Column("float64", ("K", "P"), "1", "coefficients of one deviation of each shape"),
}


class MouthShapes(NamedTuple):
    """A few directions in which this mouth moves most."""

    mean: Floats  # [P]
    shapes: Floats  # [K, P]
    activations: Floats  # [N, K] mean zero, variance one


def fit(shown: SpokenCapture, *, seed: int, out: Path, progress: Progress) -> None:
    """Fit to one capture; see the contract. Nothing here is random."""
    del seed
    frames = _remembered_frames(shown.is_valid, shown.fps)
    mouth = mouth_shapes(shown.coefficients[frames], shown.lip_effect)
    windows = mel_windows(shown.audio, shown.fps, len(shown.coefficients))[frames]
    examples = Examples(
        torch.from_numpy(windows).double(),
        torch.from_numpy(OFFSETS_S),
        torch.from_numpy(frames / shown.fps),
        torch.from_numpy(mouth.activations),
    )
    start = max(0, (len(frames) - _FIT_FRAMES) // 2)
    middle = slice(start, start + _FIT_FRAMES)
    sample = examples._replace(
        windows=examples.windows[middle],
        times=examples.times[middle],
        targets=examples.targets[middle],
    )
    parameters = fit_kernel(sample, part_of(progress, 0.0, 0.9))
    kernel, weights = solve(examples, parameters)
    arrays = {
        "windows": windows,
        "weights": weights.numpy(),
        "kernel_weights": kernel.weights.numpy(),
        "length_scale": kernel.length_scale.numpy(),
        "linear": kernel.linear.numpy(),
        "smooth": kernel.smooth.numpy(),
        "mean": mouth.mean,
        "shapes": mouth.shapes,
    }
    write_arrays(out / _FILE, arrays, _TABLE)
    progress(1.0, "motion model fitted")


def predict(model: Path, audio: F32, *, fps: int, n_frames: int) -> F32:
    """Expression and jaw of a speech; see the contract. [n_frames, P]"""
    stored = read_arrays(model / _FILE, _TABLE)
    tensors = {name: torch.from_numpy(np.asarray(value)).double() for name, value in stored.items()}
    kernel = SpeechKernel(
        tensors["kernel_weights"], tensors["length_scale"], tensors["linear"], tensors["smooth"]
    )
    windows = torch.from_numpy(mel_windows(audio, fps, n_frames)).double()
    activations = torch.cat(
        [
            posterior_mean(kernel, compare(kernel, part, tensors["windows"]), tensors["weights"])
            for part in windows.split(1000)  # bounds memory for an hour of speech
        ]
    )
    return np.asarray((activations @ tensors["shapes"] + tensors["mean"]).numpy(), np.float32)


def mel_windows(audio: F32, fps: int, n_frames: int) -> F32:
    """Mel rows around each frame, interpolated in time. [n_frames, L, C]"""
    rows = gaussian_filter1d(mel.encode(audio), _BLUR_ROWS, axis=0, mode="nearest")
    times = np.arange(n_frames)[:, None] / fps + OFFSETS_S  # [n_frames, L]
    places = np.clip(times * mel.ROWS_PER_SECOND, 0, len(rows) - 1)
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, len(rows) - 1)
    share = (places - below)[..., None].astype(np.float32)
    return np.asarray(rows[below] * (1 - share) + rows[above] * share, dtype=np.float32)


def mouth_shapes(coefficients: F32, lip_effect: F32) -> MouthShapes:
    """Principal components of the coefficients, measured by how far they move the lips.

    Args:
        coefficients: Expression, then jaw pose. [N, P]
        lip_effect: Metres per unit and lip landmark. [P, L, 3]
    """
    of_mouth = np.flatnonzero(moves_lips(lip_effect))
    values = coefficients[:, of_mouth].astype(np.float64)
    effect = lip_effect[of_mouth].reshape(len(of_mouth), -1).astype(np.float64)
    metric = effect @ effect.T
    metric += _FLAT * np.trace(metric) / len(metric) * np.eye(len(metric))
    root = np.linalg.cholesky(metric)  # |x @ root| is the length of x in the metric
    mean = values.mean(axis=0)
    left, scales, directions = np.linalg.svd((values - mean) @ root, full_matrices=False)
    n_shapes = min(N_SHAPES, int((scales > 1e-9 * scales[0]).sum()))
    deviation = scales[:n_shapes] / np.sqrt(len(values))
    shapes = np.zeros((n_shapes, coefficients.shape[1]))
    shapes[:, of_mouth] = np.linalg.solve(root.T, directions[:n_shapes].T * deviation).T
    return MouthShapes(
        mean=coefficients.mean(axis=0, dtype=np.float64),
        shapes=shapes,
        activations=left[:, :n_shapes] * np.sqrt(len(values)),
    )


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
