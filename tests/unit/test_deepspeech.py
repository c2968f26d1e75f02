"""DeepSpeech: rows made elsewhere, or the graph that a user converted."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.audio_encoders import deepspeech
from shared.cepstra import cepstra
from shared.errors import InvalidInput, MissingModel
from shared.media.audio import write_wav
from tests.published_files import deepspeech_weights, write_deepspeech

F32 = NDArray[np.float32]


@pytest.fixture(autouse=True)
def models_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models folder."""
    monkeypatch.setenv("TALKSPLAT_MODELS_DIR", str(tmp_path))
    return tmp_path


def make_sound(seconds: float, seed: int = 2) -> F32:
    """Noise."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * 16_000))
    return np.asarray(0.1 * noise, np.float32)


def plain_cepstra(samples: NDArray[np.float64], n_cepstra: int) -> NDArray[np.float64]:
    """The recipe window by window, filter by filter."""
    emphasised = np.append(samples[0], samples[1:] - 0.97 * samples[:-1])
    n_rows = 1 + int(np.ceil((len(samples) - 400) / 160)) if len(samples) > 400 else 1
    padded = np.append(emphasised, np.zeros((n_rows - 1) * 160 + 400))
    points = [700 * (10 ** (mel / 2595) - 1) for mel in np.linspace(0, 2840.0230467, 28)]
    bins = [int(np.floor(513 * hz / 16_000)) for hz in points]
    rows = []
    for row in range(n_rows):
        spectrum = np.fft.rfft(padded[row * 160 : row * 160 + 400], 512)
        power = np.abs(spectrum) ** 2 / 512
        bands = np.zeros(26)
        for k in range(26):
            for at in range(bins[k], bins[k + 1]):
                bands[k] += power[at] * (at - bins[k]) / (bins[k + 1] - bins[k])
            for at in range(bins[k + 1], bins[k + 2]):
                bands[k] += power[at] * (bins[k + 2] - at) / (bins[k + 2] - bins[k + 1])
        logs = np.log(bands)
        found = [
            np.sqrt((1 if c == 0 else 2) / 26)
            * sum(logs[m] * np.cos(np.pi * c * (m + 0.5) / 26) for m in range(26))
            * (1 + 11 * np.sin(np.pi * c / 22))
            for c in range(n_cepstra)
        ]
        found[0] = np.log(power.sum())
        rows.append(found)
    return np.array(rows)


@pytest.mark.parametrize("n_samples", [399, 4_000, 4_001])
def test_cepstra_are_those_of_the_recipe(n_samples: int) -> None:
    """Whatever the length."""
    sound = 3_000 * make_sound(0.3)[:n_samples].astype(np.float64)

    found = cepstra(sound, 26)

    expected = plain_cepstra(sound, 26)
    assert expected.shape == found.shape
    assert np.abs(expected - found).max() < 1e-5


def test_the_converted_graph_hears_cepstra_with_their_context(models_dir: Path) -> None:
    """Logits are those of nine rows on either side, standardised over the recording."""
    write_deepspeech(models_dir / "deepspeech.onnx")
    sound = make_sound(1.0)

    rows = deepspeech.encode(sound)

    loud = np.sqrt(np.array([(sound[k : k + 400] ** 2).mean() for k in range(0, 15_601, 200)]))
    scaled = sound * np.float32(0.1 / np.percentile(loud, 95))
    pcm = np.clip(np.trunc(scaled.astype(np.float64) * 32768), -32768, 32767)
    kept = np.pad(plain_cepstra(pcm, 26)[::2], ((9, 9), (0, 0)))
    inputs = np.array([kept[k : k + 19].ravel() for k in range(len(kept) - 18)])
    inputs = (inputs - inputs.mean()) / inputs.std()
    expected = (inputs @ deepspeech_weights())[:50]
    assert (50, 29) == rows.shape
    assert np.abs(expected - rows[: len(expected)]).max() < 1e-3


@pytest.mark.parametrize("stored", ["rows", "windows"])
def test_rows_made_elsewhere_are_taken_for_their_sound(models_dir: Path, stored: str) -> None:
    """Rows, or windows of sixteen of them as AD-NeRF stores, by what the wave beside holds."""
    folder = models_dir / "deepspeech_features"
    folder.mkdir()
    rows = np.random.default_rng(0).standard_normal((100, 29)).astype(np.float32)
    padded = np.pad(rows, ((8, 8), (0, 0)))
    windows = np.array([padded[k : k + 16] for k in range(0, len(rows), 2)])
    np.save(folder / "speech.npy", windows if stored == "windows" else rows)
    write_wav(folder / "speech.wav", make_sound(2.0))

    whole, start = deepspeech.encode(make_sound(2.0)), deepspeech.encode(make_sound(2.0)[:16_000])

    assert np.array_equal(rows, whole)
    assert np.array_equal(rows[:50], start)


def test_rows_of_another_sound_are_not_taken(models_dir: Path) -> None:
    """Then the graph is asked for."""
    folder = models_dir / "deepspeech_features"
    folder.mkdir()
    np.save(folder / "speech.npy", np.zeros((100, 29), np.float32))
    write_wav(folder / "speech.wav", make_sound(2.0, seed=9))

    with pytest.raises(MissingModel, match=r"deepspeech\.onnx"):
        deepspeech.encode(make_sound(2.0))


@pytest.mark.parametrize("shape", [(100, 30), (0, 29), (5, 16, 28), (100,)])
def test_feature_files_of_another_shape_are_refused(
    models_dir: Path, shape: tuple[int, ...]
) -> None:
    """With the shape that was found."""
    np.save(models_dir / "rows.npy", np.zeros(shape, np.float32))

    with pytest.raises(InvalidInput, match="expected rows") as refused:
        deepspeech.read_rows(models_dir / "rows.npy")

    assert "bad_model_file" == refused.value.code


def test_graphs_of_something_else_are_refused(models_dir: Path) -> None:
    """Text, and a graph with other letters."""
    path = models_dir / "deepspeech.onnx"
    path.write_text("hello", encoding="utf-8")
    with pytest.raises(InvalidInput) as torn:
        deepspeech.encode(make_sound(0.5))
    write_deepspeech(path, n_letters=30)

    with pytest.raises(InvalidInput, match="29 logits") as other:
        deepspeech.encode(make_sound(0.5))

    assert {"bad_model_file"} == {torn.value.code, other.value.code}
