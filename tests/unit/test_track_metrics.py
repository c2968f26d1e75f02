"""Lip, jitter, offset and speed figures on tracks whose truth is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.evaluator.baselines import carry_mean_mouth, similarity
from services.evaluator.metric import Evidence, FaceTrack
from services.evaluator.metrics import av_offset, fps, jitter, lmd, opening_corr
from shared.landmarks import LIPS, RIGID
from shared.media.av_sync import NATURAL_LEAD_MS

F32 = NDArray[np.float32]


def evidence(video: F32, reference: F32 | None, **others: object) -> Evidence:
    """Evidence at 25 fps and 512 px."""
    known: dict[str, object] = {"training": None, "audio": None, "render_seconds": None, **others}
    return Evidence(
        fps=25,
        video=FaceTrack(video, 512),
        reference=None if reference is None else FaceTrack(reference, 512),
        **known,  # type: ignore[arg-type]  # names and types are Evidence's own
    )


def still_face(n_frames: int) -> F32:
    """The same random face in every frame."""
    rest = np.random.default_rng(0).uniform(100, 400, (478, 3))
    return np.repeat(rest[None], n_frames, 0).astype(np.float32)


def opening_face(opening: NDArray[np.float64]) -> F32:
    """A face whose lower inner lip follows ``opening``, in pixels."""
    face = still_face(len(opening))
    face[:, 13, :2] = (250, 300)
    face[:, 14, :2] = (250, 310)
    face[:, 14, 1] += opening
    return face


def test_lmd_ignores_where_the_mouth_is() -> None:
    """Lips shifted as a whole are equal lips."""
    face = still_face(4)

    score = lmd.score(evidence(face + np.float32(7), face))

    assert 0.0 == pytest.approx(score.value, abs=1e-4)


def test_lmd_is_in_pixels_at_512() -> None:
    """In a video 256 px high, a deviation counts twice."""
    face = still_face(4)
    moved = face.copy()
    moved[:, LIPS[::2], 0] += 2  # half of the points by 2: after centring all by 1
    half = FaceTrack(moved / 2, 256)

    score = lmd.score(Evidence(25, half, FaceTrack(face / 2, 256), None, None, None))

    assert 1.0 == pytest.approx(score.value, abs=1e-3)


def test_lmd_baselines_know_still_and_late() -> None:
    """A mouth that moves by a constant step has late = one step, still = the mean of all."""
    face = still_face(5)
    face[:, LIPS[::2], 0] += 2 * np.arange(5, dtype=np.float32)[:, None]

    baselines = lmd.score(evidence(face, face)).baselines

    assert 1.0 == pytest.approx(baselines["late"], abs=1e-3)
    assert 2.0 == pytest.approx(baselines["still"], abs=1e-3)
    assert "mean_mouth" not in baselines


def test_mean_mouth_follows_the_head() -> None:
    """The carried mouth of a rigid face lands on that face wherever the head went."""
    face = still_face(3)
    turn = np.array([[0.9, -0.3], [0.3, 0.9]], dtype=np.float32)
    moved = face.copy()
    moved[..., :2] = face[..., :2] @ turn.T + np.float32(20)

    carried = carry_mean_mouth(FaceTrack(face, 512), moved)

    np.testing.assert_allclose(carried, moved[:, LIPS, :2], atol=1e-2)


def test_lmd_beats_mean_mouth_only_with_the_right_lips() -> None:
    """The truth has ratio zero; the mean mouth itself has ratio one."""
    rng = np.random.default_rng(4)
    truth = still_face(40)
    truth[:, LIPS, :2] += rng.normal(0, 2, (40, len(LIPS), 2)).astype(np.float32)
    training = FaceTrack(still_face(10), 512)
    mean = truth.copy()
    mean[:, LIPS, :2] = carry_mean_mouth(training, truth)

    perfect = lmd.score(evidence(truth, truth, training=training))
    lazy = lmd.score(evidence(mean, truth, training=training))

    assert 0.0 == pytest.approx(perfect.details["ratio_to_mean_mouth"])
    assert 1.0 == pytest.approx(lazy.details["ratio_to_mean_mouth"])


def test_similarity_recovers_turn_size_and_place() -> None:
    """A known similarity transform is found."""
    points = np.random.default_rng(1).normal(size=(2, 9, 2))
    turn = np.array([[1.2, -0.5], [0.5, 1.2]])

    found, place = similarity(points, points @ turn.T + [3, 4])

    np.testing.assert_allclose(found, [turn, turn], atol=1e-12)
    np.testing.assert_allclose(place, [[3, 4], [3, 4]], atol=1e-12)


@pytest.mark.parametrize("late", [-3, 0, 2])
def test_opening_corr_finds_the_lag(late: int) -> None:
    """A mouth that is ``late`` frames late correlates perfectly at that lag."""
    opening = np.random.default_rng(5).uniform(0, 20, 100)

    score = opening_corr.score(
        evidence(opening_face(np.roll(opening, late)), opening_face(opening))
    )

    assert late == score.details["lag_frames"]
    assert 1.0 == pytest.approx(score.value, abs=0.05)


def test_a_mouth_that_never_moves_has_no_opening_corr() -> None:
    """A constant signal has no correlation, and the score says so."""
    opening = np.random.default_rng(5).uniform(0, 20, 100)

    score = opening_corr.score(evidence(opening_face(np.zeros(100)), opening_face(opening)))

    assert score.value is None
    assert "does not move" in str(score.unavailable)


def test_jitter_measures_shaking_not_moving() -> None:
    """Even motion has no jitter; alternating by 1 px has a second difference of 4 px."""
    face = still_face(20)
    moving = face + np.arange(20, dtype=np.float32)[:, None, None] / 4
    shaking = face.copy()
    shaking[::2, :, 0] += 2

    assert 0.0 == pytest.approx(jitter.score(evidence(moving, None)).value, abs=1e-3)
    score = jitter.score(evidence(shaking, moving))
    assert 4.0 == pytest.approx(score.value, abs=1e-3)
    assert "capture" in score.baselines


def test_jitter_looks_at_the_steady_landmarks_only() -> None:
    """A mouth that shakes is speech."""
    face = still_face(20)
    speaking = face.copy()
    others = [point for point in LIPS if point not in RIGID]
    speaking[::2, others, 1] += 5

    assert 0.0 == pytest.approx(jitter.score(evidence(speaking, None)).value, abs=1e-3)


@pytest.mark.parametrize("late_ms", [-120, 0, 200])
def test_av_offset_is_positive_when_sound_is_late(late_ms: int) -> None:
    """Noise whose loudness follows the mouth by the natural lead plus an offset."""
    rng = np.random.default_rng(6)
    times = np.arange(500) / 25
    opening = np.asarray(10 + 10 * np.interp(times, np.arange(140) / 7, rng.uniform(-1, 1, 140)))
    delay = (NATURAL_LEAD_MS + late_ms) / 1000
    at = np.arange(20 * 16_000) / 16_000
    level = np.interp(at - delay, times, opening)
    audio = (rng.normal(size=at.size) * np.exp(level / 5 - 6)).astype(np.float32)

    score = av_offset.score(evidence(opening_face(opening), None, audio=audio))

    assert late_ms == pytest.approx(score.value, abs=25)


def test_av_offset_of_unrelated_sound_is_unavailable() -> None:
    """No lag is claimed where nothing correlates."""
    opening = np.random.default_rng(7).uniform(0, 20, 1000)
    audio = np.random.default_rng(8).normal(0, 0.1, 640_000).astype(np.float32)

    score = av_offset.score(evidence(opening_face(opening), None, audio=audio))

    assert score.value is None
    assert score.unavailable


def test_fps_is_frames_over_seconds() -> None:
    """Fifty frames in half a second are 100 frames per second, four times real time."""
    score = fps.score(evidence(still_face(50), None, render_seconds=0.5))

    assert 100.0 == score.value
    assert 4.0 == score.details["times_real_time"]
