"""Every awkward file ends as ``AWKWARD.md`` of the test material says.

Needs the real footage: TALKSPLAT_TEST_DATA names its folder. Not part of ``make test``; run with
``make quality``. Takes some minutes.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.preprocess.options import PrepareOptions
from services.preprocess.prepare import prepare_dataset
from shared.dataset_reader import (
    TrackedDataset,
    open_dataset,
    read_dataset_audio,
    read_frame,
    read_matte,
    read_plate,
    read_regions,
)
from shared.errors import InvalidInput
from shared.landmarks import mouth_opening
from shared.progress import silent

F32 = NDArray[np.float32]
Prepare = Callable[[str], TrackedDataset]


@pytest.fixture(scope="module")
def material() -> Path:
    """The folder of real footage, which no repository holds."""
    folder = os.environ.get("TALKSPLAT_TEST_DATA")
    if not folder:
        pytest.skip("TALKSPLAT_TEST_DATA is not set: the real footage is not on this machine")
    return Path(folder)


@pytest.fixture(scope="module")
def prepare(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepare:
    """Preprocess a file of the material once; the opened dataset."""
    out = tmp_path_factory.mktemp("datasets")

    def run(name: str) -> TrackedDataset:
        folder = out / Path(name).stem
        if not (folder / "manifest.json").is_file():
            prepare_dataset(material / name, PrepareOptions(), folder, silent)
        return open_dataset(folder)

    return run


def opening(dataset: TrackedDataset) -> F32:
    """Mouth opening of each frame, as tracked."""
    return mouth_opening(dataset.tracking["landmarks"].astype(np.float32))


def refusal(capture: Path, out: Path) -> InvalidInput:
    """What preprocessing a file raises."""
    with pytest.raises(InvalidInput) as refused:
        prepare_dataset(capture, PrepareOptions(), out, silent)
    return refused.value


@pytest.mark.parametrize("name", ["may_8s_512_2997.mp4", "may_8s_512_vfr.mp4"])
def test_other_rates_give_the_same_motion(prepare: Prepare, name: str) -> None:
    """200 frames; the mouth is within one frame of the 25 fps capture's."""
    reference = opening(prepare("captures/may_13s_512.mp4"))[:200]
    dataset = prepare(f"awkward/{name}")

    assert 200 == dataset.manifest.n_frames
    found = opening(dataset)
    correlations = {
        lag: float(np.corrcoef(found[5:-5], np.roll(reference, lag)[5:-5])[0, 1])
        for lag in range(-4, 5)
    }
    best = max(correlations, key=lambda lag: correlations[lag])
    assert abs(best) <= 1
    assert correlations[best] > 0.95


def test_no_audio_is_a_warning(prepare: Prepare) -> None:
    """A dataset without sound is complete otherwise."""
    dataset = prepare("awkward/may_13s_512_noaudio.mp4")

    assert 331 == dataset.manifest.n_frames
    assert not dataset.manifest.has_audio
    assert "no_audio" in dataset.manifest.warnings
    assert read_dataset_audio(dataset) is None


def test_late_sound_is_found_and_corrected(prepare: Prepare) -> None:
    """200 ms more than the original's offset; afterwards both have the same sound."""
    original = prepare("captures/may_13s_512.mp4")
    late = prepare("awkward/may_13s_512_audiolate200ms.mp4")

    assert original.manifest.audio_offset_ms is not None
    assert late.manifest.audio_offset_ms is not None
    difference = late.manifest.audio_offset_ms - original.manifest.audio_offset_ms
    assert 200 == pytest.approx(difference, abs=40)
    assert late.manifest.audio_correction_ms == late.manifest.audio_offset_ms
    first, second = read_dataset_audio(original), read_dataset_audio(late)
    assert first is not None
    assert second is not None
    spectrum = np.conj(np.fft.rfft(first)) * np.fft.rfft(second)
    lag = int(np.fft.irfft(spectrum).argmax())
    lag = lag - first.size if lag > first.size // 2 else lag
    assert abs(lag) / 16 <= 45  # milliseconds


def test_rotation_metadata_is_honoured(prepare: Prepare) -> None:
    """Frames are upright, the face is tracked on at least 95 %."""
    dataset = prepare("awkward/vertical_rotmeta_8s_1280x720.mp4")

    assert (720, 1280) == (dataset.manifest.capture_width, dataset.manifest.capture_height)
    assert dataset.tracking["is_valid"].mean() >= 0.95
    assert (1280, 720, 3) == read_plate(dataset).shape


def test_edit_list_gives_the_frames_that_decode(prepare: Prepare) -> None:
    """300 frames at 29.97 fps are 250 at 25 fps."""
    dataset = prepare("awkward/trudeau_10s_1080p_2997_noaudio_editlist.mp4")

    assert 250 == dataset.manifest.n_frames
    assert "no_audio" in dataset.manifest.warnings


def test_small_face_is_tracked_and_every_rejected_frame_named(prepare: Prepare) -> None:
    """A face of a sixth of the frame's height is large enough in HD."""
    dataset = prepare("awkward/duda_10s_1080p_smallface_noaudio.mp4")

    report = json.loads((dataset.folder / "quality.json").read_text(encoding="utf-8"))
    named = {entry["frame"] for entry in report["rejected"]}
    assert set(np.flatnonzero(~dataset.tracking["is_valid"])) == named
    assert all(entry["reason"] for entry in report["rejected"])
    assert dataset.tracking["is_valid"].mean() > 0.9


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("twofaces_debate_17s_640x368_24fps.mp4", {"several_faces"}),
        (
            "shotcuts_stage_10s_360p_2997.mp4",
            {"shot_cut", "no_face", "face_too_small"},
        ),
        ("noface_bottles_40s_29.83fps_noaudio.mp4", {"no_face"}),
        ("noface_nasa_multistream_13s.mp4", {"no_face"}),
        ("still_official_portrait_910x1137.jpg", {"still_image"}),
        ("corrupt_truncated.mp4", {"unreadable_media"}),
        ("notvideo.mp4", {"unreadable_media"}),
    ],
)
def test_what_cannot_be_used_is_refused(
    material: Path, tmp_path: Path, name: str, codes: set[str]
) -> None:
    """The code is as promised, within 20 seconds, and no manifest is left."""
    start = time.monotonic()

    error = refusal(material / "awkward" / name, tmp_path / "out")

    assert error.code in codes
    assert time.monotonic() - start < 20
    assert not (tmp_path / "out" / "manifest.json").exists()
    if error.code in {"several_faces", "shot_cut"}:
        assert " s" in error.message


@pytest.mark.parametrize(
    ("name", "size", "n_frames"),
    [
        ("captures/may_13s_512.mp4", 512, 331),
        ("captures/obama_wh_30s_256_av.mp4", 256, 752),
        ("captures/biden_7s_720p_30fps_audiofirst.mp4", 512, 175),
    ],
)
def test_captures_become_complete_datasets(
    prepare: Prepare, name: str, size: int, n_frames: int
) -> None:
    """Everything the contract names is there and fits together."""
    dataset = prepare(name)

    assert (size, n_frames) == (dataset.manifest.crop_size, dataset.manifest.n_frames)
    assert dataset.manifest.has_audio
    assert dataset.tracking["is_valid"].mean() > 0.98
    for frame in (0, n_frames - 1):
        assert (size, size, 3) == read_frame(dataset, frame).shape
        assert (
            (size, size) == read_matte(dataset, frame).shape == read_regions(dataset, frame).shape
        )
    audio = read_dataset_audio(dataset)
    assert audio is not None
    assert n_frames * 640 == audio.size


def test_matte_and_plate_explain_the_frames(prepare: Prepare) -> None:
    """The person over the plate is the frame: over 40 dB, full frame."""
    dataset = prepare("captures/may_13s_512.mp4")
    plate = read_plate(dataset).astype(np.float32)
    errors = []
    for frame in range(0, dataset.manifest.n_frames, 30):
        picture = read_frame(dataset, frame).astype(np.float32)
        alpha = read_matte(dataset, frame)[..., None].astype(np.float32) / 255
        errors.append(float(np.square((1 - alpha) * (picture - plate)).mean()))

    assert 10 * np.log10(255**2 / np.mean(errors)) > 40


def test_datasets_repeat_to_the_byte(material: Path, tmp_path: Path) -> None:
    """Two runs over a capture leave equal manifests, which hold every file's hash."""
    capture = material / "awkward" / "may_8s_512_vfr.mp4"
    for name in ("a", "b"):
        prepare_dataset(capture, PrepareOptions(holdout_seconds=2.0), tmp_path / name, silent)

    first, second = ((tmp_path / name / "manifest.json").read_bytes() for name in ("a", "b"))
    assert first == second
