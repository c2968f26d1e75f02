"""What every audio encoder must do, whatever it is."""

import math
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.audio_encoder import AudioEncoder
from shared.audio_stream import EncoderStream, is_chunkable
from shared.errors import MissingModel
from shared.model_files import LEDGER
from shared.plugins import load_plugin, plugin_names
from tests.published_files import write_all

KIND = "shared.audio_encoders"


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with files of the published layout for those that need some."""
    folder = tmp_path_factory.mktemp("models")
    write_all(folder)
    return folder


@pytest.fixture(params=plugin_names(KIND))
def encoder(
    request: pytest.FixtureRequest, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> AudioEncoder:
    """Each audio encoder there is."""
    monkeypatch.setenv("TALKSPLAT_MODELS_DIR", str(models_dir))
    return cast(AudioEncoder, load_plugin(KIND, str(request.param)))


def make_words(sample_rate: int) -> NDArray[np.float32]:
    """Noise that swells and fades like syllables, two seconds."""
    rng = np.random.default_rng(0)
    envelope = np.abs(np.sin(np.arange(2 * sample_rate) / 2500)) ** 2
    return np.asarray(0.1 * envelope * rng.standard_normal(envelope.size), np.float32)


@pytest.mark.parametrize("gain", [0.1, 3.0])
def test_level_is_taken_away(encoder: AudioEncoder, gain: float) -> None:
    """Louder or softer, the description is the same."""
    words = make_words(encoder.SAMPLE_RATE)

    plain, scaled = encoder.encode(words), encoder.encode(words * np.float32(gain))

    assert np.abs(plain - scaled).mean() < 0.02


def test_pauses_do_not_shift_speech(encoder: AudioEncoder) -> None:
    """The same words with two seconds of silence after them are described alike."""
    words = make_words(encoder.SAMPLE_RATE)
    alone = encoder.encode(words)

    with_pause = encoder.encode(np.concatenate([words, np.zeros_like(words)]))

    assert np.abs(alone - with_pause[: len(alone)]).mean() < 0.25


@pytest.mark.parametrize("n_samples", [1, 100, 16_001])
def test_any_length_gives_finite_rows(encoder: AudioEncoder, n_samples: int) -> None:
    """At its own rate, at least one, digital silence too."""
    rows = encoder.encode(np.zeros(n_samples, np.float32))

    seconds = n_samples / encoder.SAMPLE_RATE
    assert encoder.N_CHANNELS == rows.shape[1]
    assert max(1, np.ceil(seconds * encoder.ROWS_PER_SECOND)) == len(rows)
    assert np.isfinite(rows).all()
    assert np.float32 == rows.dtype


def test_its_model_files_stand_in_the_ledger(encoder: AudioEncoder) -> None:
    """Each says who reads it, so that people learn what a file is for."""
    readers = {file.name: file.read_by for file in LEDGER}

    for name in encoder.MODEL_FILES:
        assert any(reader.startswith("shared.audio_encoders.") for reader in readers[name])


def test_without_its_files_it_says_what_to_get(
    encoder: AudioEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty models folder is no crash, and no other encoder takes its place."""
    monkeypatch.setenv("TALKSPLAT_MODELS_DIR", str(tmp_path))
    if not encoder.MODEL_FILES:
        assert len(encoder.encode(make_words(encoder.SAMPLE_RATE)))
        return

    with pytest.raises(MissingModel, match="TALKSPLAT_MODELS_DIR") as refused:
        encoder.encode(make_words(encoder.SAMPLE_RATE))

    assert "missing_model_file" == refused.value.code


def test_chunks_give_the_rows_of_the_whole(encoder: AudioEncoder) -> None:
    """By all that can hear chunk by chunk; the others say that they hear everything at once."""
    if not is_chunkable(encoder):
        assert math.inf == encoder.LOOK_AHEAD_S
        return
    words = make_words(encoder.SAMPLE_RATE)[: encoder.SAMPLE_RATE]
    stream = EncoderStream(encoder, encoder.measure_levels(words))

    rows = [stream.push(words[at : at + 3_999]) for at in range(0, len(words), 3_999)]
    rows.append(stream.finish())

    assert np.abs(encoder.encode(words) - np.concatenate(rows)).max() < 1e-4


def test_rows_wait_no_longer_than_they_reach(encoder: AudioEncoder) -> None:
    """A row changes with no sound further off than it says."""
    if not is_chunkable(encoder):
        return
    words = make_words(encoder.SAMPLE_RATE)
    levels = encoder.measure_levels(words)
    n_kept = round((1.0 + encoder.LOOK_AHEAD_S) * encoder.SAMPLE_RATE) + 2
    changed = np.concatenate([words[:n_kept], -words[n_kept:]])

    before, after = (encoder.encode_at_levels(sound, levels) for sound in (words, changed))

    settled = int(encoder.ROWS_PER_SECOND) + 1
    assert np.abs(before[:settled] - after[:settled]).max() < 1e-4
    assert encoder.LOOK_AHEAD_S * encoder.SAMPLE_RATE <= encoder.REACH_SAMPLES
