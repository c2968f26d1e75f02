"""Every odd file ends in a good dataset or in a clear refusal."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.contracts.tracked_dataset import TrackedDatasetManifest
from shared.dataset_reader import open_dataset
from shared.landmarks import mouth_opening
from tests.quality.conftest import talksplat

REFUSED = {
    "twofaces_debate_17s_640x368_24fps.mp4": {"several_faces"},
    "shotcuts_stage_10s_360p_2997.mp4": {"shot_cut", "no_face", "face_too_small"},
    "noface_bottles_40s_29.83fps_noaudio.mp4": {"no_face"},
    "noface_nasa_multistream_13s.mp4": {"no_face"},
    "still_official_portrait_910x1137.jpg": {"still_image"},
    "corrupt_truncated.mp4": {"unreadable_media"},
    "notvideo.mp4": {"unreadable_media"},
}


class Prepared(NamedTuple):
    """A dataset made of an awkward file."""

    manifest: TrackedDatasetManifest
    opening: NDArray[np.float32]  # [T]
    is_valid: NDArray[np.bool_]  # [T]


def _prepare(capture: Path, out: Path) -> Prepared:
    done = talksplat("preprocess", capture, "-o", out, "--json")
    assert 0 == done.returncode, done.stderr
    manifest = TrackedDatasetManifest.model_validate(json.loads(done.stdout)["manifest"])
    tracking = open_dataset(out).tracking
    landmarks = np.asarray(tracking["landmarks"], dtype=np.float32)
    return Prepared(manifest, mouth_opening(landmarks), np.asarray(tracking["is_valid"], bool))


@pytest.fixture(scope="module")
def may(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The capture that several awkward files were made from."""
    out = tmp_path_factory.mktemp("may") / "dataset"
    return _prepare(footage / "captures" / "may_13s_512.mp4", out)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_used_is_refused_by_name(name: str, footage: Path, tmp_path: Path) -> None:
    """Exit code 1 and a code that says why."""
    done = talksplat("preprocess", footage / "awkward" / name, "-o", tmp_path / "dataset")

    assert 1 == done.returncode, done.stderr
    found = re.search(r"error\[([a-z_]+)\]", done.stderr)
    assert found
    assert found[1] in REFUSED[name]


@pytest.mark.parametrize("name", ["may_8s_512_2997.mp4", "may_8s_512_vfr.mp4"])
def test_other_frame_rates_give_the_same_frames(
    name: str, footage: Path, tmp_path: Path, may: Prepared
) -> None:
    """200 frames at 25 fps whose mouth opens as in the original."""
    found = _prepare(footage / "awkward" / name, tmp_path / "dataset")

    shifted = (may.opening[1:201], may.opening[:200], np.r_[may.opening[:1], may.opening[:199]])
    assert 200 == found.manifest.n_frames
    assert max(np.corrcoef(found.opening, other)[0, 1] for other in shifted) > 0.95


@pytest.mark.parametrize(
    "name", ["may_13s_512_noaudio.mp4", "trudeau_10s_1080p_2997_noaudio_editlist.mp4"]
)
def test_a_capture_without_sound_warns(name: str, footage: Path, tmp_path: Path) -> None:
    """An avatar can be trained of it."""
    found = _prepare(footage / "awkward" / name, tmp_path / "dataset")

    assert not found.manifest.has_audio
    assert any("no_audio" in warning for warning in found.manifest.warnings)


def test_late_sound_is_found_and_corrected(footage: Path, tmp_path: Path, may: Prepared) -> None:
    """200 ms more than in the original, to 40 ms."""
    name = "may_13s_512_audiolate200ms.mp4"
    late = _prepare(footage / "awkward" / name, tmp_path / "dataset").manifest

    assert late.audio_offset_ms is not None
    assert may.manifest.audio_offset_ms is not None
    assert 200 == pytest.approx(late.audio_offset_ms - may.manifest.audio_offset_ms, abs=40)
    assert late.audio_correction_ms


def test_a_phone_s_video_is_upright(footage: Path, tmp_path: Path) -> None:
    """Rotation metadata is applied and the face tracked on 95 % of the frames."""
    name = "vertical_rotmeta_8s_1280x720.mp4"
    found = _prepare(footage / "awkward" / name, tmp_path / "dataset")

    assert (720, 1280) == (found.manifest.capture_width, found.manifest.capture_height)
    assert found.is_valid.mean() >= 0.95


def test_a_small_face_is_tracked_or_refused_with_its_size(footage: Path, tmp_path: Path) -> None:
    """Either way the reason is told."""
    name = "duda_10s_1080p_smallface_noaudio.mp4"
    done = talksplat("preprocess", footage / "awkward" / name, "-o", tmp_path / "dataset")

    assert (0 == done.returncode) or "error[face_too_small]" in done.stderr
