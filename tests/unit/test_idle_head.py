"""Head pose loop, blinks, smoothing and voice activity: what a head does beside speaking."""

import numpy as np
import pytest

from services.audio2motion.blinks import blink_channels, learn_blinks, make_blinks
from services.audio2motion.head_pose_loop import loop_places, loop_track
from services.audio2motion.idle import Clock, idle_tracks
from services.audio2motion.smoothing import smooth
from services.audio2motion.voice_activity import voice_activity
from tests.spoken_dataset import BLINK_FRAMES, NAMES, make_opening, make_speech, make_tracks

FPS = 25


@pytest.mark.parametrize("start", [0.0, 0.3, 0.97])
@pytest.mark.parametrize("fps", [25, 30, 60])
def test_loop_never_jumps(fps: int, start: float) -> None:
    """From frame to frame it moves at most at the capture's own speed, and turns gently."""
    places = loop_places(100, 1000, source_fps=25, fps=fps, start=start)

    speed = np.diff(places) * fps / 25
    assert np.abs(speed).max() < 1.001
    assert np.abs(np.diff(speed)).max() < 1.01 * 5.0 / fps  # full speed within 0.2 s


def test_loop_shows_the_whole_capture() -> None:
    """First and last frame are reached."""
    places = loop_places(100, 500, source_fps=25, fps=25, start=0.0)

    assert [0, 99] == [round(float(places.min())), round(float(places.max()))]


def test_loop_of_one_frame_stands_still() -> None:
    """One frame is shown for ever."""
    assert 0 == loop_places(1, 10, source_fps=25, fps=25, start=0.5).max()


def test_track_is_interpolated_between_frames() -> None:
    """Half-way between two frames is their mean."""
    track = np.array([[0.0], [2.0], [6.0]], np.float32)

    looped = loop_track(track, np.array([0.5, 1.5, 2.0], np.float32))

    assert [1.0, 4.0, 6.0] == looped[:, 0].tolist()


def test_blinks_are_found_with_shape_and_rate() -> None:
    """Three triangular blinks of 0.9 in ten seconds."""
    closure = make_tracks(make_opening(250))["expr"][:, 1:3].mean(axis=1)

    style = learn_blinks(closure, FPS)

    assert 0.9 == pytest.approx(float(style.shape.max()), abs=0.1)
    assert len(BLINK_FRAMES) / 10 == pytest.approx(style.rate_per_s)


def test_blinks_come_at_the_learned_rate_and_never_in_haste() -> None:
    """Ten minutes hold the expected number; no two within 0.8 s."""
    style = learn_blinks(make_tracks(make_opening(250))["expr"][:, 1:3].mean(axis=1), FPS)

    made = make_blinks(style, FPS, 600 * FPS, source_fps=FPS, generator=np.random.default_rng(0))

    starts = np.flatnonzero((made[1:] > 0.4) & (made[:-1] <= 0.4))
    assert 600 * style.rate_per_s == pytest.approx(len(starts), rel=0.2)
    assert np.diff(starts).min() >= 0.75 * FPS


def test_a_subject_who_never_blinked_keeps_the_eyes_open() -> None:
    """Noise on the lids is not taken for blinks."""
    noise = 0.05 * np.random.default_rng(0).standard_normal(250).astype(np.float32)

    style = learn_blinks(noise, FPS)

    made = make_blinks(style, FPS, 500, source_fps=FPS, generator=np.random.default_rng(0))
    assert 0 == made.max()


def test_eyelid_channels_are_found_by_name() -> None:
    """ARKit's names say which coefficients close the eyes."""
    assert [1, 2] == blink_channels(NAMES)


def test_idle_head_moves_within_what_was_shown() -> None:
    """No idle track leaves the capture's own range."""
    shown = make_tracks(make_opening(250))

    idle = idle_tracks(
        shown,
        NAMES,
        Clock(FPS, 30, 700),
        pose_source="capture",
        generator=np.random.default_rng(2),
    )

    for name, track in idle.items():
        assert 700 == len(track)
        assert (track.min(axis=0) >= shown[name].min(axis=0) - 1e-6).all()
        assert (track.max(axis=0) <= shown[name].max(axis=0) + 1e-6).all()


def test_smoothing_leaves_constants_and_lowers_trembling() -> None:
    """Ends included."""
    rng = np.random.default_rng(0)
    track = np.stack([np.ones(50), rng.standard_normal(50)], axis=1).astype(np.float32)

    smoothed = smooth(track, FPS, 0.06)

    assert np.allclose(1.0, smoothed[:, 0])
    assert smoothed[:, 1].std() < 0.7 * track[:, 1].std()


def test_long_silence_is_told_from_a_pause_between_phrases() -> None:
    """Two seconds without sound count, one second does not."""
    opening = np.ones(150, np.float32)
    opening[20:45] = 0.0
    opening[75:125] = 0.0

    activity = voice_activity(make_speech(opening), FPS, 150)

    assert 1.0 == activity[5:70].min()
    assert 0.0 == activity[82:118].max()


def test_silence_at_the_ends_counts_when_it_is_long() -> None:
    """Half a second before the first word does not close the mouth, three seconds after do."""
    opening = np.ones(150, np.float32)
    opening[:12] = 0.0
    opening[75:] = 0.0

    activity = voice_activity(make_speech(opening), FPS, 150)

    assert 1.0 == activity[:70].min()
    assert 0.0 == activity[85:].max()


@pytest.mark.parametrize("level_db", [-300, -65])
def test_silence_and_room_noise_are_no_speech(level_db: float) -> None:
    """However long and even they are."""
    noise = np.random.default_rng(0).standard_normal(32_000) * 10 ** (level_db / 20)

    assert 0.0 == voice_activity(noise.astype(np.float32), FPS, 50).max()
