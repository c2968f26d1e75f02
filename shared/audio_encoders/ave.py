"""AVE: the audio-visual encoder of SyncTalk, which learned sound and lips together.

Peng et al., "SyncTalk: The devil is in the synchronization for talking head synthesis", CVPR 2024;
layers, parameter names and mel spectrum of ``audio_visual_encoder.pth`` (Wav2Lip's audio encoder).
A row hears 16 mel columns at 80 a second, 0.2 s, whatever the frame rate. Departures: SyncTalk
takes a row per frame of 25 a second (``frame_rows`` does so at any rate); here rows come 40 times
a second, centred, and recordings are brought to one level, since SyncTalk hears loudness as
articulation.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import lfilter
from torch import Tensor, nn

from shared.model_files import model_path
from shared.published_weights import State, fill, read_state
from shared.speech_level import speech_gain

F32 = NDArray[np.float32]
Levels = dict[str, NDArray[np.float64]]

SAMPLE_RATE = 16_000
ROWS_PER_SECOND = 40
N_CHANNELS = 512
MODEL_FILES = ("audio_visual_encoder.pth",)
LOOK_AHEAD_S = 0.1125
"""Seven columns after the middle one, and half of their window of 50 ms."""
REACH_SAMPLES = 2_000
"""Eight columns and half a window of 400, whole columns."""

N_MEL, WIDTH = 80, 16
COLUMNS_PER_SECOND = 80
_HOP, _N_FFT = 200, 800
_LOW_HZ, _HIGH_HZ = 55.0, 7_600.0
_PRE_EMPHASIS = 0.97
_FLOOR_DB, _REFERENCE_DB, _LIMIT = -100.0, 20.0, 4.0
_BATCH = 128


class Shape(NamedTuple):
    """One layer."""

    n_in: int
    n_out: int
    kernel: int = 3
    stride: int | tuple[int, int] = 1
    padding: int = 1
    is_residual: bool = False


def _kept(width: int) -> Shape:
    return Shape(width, width, is_residual=True)


_LAYERS = (
    Shape(1, 32), _kept(32), _kept(32),
    Shape(32, 64, stride=(3, 1)), _kept(64), _kept(64),
    Shape(64, 128, stride=3), _kept(128), _kept(128),
    Shape(128, 256, stride=(3, 2)), _kept(256),
    Shape(256, 512, padding=0), Shape(512, 512, kernel=1, padding=0),
)  # fmt: skip


class Layer(nn.Module):
    """Convolution, batch normalisation, its input again where residual, ReLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.Conv2d(shape.n_in, shape.n_out, shape.kernel, shape.stride, shape.padding),
            nn.BatchNorm2d(shape.n_out),
        )
        self.is_residual = shape.is_residual

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W]"""
        y = self.conv_block(x)
        return torch.relu(y + x if self.is_residual else y)


def build() -> nn.Sequential:
    """The network; names and shapes are those of the published file. [B, 1, 80, 16]"""
    return nn.Sequential(*(Layer(shape) for shape in _LAYERS))


def load(state: State, source: str) -> nn.Sequential:
    """The network with published parameters.

    Raises:
        InvalidInput: ``bad_model_file`` names what differs.
    """
    with torch.device("meta"):
        network = build()
    fill(network, state, source)
    return network


def encode(audio: F32) -> F32:
    """Forty rows a second of a recording. [samples] -> [rows, 512]"""
    return encode_at_levels(audio, measure_levels(audio))


def measure_levels(audio: F32) -> Levels:
    """How much louder the speech must be to be at its usual level."""
    return {"gain": np.asarray(speech_gain(audio))}


def encode_at_levels(audio: F32, levels: Levels) -> F32:
    """The same at levels measured elsewhere. [samples] -> [rows, 512]"""
    columns = mel_columns(audio * np.float32(levels["gain"]))
    n_rows = max(1, -(-len(audio) * ROWS_PER_SECOND // SAMPLE_RATE))
    starts = np.arange(n_rows) * (COLUMNS_PER_SECOND // ROWS_PER_SECOND) - WIDTH // 2
    quiet = np.full((WIDTH, N_MEL), -_LIMIT, np.float32)
    padded = np.concatenate([quiet, columns, quiet])
    return _rows(padded, starts + WIDTH)


def frame_rows(audio: F32, fps: float) -> F32:
    """A row per frame as SyncTalk takes them, from the frame's time on, at any frame rate.

    Args:
        audio: At least 0.2 s. [samples]
        fps: Frames per second.

    Returns:
        [int((columns - 16) / 80 fps) + 2, 512]
    """
    columns = mel_columns(audio)
    last = len(columns) - WIDTH
    n_frames = int(last / COLUMNS_PER_SECOND * fps) + 2
    starts = (COLUMNS_PER_SECOND * (np.arange(n_frames) / fps)).astype(np.int64)
    return _rows(columns, np.minimum(starts, last))


def mel_columns(audio: F32) -> F32:
    """Mel spectrum in decibels, -4 to 4; column i is centred on sample 200 i. [columns, 80]"""
    emphasised = lfilter([1.0, -_PRE_EMPHASIS], [1.0], audio.astype(np.float64))
    windows = sliding_window_view(np.pad(emphasised, _N_FFT // 2), _N_FFT)[::_HOP]
    turn = np.arange(_N_FFT) * 2 * np.pi / _N_FFT
    spectrum = np.abs(np.fft.rfft(windows * (0.5 - 0.5 * np.cos(turn))))  # [columns, 401]
    lowest = 10 ** (_FLOOR_DB / 20)
    decibels = 20 * np.log10(np.maximum(lowest, spectrum @ _mel_filters())) - _REFERENCE_DB
    scaled = 2 * _LIMIT * (decibels - _FLOOR_DB) / -_FLOOR_DB - _LIMIT
    return np.asarray(np.clip(scaled, -_LIMIT, _LIMIT), np.float32)


def _rows(columns: F32, starts: NDArray[np.int64]) -> F32:
    path = model_path(MODEL_FILES[0], "the audio encoder ave")
    network = _network(path, path.stat().st_mtime_ns)
    windows = sliding_window_view(columns, WIDTH, axis=0)  # [n, 80, 16]
    with torch.no_grad():
        rows = [
            network(torch.from_numpy(windows[starts[at : at + _BATCH]][:, None].copy())).flatten(1)
            for at in range(0, len(starts), _BATCH)
        ]
    return torch.cat(rows).numpy()


@lru_cache(maxsize=1)
def _network(path: Path, _changed: int) -> nn.Sequential:
    """Read once, and again when the file was replaced."""
    return load(read_state(path), str(path))


@lru_cache(maxsize=1)
def _mel_filters() -> NDArray[np.float64]:
    """Triangles of unit area on Slaney's mel scale, linear below 1 kHz. [401, 80]"""

    def to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))  # noqa: PLR2004 - 1 kHz

    def to_mel(hz: float) -> float:
        return hz * 3 / 200 if hz < 1000 else 15 + float(np.log(hz / 1000)) * 27 / np.log(6.4)  # noqa: PLR2004

    edges = to_hz(np.linspace(to_mel(_LOW_HZ), to_mel(_HIGH_HZ), N_MEL + 2))
    bins = np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    areas = np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])
    return np.asarray(areas)
