"""Files that the encoder writes, decoded again."""

import wave
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from services.renderer.encode import Encoding, Speech, VideoWriter
from services.renderer.pixel_planes import Planes
from shared.errors import InvalidInput

U8 = NDArray[np.uint8]
ACCURATE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


def encoding(width: int, height: int, *, has_alpha: bool = False) -> Encoding:
    """The renderer's default quality."""
    return Encoding(width, height, 25, "ultrafast", 10, has_alpha)


def smooth_frames(n_frames: int, width: int, height: int) -> U8:
    """Coloured gradients that move. [T, H, W, 3]"""
    t, y, x = np.ogrid[:n_frames, :height, :width]
    planes = [np.sin(x / 23 + t / 9), np.sin(y / 17 - t / 7), np.sin((x + y) / 31 + t / 5)]
    stacked = np.stack([np.broadcast_to(p, (n_frames, height, width)) for p in planes], -1)
    return np.asarray(127.5 + 120 * stacked, dtype=np.uint8)


def write_wave(path: Path, samples: NDArray[np.int16], rate: int = 16_000) -> Path:
    """A mono PCM wave."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def write_video(path: Path, frames: U8, speech: Path | None = None, start: float = 0.0) -> Path:
    """All frames with the sound, if any."""
    height, width, n_channels = frames.shape[1:]
    sound = Speech(speech, start) if speech else None
    with VideoWriter(path, encoding(width, height, has_alpha=n_channels == 4), sound) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def decode(path: Path) -> U8:
    """All frames as RGB. [T, H, W, 3]"""
    with av.open(str(path)) as container:
        return np.stack(
            [
                frame.reformat(format="rgb24", interpolation=ACCURATE).to_ndarray()
                for frame in container.decode(video=0)
            ]
        )


def decode_sound(path: Path) -> NDArray[np.float32]:
    """Sound as a player hears it: edit lists applied, times as stamped."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    rate = frames[0].sample_rate
    start = round(float(frames[0].time or 0.0) * rate)
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    return np.concatenate([np.zeros(max(start, 0), np.float32), samples[max(-start, 0) :]])


def test_decoded_colours_are_the_written_ones(tmp_path: Path) -> None:
    """No channel shifts: matrix and range are tagged as converted."""
    frames = smooth_frames(8, 64, 48)

    decoded = decode(write_video(tmp_path / "v.mp4", frames))

    error = decoded.astype(float) - frames
    assert frames.shape == decoded.shape
    np.testing.assert_allclose(error.mean(axis=(0, 1, 2)), 0, atol=0.3)
    assert np.sqrt(np.square(error).mean()) < 2.0


def test_stream_says_what_it_is(tmp_path: Path) -> None:
    """H.264 High, 4:2:0, BT.709, limited range: what browsers play in the right colours."""
    path = write_video(tmp_path / "v.mp4", smooth_frames(3, 64, 48))

    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        found = (context.name, context.profile, context.pix_fmt)
        colours = (context.color_primaries, context.color_trc, context.colorspace)
        is_limited = context.color_range == 1

    assert ("h264", "High", "yuv420p") == found
    assert (1, 1, 1) == colours
    assert is_limited


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    """No time stamp, no random number, no dependence on scheduling."""
    frames = smooth_frames(30, 96, 64)
    speech = write_wave(tmp_path / "a.wav", (1000 * np.sin(np.arange(20_000))).astype(np.int16))

    first = write_video(tmp_path / "1.mp4", frames, speech).read_bytes()
    second = write_video(tmp_path / "2.mp4", frames, speech).read_bytes()

    assert first == second


def test_index_stands_before_the_data(tmp_path: Path) -> None:
    """Fast start: a player can begin while it downloads."""
    data = write_video(tmp_path / "v.mp4", smooth_frames(3, 64, 48)).read_bytes()

    assert 0 < data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("start", [0.0, 0.4])
def test_sound_stays_on_its_frame(tmp_path: Path, start: float) -> None:
    """A click in the speech is heard at its own time, to 2 ms."""
    samples = np.zeros(32_000, np.int16)
    samples[16_000:16_032] = 20_000
    speech = write_wave(tmp_path / "a.wav", samples)

    heard = decode_sound(write_video(tmp_path / "v.mp4", smooth_frames(40, 32, 32), speech, start))

    assert 16_000 - start * 16_000 + 16 == pytest.approx(np.abs(heard).argmax(), abs=32)


@pytest.mark.parametrize("n_samples", [5_000, 64_000])
def test_video_is_as_long_as_its_frames(tmp_path: Path, n_samples: int) -> None:
    """Speech that is shorter or longer does not change the length."""
    speech = write_wave(tmp_path / "a.wav", np.full(n_samples, 500, np.int16))

    path = write_video(tmp_path / "v.mp4", smooth_frames(50, 32, 32), speech)

    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.duration is not None
        assert video.time_base is not None
        assert audio.duration is not None
        assert audio.time_base is not None
        assert 50 == len(list(container.decode(video=0)))
        assert 2.0 == pytest.approx(float(video.duration * video.time_base))
        assert 2.0 == pytest.approx(float(audio.duration * audio.time_base), abs=0.065)


@pytest.mark.parametrize(("width", "height"), [(33, 32), (32, 33), (35, 17)])
def test_odd_sizes_repeat_their_edge(tmp_path: Path, width: int, height: int) -> None:
    """4:2:0 needs even sides; the picture itself stays where it is."""
    frames = np.full((3, height, width, 3), (200, 80, 30), np.uint8)

    decoded = decode(write_video(tmp_path / "v.mp4", frames))

    assert (3, height + height % 2, width + width % 2, 3) == decoded.shape
    np.testing.assert_allclose(decoded.mean(axis=(0, 1, 2)), (200, 80, 30), atol=2)


def test_webm_keeps_the_alpha_channel(tmp_path: Path) -> None:
    """Left half solid, right half clear, after VP9."""
    frames = np.zeros((6, 64, 64, 4), np.uint8)
    frames[..., :3] = (30, 160, 90)
    frames[:, :, :32, 3] = 255

    path = write_video(tmp_path / "v.webm", frames)

    with av.open(str(path)) as container:
        codec = av.CodecContext.create("libvpx-vp9", "r")
        packets = [packet for packet in container.demux(video=0) if packet.size]
        decoded = [frame for packet in packets for frame in codec.decode(packet)]
    alpha = decoded[0].to_ndarray(format="rgba")[..., 3]
    assert alpha[:, :24].min() > 245
    assert alpha[:, 40:].max() < 10


def test_gray_planes_are_bt709_limited() -> None:
    """Black is 16, white 235, gray has no colour."""
    planes = Planes(4, 2)

    planes.fill(np.repeat(np.array([[0, 0, 255, 255]] * 2, np.uint8)[..., None], 3, 2))

    assert [[16, 16, 235, 235]] * 2 == planes.y.tolist()
    assert [[128, 128]] == planes.u.tolist()
    assert [[128, 128]] == planes.v.tolist()


def test_red_plane_is_bt709() -> None:
    """Pure red by the standard's formula."""
    planes = Planes(2, 2)

    planes.fill(np.full((2, 2, 3), (255, 0, 0), np.uint8))

    assert round(16 + 219 * 0.2126) == planes.y[0, 0]
    assert round(128 - 224 * 0.2126 / 1.8556) == planes.u[0, 0]
    assert round(128 + 224 * 0.5) == planes.v[0, 0]


def test_a_file_that_is_no_wave_is_refused(tmp_path: Path) -> None:
    """The code says what is wrong."""
    (tmp_path / "a.wav").write_text("hello")

    with pytest.raises(InvalidInput) as caught:
        Speech(tmp_path / "a.wav", 0.0)
    assert "bad_audio" == caught.value.code
