"""The mouth's limits, rest and liveliness; what head pose and idle motion add."""

from pathlib import Path

import numpy as np
import pytest

from services.audio2motion.fit import FitMotionOptions, fit_motion_model
from services.audio2motion.idle import Clock, idle_tracks
from services.audio2motion.mouth import (
    Lips,
    Mouth,
    limit_mouth,
    lip_gaps,
    measure_lips,
    measure_mouth,
    mouth_openings,
    read_mouth,
)
from services.audio2motion.speaking import speak
from services.audio2motion.tracks import (
    Tracks,
    coefficients_of,
    frames_of,
    pose_deviations,
    split_coefficients,
)
from shared.progress import silent
from tests.spoken_dataset import (
    FPS,
    NAMES,
    make_head_model,
    make_opening,
    make_speech,
    make_tracks,
    write_dataset,
)

N_TRAIN = 200
JAW = len(NAMES)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A motion model fitted to the made-up speaker."""
    folder = tmp_path_factory.mktemp("speaking")
    dataset = write_dataset(folder / "dataset", N_TRAIN, 0)
    fit_motion_model(dataset, FitMotionOptions(), folder / "model", silent)
    return folder / "model"


@pytest.fixture(scope="module")
def shown() -> Tracks:
    """The training frames of that speaker."""
    return frames_of(make_tracks(make_opening(N_TRAIN)), slice(0, N_TRAIN))


def make_idle(shown: Tracks, n_frames: int) -> Tracks:
    """A silent head that moves as in the capture."""
    return idle_tracks(
        shown,
        NAMES,
        Clock(FPS, FPS, n_frames),
        pose_source="capture",
        generator=np.random.default_rng(0),
    )


def make_lips(coefficients: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Lips:
    """The made-up head's lips."""
    return measure_lips(make_head_model(), np.zeros(1, np.float32), coefficients.mean(axis=0))


def make_mouth(shown: Tracks, n_pause: int = 0) -> Mouth:
    """The made-up head's mouth, silent in the first frames."""
    coefficients = coefficients_of(shown)
    is_pause = np.arange(len(coefficients)) < n_pause
    return measure_mouth(make_lips(coefficients), coefficients, is_pause)


def test_lips_are_the_head_models_own(shown: Tracks) -> None:
    """A 0.1 rad jaw lowers the lower lip by a tenth of its distance from the joint."""
    lips = make_lips(coefficients_of(shown))

    lowered = -0.1 * lips.effect[JAW, :, 1].min()
    assert 0.01 == pytest.approx(lowered, rel=0.05)


def test_closed_mouth_is_what_the_subject_did_when_most_closed(shown: Tracks) -> None:
    """Below almost all frames, and not crossed."""
    mouth = make_mouth(shown)

    openings = mouth_openings(mouth, coefficients_of(shown))
    assert mouth_openings(mouth, mouth.closed) <= np.percentile(openings, 6)
    assert lip_gaps(mouth, mouth.closed).min() >= 0


def test_closed_mouth_is_uncrossed_though_tracking_crossed_it(shown: Tracks) -> None:
    """Noise that presses the lips through each other is taken back."""
    crossed = dict(shown)
    crossed["expr"] = shown["expr"].copy()
    crossed["expr"][:, 3] -= 0.5

    mouth = make_mouth(crossed)

    assert lip_gaps(mouth, mouth.closed).min() >= 0


def test_crossed_lips_are_drawn_together_and_brows_left_alone(shown: Tracks) -> None:
    """Only the mouth's coefficients move."""
    mouth = make_mouth(shown)._replace(
        low=np.full(JAW + 9, -1, np.float32), high=np.full(JAW + 9, 1, np.float32)
    )
    pressed = np.zeros((1, JAW + 9), np.float32)
    pressed[0, 0], pressed[0, JAW] = 0.5, -0.2

    kept = limit_mouth(mouth, pressed)

    assert lip_gaps(mouth, pressed).min() < -1e-3
    assert lip_gaps(mouth, kept).min() > -1e-6
    assert 0.5 == kept[0, 0]


def test_rest_is_learned_from_pauses_and_guessed_without(shown: Tracks) -> None:
    """Mean of the pauses; half-way to the closed mouth for somebody who never stops."""
    learned, guessed = make_mouth(shown, n_pause=10), make_mouth(shown)

    assert np.allclose(coefficients_of(shown)[:10].mean(axis=0), learned.pause)
    assert np.allclose((guessed.mean + guessed.closed) / 2, guessed.pause)


def test_articulation_gives_back_liveliness(model: Path, shown: Tracks) -> None:
    """More motion than the regression alone, about the capture's."""
    audio, idle = make_speech(make_opening(150, seed=7), seed=7), make_idle(shown, 150)
    mouth = read_mouth(model)

    sure = speak(model, audio, idle, shown, fps=FPS)
    lively = speak(model, audio, idle, shown, fps=FPS, articulation=1.0)

    ranges = [mouth_openings(mouth, coefficients_of(x)).std() for x in (sure, lively, shown)]
    assert ranges[0] <= ranges[1] + 1e-6
    assert ranges[2] == pytest.approx(ranges[1], rel=0.25)


def test_mouth_rests_between_phrases(model: Path, shown: Tracks) -> None:
    """In the middle of a pause of 0.8 s it has the resting shape, and is not closed."""
    opening = make_opening(100, seed=3) * 0.5 + 0.5
    opening[40:60] = 0.0
    mouth = read_mouth(model)

    spoken = speak(model, make_speech(opening), make_idle(shown, 100), shown, fps=FPS)

    assert np.allclose(mouth.pause[JAW], spoken["jaw_pose"][48:51, 0], atol=1e-4)


def test_pose_and_blinks_of_the_idle_head_stay(model: Path, shown: Tracks) -> None:
    """Speech changes neither."""
    idle = make_idle(shown, 100)

    spoken = speak(model, make_speech(make_opening(100)), idle, shown, fps=FPS)

    assert np.array_equal(idle["rotation"], spoken["rotation"])
    assert np.array_equal(idle["translation"], spoken["translation"])
    assert np.array_equal(idle["expr"][:, 1:3], spoken["expr"][:, 1:3])


def test_idle_brows_stay_as_much_as_asked(model: Path, shown: Tracks) -> None:
    """With share 1 they are the idle head's."""
    idle = make_idle(shown, 100)

    spoken = speak(model, make_speech(make_opening(100)), idle, shown, fps=FPS, idle_share=1.0)

    assert np.allclose(idle["expr"][:, 0], spoken["expr"][:, 0], atol=1e-6)


def test_pose_deviations_are_in_the_captures_own_terms(shown: Tracks) -> None:
    """Its mean is zero, its deviation one, and nothing is beyond three."""
    deviations = pose_deviations(shown, shown)
    far = {name: track + 100 for name, track in shown.items()}

    moving = deviations.std(axis=0) > 0
    assert np.allclose(0, deviations.mean(axis=0), atol=1e-4)
    assert np.allclose(1, deviations.std(axis=0)[moving], atol=1e-3)
    assert 3 == np.abs(pose_deviations(far, shown)).max()


def test_coefficients_split_into_the_tracks_they_were(shown: Tracks) -> None:
    """Joining and splitting lose nothing."""
    split = split_coefficients(coefficients_of(shown))

    assert all(np.array_equal(shown[name], track) for name, track in split.items())
