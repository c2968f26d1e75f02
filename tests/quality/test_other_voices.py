"""Avatars say what other people said, without tearing."""

from pathlib import Path

import numpy as np
import pytest

from shared.contracts.artifact import read_manifest
from shared.contracts.scores import Score, ScoresManifest
from shared.dataset_reader import open_dataset
from shared.landmarks import mouth_opening
from tests.quality.conftest import Run, talksplat

VOICES = (
    "lj_10s_en_female_22k.wav",
    "jfk_11s_en_male_44k_stereo.flac",
    "macron_12s_fr_male_48k_stereo.wav",
    "chinese_poem_5s_male_24k.wav",
)
ARTEFACTS = ("lip_crossings", "transparent_pixels", "uncovered_pixels")
SILENT = ("silence_5s_16k.wav", "roomtone_5s_16k.wav")


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("name", ["may", "obama"])
def test_another_voice_leaves_no_artefacts(
    name: str, voice: str, footage: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """All counts are zero, and Gaussians stretch at most twice as far as in the held-out strip."""
    run: Run = request.getfixturevalue(name)

    scores = _speak(run, footage / "speech" / voice, tmp_path)

    assert dict.fromkeys(ARTEFACTS, 0.0) == {name: scores[name].value for name in ARTEFACTS}
    heldout = run.result.scores["spoken"].scores["stretch_p99"].value
    assert (scores["stretch_p99"].value or 0) <= 2 * (heldout or 0)


@pytest.mark.parametrize("voice", SILENT)
def test_silence_keeps_the_mouth_closed(
    voice: str, may: Run, footage: Path, tmp_path: Path
) -> None:
    """Digital silence and a quiet room alike: within a tenth of the person's own range."""
    dataset = open_dataset(may.folder / "dataset")
    shown = mouth_opening(np.asarray(dataset.tracking["landmarks"][: dataset.manifest.n_train]))
    closed, wide = np.percentile(shown, [5, 95])

    _speak(may, footage / "speech" / voice, tmp_path)

    with np.load(tmp_path / "scores" / "curves.npz", allow_pickle=False) as curves:
        assert np.nanmax(curves["opening"]) <= closed + 0.1 * (wide - closed)


def _speak(run: Run, voice: Path, folder: Path) -> dict[str, Score]:
    motion, video, scores = folder / "motion", folder / "video.mp4", folder / "scores"
    for words in (
        ("animate", run.folder / "avatar", voice, "-o", motion),
        ("render", run.folder / "avatar", motion, "-o", video),
        ("evaluate", folder / "video", "-o", scores),
    ):
        done = talksplat(*words)
        assert 0 == done.returncode, done.stderr
    return read_manifest(scores, ScoresManifest).scores
