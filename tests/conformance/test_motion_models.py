"""What every motion model must do, whatever it is."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from services.audio2motion.emotions import EmotionKeyframe
from services.audio2motion.motion_model import MotionModel, SpokenCapture
from services.audio2motion.mouth import measure_lips
from services.audio2motion.pretrained import is_pretrained
from services.audio2motion.tracks import coefficients_of, pose_deviations
from shared.plugins import load_plugin, plugin_names
from shared.progress import silent
from tests.spoken_dataset import FPS, NAMES, make_head_model, make_opening, make_speech, make_tracks

KIND = "services.audio2motion.motion_models"
N_PARAMETERS = len(NAMES) + 3 + 6


def make_capture(n_frames: int = 125) -> SpokenCapture:
    """Five seconds of the made-up speaker."""
    opening = make_opening(n_frames)
    tracks = make_tracks(opening)
    coefficients = coefficients_of(tracks)
    lips = measure_lips(make_head_model(), np.zeros(1, np.float32), coefficients.mean(axis=0))
    is_valid = np.ones(n_frames, np.bool_)
    pose = pose_deviations(tracks, tracks)
    felt = (EmotionKeyframe(0.0, "happy", 0.0), EmotionKeyframe(5.0, "happy", 1.0))
    return SpokenCapture(
        make_speech(opening),
        coefficients,
        pose,
        is_valid,
        lips.effect,
        FPS,
        emotions=felt,
        expression_names=tuple(NAMES),
    )


def make_pose(n_frames: int) -> NDArray[np.float32]:
    """A head held as it mostly is."""
    return np.zeros((n_frames, 6), np.float32)


FITTED = [name for name in plugin_names(KIND) if not is_pretrained(load_plugin(KIND, name))]
"""Those that learn from a capture; the others are used as published, and have tests of their own
with files of the published layout."""


@pytest.fixture(params=FITTED, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    """Each motion model there is."""
    return str(request.param)


@pytest.fixture(scope="module")
def module(name: str) -> MotionModel:
    """Its module."""
    return cast(MotionModel, load_plugin(KIND, name))


@pytest.fixture(scope="module")
def fitted(name: str, module: MotionModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its files after a fit."""
    folder = tmp_path_factory.mktemp(name)
    module.fit(make_capture(), seed=3, out=folder, progress=silent)
    return folder


def test_audio_encoders_exist(module: MotionModel) -> None:
    """It names encoders of the registry."""
    assert set(module.AUDIO_ENCODERS) <= set(plugin_names("shared.audio_encoders"))


def test_follows_the_speech_it_was_fitted_to(module: MotionModel, fitted: Path) -> None:
    """Jaw and truth go together on the training speech."""
    opening = make_opening(125)

    predicted = module.predict(fitted, make_speech(opening), make_pose(125), fps=FPS)

    assert np.corrcoef(predicted[:, len(NAMES)], opening)[0, 1] > 0.8


@pytest.mark.parametrize("n_frames", [1, 3, 250])
@pytest.mark.parametrize("fps", [24, 25, 60])
def test_any_length_and_rate(module: MotionModel, fitted: Path, fps: int, n_frames: int) -> None:
    """As many finite rows as asked for, though the sound be shorter or longer."""
    speech = make_speech(make_opening(20))

    predicted = module.predict(fitted, speech, make_pose(n_frames), fps=fps)

    assert (n_frames, N_PARAMETERS) == predicted.shape
    assert np.isfinite(predicted).all()


def test_upper_face_follows_head_pose(module: MotionModel, tmp_path: Path) -> None:
    """Brows that rise as the head turns do so in a speech too."""
    capture = make_capture()
    capture.coefficients[:, 0] = 0.2 * capture.pose[:, 0]
    turned = make_pose(50)
    turned[25:] = capture.pose.max(axis=0)

    module.fit(capture, seed=3, out=tmp_path, progress=silent)

    predicted = module.predict(tmp_path, make_speech(make_opening(50)), turned, fps=FPS)
    assert predicted[30:, 0].mean() > predicted[:20, 0].mean() + 0.1


@pytest.mark.parametrize("level", [0.0, 1e-4, 1.0])
def test_noise_and_silence_give_finite_motion(
    module: MotionModel, fitted: Path, level: float
) -> None:
    """Sound that is no speech at all does not break it."""
    noise = level * np.random.default_rng(0).uniform(-1, 1, 16_000)

    predicted = module.predict(fitted, noise.astype(np.float32), make_pose(25), fps=FPS)

    assert np.isfinite(predicted).all()


def test_loudness_does_not_matter(module: MotionModel, fitted: Path) -> None:
    """The same speech recorded 20 dB lower moves the mouth the same way."""
    speech = make_speech(make_opening(75, seed=8))

    loud = module.predict(fitted, speech, make_pose(75), fps=FPS)
    quiet = module.predict(fitted, 0.1 * speech, make_pose(75), fps=FPS)

    spread = float(np.ptp(loud[:, len(NAMES)]))
    assert np.abs(loud - quiet)[:, len(NAMES)].max() < 0.1 * spread


def test_equal_seed_gives_equal_files(module: MotionModel, fitted: Path, tmp_path: Path) -> None:
    """A second fit writes the same bytes."""
    module.fit(make_capture(), seed=3, out=tmp_path, progress=silent)

    first = {path.name: path.read_bytes() for path in fitted.iterdir()}
    second = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert first == second


def test_rejected_frames_are_ignored(module: MotionModel, fitted: Path, tmp_path: Path) -> None:
    """Nonsense in frames marked invalid is not learned."""
    capture = make_capture()
    capture.is_valid[60:65] = False
    capture.coefficients[60:65] = 50.0
    speech = make_speech(make_opening(75, seed=8))

    module.fit(capture, seed=3, out=tmp_path, progress=silent)

    clean = module.predict(fitted, speech, make_pose(75), fps=FPS)
    learned = module.predict(tmp_path, speech, make_pose(75), fps=FPS)
    assert np.corrcoef(clean[:, len(NAMES)], learned[:, len(NAMES)])[0, 1] > 0.95
