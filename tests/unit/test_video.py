"""Reading video: upright frames on a regular clock from any file, and refusals of hostile ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.errors import InvalidInput
from shared.media.audio import write_wav
from shared.media.container import MediaLimits
from shared.media.video import (
    probe_video,
    read_frames,
    read_timed_frames,
    sample_frames,
)
from tests.media_files import (
    number_of,
    numbered_frame,
    set_edit_list,
    set_rotation,
    write_numbered,
    write_video,
)


def numbers(path: Path, fps: float = 25) -> list[int]:
    """Numbers of the frames as read."""
    return [number_of(frame) for frame in read_frames(path, fps)]


def code_of(path: Path, limits: MediaLimits | None = None) -> str:
    """The refusal's code when all of a file is read."""
    with pytest.raises(InvalidInput) as refusal:
        list(read_frames(path, limits=limits or MediaLimits()))
    return refusal.value.code


def test_constant_25_fps_is_read_as_it_is(tmp_path: Path) -> None:
    """Every frame of a 25 fps file comes once, in order."""
    path = write_numbered(tmp_path / "a.mp4", 20)

    assert list(range(20)) == numbers(path)


def test_colours_survive_the_conversion(tmp_path: Path) -> None:
    """Grey levels come back within one level of what was encoded."""
    path = write_video(tmp_path / "a.mp4", [numbered_frame(30)] * 5, [k / 25 for k in range(5)])

    frame = next(read_frames(path))

    assert np.abs(frame.astype(int) - numbered_frame(30)).max() <= 1


@pytest.mark.parametrize("fps", [50.0, 29.97, 24.0, 12.5])
def test_other_rates_are_resampled_by_time(tmp_path: Path, fps: float) -> None:
    """Tick i shows the frame nearest to i / 25 s, and the length in seconds stays."""
    n_frames = round(fps)
    path = write_numbered(tmp_path / "a.mp4", n_frames, fps)

    found = numbers(path)

    assert round(n_frames / fps * 25) == len(found)
    for tick, number in enumerate(found):
        assert abs(number / fps - tick / 25) <= 0.5 / fps + 1e-3


def test_variable_rate_follows_the_time_stamps(tmp_path: Path) -> None:
    """Where frames are missing the nearest stands in, and later ones stay in time."""
    shown = [0, 1, 2, 6, 7, 11, 12, 13]
    frames = [numbered_frame(number) for number in shown]
    path = write_video(tmp_path / "a.mp4", frames, [number / 25 for number in shown])

    timed = list(read_timed_frames(path))

    assert [0, 1, 2, 2, 2, 6, 6, 7] == [number_of(frame.image) for frame in timed[:8]]
    assert shown[-1] == number_of(timed[13].image)
    assert 2 / 25 == pytest.approx(timed[4].source_s, abs=1e-3)


def test_clock_starts_at_the_first_frame(tmp_path: Path) -> None:
    """A stream that starts late on the container's clock has its start in ``start_s``."""
    frames = [numbered_frame(number) for number in range(10)]
    path = write_video(tmp_path / "a.mkv", frames, [0.6 + number / 25 for number in range(10)])

    info = probe_video(path)

    assert 0.6 == pytest.approx(info.start_s, abs=2e-3)
    assert list(range(10)) == numbers(path)


def test_announced_duration_is_the_pictures_own(tmp_path: Path) -> None:
    """Sound that goes on after the last frame does not count."""
    frames = [numbered_frame(number) for number in range(25)]
    sound = np.zeros(3 * 16_000, np.float32)
    path = write_video(tmp_path / "a.mp4", frames, [k / 25 for k in range(25)], sound)

    assert 1.0 == pytest.approx(probe_video(path).duration_s, abs=0.05)
    assert 25 == len(numbers(path))


@pytest.mark.parametrize(("degrees", "shape"), [(90, (64, 48)), (180, (48, 64))])
def test_rotation_metadata_turns_frames_upright(
    tmp_path: Path, degrees: int, shape: tuple[int, int]
) -> None:
    """A dark upper left quarter moves clockwise with the rotation."""
    path = write_numbered(tmp_path / "a.mp4", 5)
    set_rotation(path, degrees)

    info = probe_video(path)
    frame = next(read_frames(path))

    assert (*shape, 3) == frame.shape
    assert shape == (info.height, info.width)
    corners = {90: frame[4, -4], 180: frame[-4, -4]}
    assert corners[degrees].mean() < frame.mean() - 5


def test_edit_list_cuts_what_it_hides(tmp_path: Path) -> None:
    """Frames before the edit's start are not shown; the first shown one is at time zero."""
    path = write_numbered(tmp_path / "a.mp4", 40)
    set_edit_list(path, start_s=0.4, seconds=0.8)

    found = numbers(path)

    assert 10 == found[0]
    assert 20 == pytest.approx(len(found), abs=1)


def test_change_of_frame_size_keeps_the_first_size(tmp_path: Path) -> None:
    """Two MPEG streams of different size in one file are read at the first one's size."""
    small = write_video(tmp_path / "a.ts", [numbered_frame(3)] * 10, [k / 25 for k in range(10)])
    large = write_video(
        tmp_path / "b.ts", [numbered_frame(9, 128, 96)] * 10, [0.4 + k / 25 for k in range(10)]
    )
    joined = tmp_path / "c.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())

    shapes = {frame.shape for frame in read_frames(joined)}

    assert {(48, 64, 3)} == shapes


def test_samples_are_spread_over_the_video(tmp_path: Path) -> None:
    """Five samples of a second lie a fifth of a second apart."""
    path = write_numbered(tmp_path / "a.mp4", 25)

    found = [number_of(sample.image) for sample in sample_frames(path, 5)]

    assert [0, 5, 10, 15, 20] == found


def test_samples_of_a_long_video_are_found_by_seeking(tmp_path: Path) -> None:
    """Samples of a video over half a minute are near their times and rise."""
    frames = [numbered_frame(second) for second in range(40)]
    path = write_video(tmp_path / "a.mp4", frames, [float(second) for second in range(40)])

    found = [number_of(sample.image) for sample in sample_frames(path, 8)]

    assert [0, 5, 10, 15, 20, 25, 30, 35] == found


def test_truncated_file_is_unreadable_without_its_header(tmp_path: Path) -> None:
    """Half an mp4, whose header is at its end, is refused."""
    path = write_numbered(tmp_path / "a.mp4", 30)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    assert "unreadable_media" == code_of(path)


def test_truncated_stream_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """Half an MPEG transport stream gives its first frames."""
    rng = np.random.default_rng(0)
    noisy = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(40)]
    path = write_video(tmp_path / "a.ts", noisy, [k / 25 for k in range(40)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    n_frames = len(list(read_frames(path)))

    assert 10 <= n_frames <= 25


@pytest.mark.parametrize("content", [b"", b"hello, this is text\n", b"\x00" * 5000])
def test_what_is_no_video_is_unreadable(tmp_path: Path, content: bytes) -> None:
    """Empty, text and zero files are refused, not crashed on."""
    path = tmp_path / "a.mp4"
    path.write_bytes(content)

    assert "unreadable_media" == code_of(path)


def test_missing_file_is_unreadable(tmp_path: Path) -> None:
    """A path that is not there is refused the same way."""
    assert "unreadable_media" == code_of(tmp_path / "none.mp4")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_still_picture_is_named_as_such(tmp_path: Path, suffix: str) -> None:
    """A photograph gets its own code, whatever its format."""
    path = tmp_path / f"a{suffix}"
    Image.fromarray(numbered_frame(5)).save(path)

    assert "still_image" == code_of(path)


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1.0,\nsecret.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.ts\n",
    ],
)
def test_playlist_cannot_reach_other_files(tmp_path: Path, playlist: str) -> None:
    """An upload that is a playlist does not open its neighbours."""
    write_video(tmp_path / "secret.ts", [numbered_frame(3)] * 10, [k / 25 for k in range(10)])
    path = tmp_path / "upload.mp4"
    path.write_text(playlist, encoding="utf-8")

    assert "unreadable_media" == code_of(path)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (MediaLimits(max_bytes=100), "too_large"),
        (MediaLimits(max_seconds=0.5), "too_long"),
        (MediaLimits(max_side_px=32), "resolution_too_high"),
        (MediaLimits(max_streams=0), "too_many_streams"),
    ],
)
def test_limits_are_held(tmp_path: Path, limits: MediaLimits, code: str) -> None:
    """Each limit has its own code."""
    path = write_numbered(tmp_path / "a.mp4", 30)

    assert code == code_of(path, limits)


def test_duration_is_limited_even_when_the_header_is_silent(tmp_path: Path) -> None:
    """A transport stream is cut off by its time stamps."""
    frames = [numbered_frame(number) for number in range(30)]
    path = write_video(tmp_path / "a.ts", frames, [number / 10 for number in range(30)])

    assert "too_long" == code_of(path, MediaLimits(max_seconds=1.0))


def test_sound_only_is_no_video(tmp_path: Path) -> None:
    """A wav file has no frames."""
    write_wav(tmp_path / "a.wav", np.zeros(1600, np.float32))

    assert "unreadable_media" == code_of(tmp_path / "a.wav")
