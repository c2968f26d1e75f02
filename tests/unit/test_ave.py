"""AVE: the published file and no other, the published numbers, at any frame rate."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d

from shared.audio_encoders import ave
from shared.errors import InvalidInput, MissingModel
from tests.published_files import make_state, published_shapes, write_state

F32 = NDArray[np.float32]
STRIDES = {3: (3, 1), 6: (3, 3), 9: (3, 2)}
RESIDUAL = {1, 2, 4, 5, 7, 8, 10}
PADDING = {11: 0, 12: 0}


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder that holds AVE."""
    folder = tmp_path_factory.mktemp("models")
    write_state(folder / "audio_visual_encoder.pth", "ave")
    return folder


@pytest.fixture(autouse=True)
def _settings(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKSPLAT_MODELS_DIR", str(models_dir))


def make_sound(seconds: float) -> F32:
    """Noise and a gliding tone."""
    times = np.arange(round(seconds * 16_000)) / 16_000
    noise = np.random.default_rng(3).standard_normal(times.size)
    return np.asarray(0.05 * noise + 0.2 * np.sin(900 * times**1.5), np.float32)


def plain_mel(samples: F32) -> NDArray[np.float64]:
    """The mel spectrum by its definition, column by column. [columns, 80]"""
    emphasised = [float(samples[0])]
    emphasised += [float(b) - 0.97 * float(a) for a, b in pairwise(samples)]
    padded = np.concatenate([np.zeros(400), emphasised, np.zeros(400)])
    window = np.array([0.5 * (1 - np.cos(2 * np.pi * n / 800)) for n in range(800)])

    def to_mel(hz: float) -> float:
        return hz / (200 / 3) if hz < 1000 else 15 + np.log(hz / 1000) / (np.log(6.4) / 27)

    def to_hz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * np.exp((np.log(6.4) / 27) * (mel - 15))

    low, high = to_mel(55), to_mel(7600)
    edges = [to_hz(low + (high - low) * k / 81) for k in range(82)]
    filters = np.zeros((80, 401))
    for band in range(80):
        left, middle, right = edges[band : band + 3]
        for place in range(401):
            hz = place * 20.0
            height = min((hz - left) / (middle - left), (right - hz) / (right - middle))
            filters[band, place] = max(0.0, height) * 2 / (right - left)
    columns = []
    for start in range(0, len(samples) + 1, 200):
        spectrum = np.abs(np.fft.rfft(padded[start : start + 800] * window))
        decibels = 20 * np.log10(np.maximum(1e-5, filters @ spectrum)) - 20
        columns.append(np.clip(8 * (decibels + 100) / 100 - 4, -4, 4))
    return np.array(columns)


def plain_network(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """The layers one after another. [B, 1, 80, 16] -> [B, 512]"""
    for k in range(13):
        norm = f"{k}.conv_block.1."
        y = conv2d(
            x,
            state[f"{k}.conv_block.0.weight"].clone(),
            state[f"{k}.conv_block.0.bias"],
            STRIDES.get(k, (1, 1)),
            PADDING.get(k, 1),
        )
        mean, variance = state[norm + "running_mean"], state[norm + "running_var"]
        y = batch_norm(y, mean, variance, state[norm + "weight"], state[norm + "bias"])
        x = torch.relu(y + x if k in RESIDUAL else y)
    return x.flatten(1)


def test_parameters_are_the_published_ones() -> None:
    """Names and shapes of the transcribed list."""
    found = {name: tuple(value.shape) for name, value in ave.build().state_dict().items()}

    assert published_shapes("ave") == found


def test_a_renamed_parameter_is_refused_by_name() -> None:
    """Both names are told."""
    state = make_state("ave")
    state["9.conv_block.0.kernel"] = state.pop("9.conv_block.0.weight")

    with pytest.raises(InvalidInput, match=r"9\.conv_block\.0\.weight is missing.*kernel") as no:
        ave.load(state, "file")

    assert "bad_model_file" == no.value.code


def test_a_reshaped_parameter_is_refused_by_name() -> None:
    """With what it is and should be."""
    state = make_state("ave")
    state["12.conv_block.0.bias"] = torch.zeros(511)

    with pytest.raises(
        InvalidInput, match=r"12\.conv_block\.0\.bias is \[511\] instead of \[512\]"
    ):
        ave.load(state, "file")


@pytest.mark.parametrize("fps", [25, 29.97, 60])
def test_rows_of_frames_are_those_of_the_definition(fps: float) -> None:
    """Spectrum and network computed plainly, at SyncTalk's frame rate and others."""
    sound = make_sound(1.0)
    columns = plain_mel(sound)
    n_frames = int((len(columns) - 16) / 80 * fps) + 2
    starts = [min(int(80 * (i / fps)), len(columns) - 16) for i in range(n_frames)]
    windows = torch.tensor(np.array([columns[s : s + 16].T for s in starts]), dtype=torch.float32)

    rows = ave.frame_rows(sound, fps)

    expected = plain_network(make_state("ave"), windows[:, None]).numpy()
    assert np.abs(expected - rows).max() < 1e-5 * max(1.0, np.abs(expected).max())


def test_rows_are_centred_on_their_time() -> None:
    """Row 20 of 40 a second hears what begins 0.1 s before second 0.5."""
    sound = make_sound(1.0)
    levels = {"gain": np.asarray(1.0)}

    rows = ave.encode_at_levels(sound, levels)

    assert 40 == len(rows)
    expected = ave.frame_rows(sound, 10)[4]
    assert np.allclose(expected, rows[20], atol=1e-6)


def test_without_its_file_it_says_what_to_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file, the variable and the owner."""
    monkeypatch.setenv("TALKSPLAT_MODELS_DIR", str(tmp_path))

    with pytest.raises(MissingModel, match=r"audio_visual_encoder\.pth.*SyncTalk") as refused:
        ave.encode(make_sound(0.3))

    assert "missing_model_file" == refused.value.code


def test_a_file_that_could_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but tensors is unpickled."""
    monkeypatch.setenv("TALKSPLAT_MODELS_DIR", str(tmp_path))
    torch.save({"network": Path("x")}, tmp_path / "audio_visual_encoder.pth")

    with pytest.raises(InvalidInput) as refused:
        ave.encode(make_sound(0.3))

    assert "bad_model_file" == refused.value.code
