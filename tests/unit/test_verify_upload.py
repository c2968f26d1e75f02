"""What a worker finds in uploaded bytes, and what it refuses."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.preprocess.tasks import ENTRIES
from services.preprocess.verify_upload import VerifyOptions, verify_upload
from shared.contracts.artifact import read_manifest
from shared.contracts.upload import UploadManifest
from shared.errors import InvalidInput
from shared.media.audio import write_wav
from shared.progress import silent
from tests.media_files import numbered_frame, write_numbered, write_video


def _options(path: Path, **changes: Any) -> VerifyOptions:  # noqa: ANN401 - any option
    data = path.read_bytes()
    told = {"sha256": hashlib.sha256(data).hexdigest(), "n_bytes": len(data), **changes}
    return VerifyOptions.model_validate(told)


def _refusal(path: Path, out: Path, **changes: Any) -> str:  # noqa: ANN401 - any option
    with pytest.raises(InvalidInput) as refusal:
        verify_upload(path, _options(path, **changes), out, silent)
    assert not (out / "manifest.json").exists()
    return refusal.value.code


def _speech(path: Path) -> Path:
    write_wav(path, np.sin(np.arange(16_000) / 20).astype(np.float32))
    return path


def test_a_capture_is_described(tmp_path: Path) -> None:
    """Size, length and sound, in a manifest."""
    frames = [numbered_frame(number) for number in range(25)]
    sound = np.zeros(16_000, np.float32)
    video = write_video(tmp_path / "a.mp4", frames, [n / 25 for n in range(25)], sound)

    verify_upload(video, _options(video), tmp_path / "out", silent)

    found = read_manifest(tmp_path / "out", UploadManifest)
    assert ("capture", 64, 48, True) == (
        found.purpose,
        found.width,
        found.height,
        found.has_audio,
    )
    assert found.duration_seconds == pytest.approx(1.0, abs=0.1)


def test_a_recording_is_described(tmp_path: Path) -> None:
    """It has a length and no picture."""
    speech = _speech(tmp_path / "a.wav")

    found = verify_upload(speech, _options(speech, purpose="speech"), tmp_path / "out", silent)

    assert (0, 0, True) == (found.width, found.height, found.has_audio)
    assert found.duration_seconds == pytest.approx(1.0)


def test_its_entry_tells_what_was_found(tmp_path: Path) -> None:
    """As facts of the event."""
    (tmp_path / "inputs").mkdir()
    speech = _speech(tmp_path / "inputs" / "upload")
    options = _options(speech, purpose="speech").model_dump()
    (tmp_path / "out").mkdir()

    facts = ENTRIES["preprocess.verify_upload"].run(
        tmp_path / "inputs", options, tmp_path / "out", silent
    )

    assert (options["sha256"], options["n_bytes"]) == (facts["sha256"], facts["n_bytes"])
    assert "files" not in facts


def test_other_bytes_than_announced_are_refused(tmp_path: Path) -> None:
    """One byte more, or one bit changed."""
    video = write_numbered(tmp_path / "a.mp4", 5)
    size = video.stat().st_size

    assert "wrong_size" == _refusal(video, tmp_path / "out", n_bytes=size + 1)
    assert "wrong_checksum" == _refusal(video, tmp_path / "out", sha256="0" * 64)


@pytest.mark.parametrize("purpose", ["capture", "speech", "consent"])
@pytest.mark.parametrize(
    "data",
    [b"", b"\x00" * 5000, b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"PK\x03\x04" + b"0" * 999],
    ids=["empty", "zeros", "playlist", "zip"],
)
def test_what_is_no_media_is_refused(tmp_path: Path, data: bytes, purpose: str) -> None:
    """With a code, whatever it is."""
    path = tmp_path / "upload"
    path.write_bytes(data)

    assert "unreadable_media" == _refusal(path, tmp_path / "out", purpose=purpose)


def test_half_a_video_is_refused_or_described(tmp_path: Path) -> None:
    """A truncated file has lost its index."""
    whole = write_numbered(tmp_path / "a.mp4", 50)
    half = tmp_path / "half.mp4"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    assert "unreadable_media" == _refusal(half, tmp_path / "out")


def test_limits_are_the_caller_s(tmp_path: Path) -> None:
    """Length, resolution and streams."""
    video = write_numbered(tmp_path / "a.mp4", 50)

    assert "too_long" == _refusal(video, tmp_path / "out", max_seconds=1)
    assert "resolution_too_high" == _refusal(video, tmp_path / "out", max_side_px=32)


def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    """A few bytes must not make a decoder ask for gigabytes."""
    frames = [np.zeros((16, 4200, 3), np.uint8)] * 2
    video = write_video(tmp_path / "a.mp4", frames, [0.0, 0.04])

    assert video.stat().st_size < 5000
    assert "resolution_too_high" == _refusal(video, tmp_path / "out")


def test_a_silent_video_is_no_speech(tmp_path: Path) -> None:
    """There is nothing to say."""
    video = write_numbered(tmp_path / "a.mp4", 5)

    assert "no_audio" == _refusal(video, tmp_path / "out", purpose="speech")
