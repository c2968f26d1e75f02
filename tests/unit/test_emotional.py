"""Emotions over time: labels, the model that learns from them, and what animate does with them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.audio2motion import emotion_training
from services.audio2motion.animate_options import AnimateOptions
from services.audio2motion.emotions import EmotionKeyframe, emotion_weights, read_emotions
from services.audio2motion.fit import FitMotionOptions, fit_on_datasets
from services.audio2motion.motion_model import FeelingMotionModel, Fitting, load_motion_model
from services.audio2motion.mouth import limit_mouth, measure_mouth, mouth_openings
from services.audio2motion.predict import animate_avatar
from shared.contracts.artifact import read_arrays
from shared.contracts.motion import MOTION_TABLE
from shared.errors import InvalidInput, PlatformError, Unavailable
from shared.head_model import save_head_model
from shared.media.audio import write_wav
from shared.progress import silent
from tests.emotional_corpus import (
    BROWS,
    CHEEKS,
    EYES,
    FPS,
    SMILE,
    Labelled,
    make_labelled,
    make_lips,
)
from tests.spoken_dataset import (
    make_head_model,
    make_opening,
    make_speech,
    write_avatar,
    write_dataset,
)

F32 = NDArray[np.float32]
REGIONS = {"brows": BROWS, "eyes": EYES, "cheeks": CHEEKS}


def emotional() -> FeelingMotionModel:
    """The model under test."""
    module = load_motion_model("emotional")
    assert isinstance(module, FeelingMotionModel)
    return module


def steady(emotion: str, intensity: float) -> tuple[EmotionKeyframe, ...]:
    """One emotion throughout."""
    return (EmotionKeyframe(0.0, emotion, intensity),)


def fit(folder: Path, corpus: Sequence[Labelled], n_steps: int = 400) -> Path:
    """Train on the corpus."""
    folder.mkdir(exist_ok=True)
    fitting = Fitting(seed=0, audio_encoders=("mel",), n_steps=n_steps)
    captures = [each.capture for each in corpus]
    emotional().fit_captures(captures, fitting, out=folder, progress=silent)
    return folder


def say(folder: Path, shown: Labelled, emotions: Sequence[EmotionKeyframe]) -> F32:
    """What the model makes of a capture's sound. [T, P]"""
    capture = shown.capture
    return emotional().predict_feeling(
        folder, capture.audio, capture.pose, fps=FPS, speaker="puppet", emotions=emotions
    )


@pytest.fixture(scope="module")
def corpus() -> list[Labelled]:
    """Calm, ever happier, ever less surprised."""
    return [
        make_labelled(steady("neutral", 0.0), 100),
        make_labelled((*steady("happy", 0.0), EmotionKeyframe(8.0, "happy", 1.0)), 101),
        make_labelled((*steady("surprised", 1.0), EmotionKeyframe(8.0, "surprised", 0.0)), 102),
    ]


@pytest.fixture(scope="module")
def fitted(corpus: list[Labelled], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model trained with its correlation loss."""
    return fit(tmp_path_factory.mktemp("emotional"), corpus)


def test_correlation_loss_helps_hidden_regions(
    corpus: list[Labelled],
    fitted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On unheard speech, regions that are hidden from the model come out nearer than without."""
    heldout = [
        make_labelled(steady("happy", 0.7), 107),
        make_labelled(steady("surprised", 0.7), 108),
    ]
    spread = np.concatenate([each.capture.coefficients for each in corpus]).var(axis=0)
    monkeypatch.setattr(emotion_training, "CORRELATION", 0.0)

    ablation = fit(tmp_path / "ablation", corpus)

    errors = {}
    for name, folder in (("with", fitted), ("without", ablation)):
        off = [
            say(folder, each, each.capture.emotions) - each.capture.coefficients for each in heldout
        ]
        relative = np.square(np.concatenate(off)).mean(axis=0)[:SMILE] / spread[:SMILE]
        errors[name] = float(relative.mean())
    assert errors["with"] < 0.97 * errors["without"]


@pytest.mark.parametrize(
    ("emotion", "region"), [("happy", "cheeks"), ("happy", "eyes"), ("surprised", "brows")]
)
def test_intensity_moves_regions_monotonically(fitted: Path, emotion: str, region: str) -> None:
    """More of it, further, in even steps."""
    shown = make_labelled(steady("neutral", 0.0), 109, seconds=4)
    columns = REGIONS[region][:1]

    levels = [
        float(say(fitted, shown, steady(emotion, intensity))[:, columns].mean())
        for intensity in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]

    assert (np.diff(levels) > 0.005).all()
    assert np.allclose(np.diff(levels), np.diff(levels)[0], atol=1e-4)


@pytest.mark.parametrize("emotion", ["happy", "surprised"])
def test_lips_stay_closed_on_closed_phonemes(
    corpus: list[Labelled], fitted: Path, emotion: str
) -> None:
    """Of speech that it was not fitted to, within the limits of the mouth."""
    shown = make_labelled(steady(emotion, 1.0), 110)
    all_shown = np.concatenate([each.capture.coefficients for each in corpus])
    mouth = measure_mouth(make_lips(), all_shown, np.zeros(len(all_shown), np.bool_))

    calm, felt = (
        mouth_openings(mouth, limit_mouth(mouth, say(fitted, shown, steady(emotion, level))))
        for level in (0.0, 1.0)
    )

    reach = float(np.percentile(felt, 95))
    assert shown.is_shut.any()
    assert felt[shown.is_shut].mean() < 0.2 * reach
    assert felt[shown.is_shut].mean() < calm[shown.is_shut].mean() + 0.05 * reach


def test_stopped_training_resumes_to_the_same_bytes(corpus: list[Labelled], tmp_path: Path) -> None:
    """Whether it was stopped cannot be told afterwards."""
    captures = [each.capture for each in corpus[:2]]

    class Stopped(Exception):
        """Somebody pulled the plug."""

    def stop(fraction: float, message: str) -> None:  # noqa: ARG001 - the contract names it
        if fraction >= 0.89:
            raise Stopped

    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    straight.mkdir()
    resumed.mkdir()
    fitting = Fitting(audio_encoders=("mel",), n_steps=100, checkpoints=tmp_path / "checkpoints")
    whole = fitting._replace(checkpoints=None)
    emotional().fit_captures(captures, whole, out=straight, progress=silent)
    with pytest.raises(Stopped):
        emotional().fit_captures(captures, fitting, out=resumed, progress=stop)
    assert (tmp_path / "checkpoints" / "latest.json").is_file()

    emotional().fit_captures(captures, fitting, out=resumed, progress=silent)

    name = "emotional.safetensors"
    assert (straight / name).read_bytes() == (resumed / name).read_bytes()


def test_emotions_fade_into_one_another() -> None:
    """Linear between keyframes, held at the ends."""
    keyframes = (EmotionKeyframe(1.0, "happy", 0.8), EmotionKeyframe(3.0, "sad", 0.4))

    weights = emotion_weights(keyframes, ["happy", "sad"], np.array([0.0, 1.0, 2.0, 3.0, 9.0]))

    expected = [[0.8, 0.0], [0.8, 0.0], [0.4, 0.2], [0.0, 0.4], [0.0, 0.4]]
    assert np.allclose(expected, weights)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "seconds,emotion\n0,happy\n",
        "seconds,emotion,intensity\n",
        "seconds,emotion,intensity\n0,happy,1.5\n",
        "seconds,emotion,intensity\n0,happy,nan\n",
        "seconds,emotion,intensity\n0,very happy,1\n",
        "seconds,emotion,intensity\n0,happy\n",
        "seconds,emotion,intensity\n1,happy,1\n1,sad,1\n",
    ],
)
def test_bad_tables_are_refused(text: str, tmp_path: Path) -> None:
    """With one code, whatever is wrong."""
    path = tmp_path / "emotions.csv"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(InvalidInput) as refusal:
        read_emotions(path)

    assert "bad_emotions" == refusal.value.code


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An avatar whose dataset is labelled, with the model fitted to it."""
    folder = tmp_path_factory.mktemp("stage")
    dataset = write_dataset(folder / "dataset")
    (dataset / "emotions.csv").write_text(
        "seconds,emotion,intensity\n0,happy,0\n4,happy,1\n8,happy,0\n", encoding="utf-8"
    )
    made = write_avatar(folder / "avatar", dataset)
    save_head_model(made / "head_model.npz", make_head_model())
    options = FitMotionOptions(motion_model="emotional", audio_encoder="mel", max_steps=8)
    fit_on_datasets([dataset], options, made / "motion_model", silent)
    write_wav(folder / "speech.wav", make_speech(make_opening(50, seed=9), seed=9))
    return made


def animate(avatar: Path, out: Path, table: str) -> F32:
    """Expression of a speech with these emotions. [T, E]"""
    path = out.with_suffix(".csv")
    path.write_text("seconds,emotion,intensity\n" + table, encoding="utf-8")
    options = AnimateOptions(emotions=path)
    animate_avatar(avatar, avatar.parent / "speech.wav", options, out, silent)
    return read_arrays(out / "motion.npz", MOTION_TABLE)["expr"].astype(np.float32)


def test_keyframes_reach_the_motion(avatar: Path, tmp_path: Path) -> None:
    """From dataset and labels to a motion that differs by what is felt."""
    calm = animate(avatar, tmp_path / "calm", "0,neutral,0\n")
    felt = animate(avatar, tmp_path / "felt", "0,happy,1\n")

    assert (avatar / "motion_model" / "heldout.json").is_file()
    assert np.abs(felt - calm).max() > 1e-5


def test_emotions_not_learned_are_unavailable(avatar: Path, tmp_path: Path) -> None:
    """Nothing stands in for what no capture has shown."""
    with pytest.raises(Unavailable) as refusal:
        animate(avatar, tmp_path / "motion", "0,sad,1\n")

    assert "emotion_unavailable" == refusal.value.code


def test_models_without_emotions_are_unavailable(tmp_path: Path) -> None:
    """The control needs a model that has learned emotions."""
    dataset = write_dataset(tmp_path / "dataset")
    avatar = write_avatar(tmp_path / "avatar", dataset)
    save_head_model(avatar / "head_model.npz", make_head_model())
    fit_on_datasets([dataset], FitMotionOptions(), avatar / "motion_model", silent)
    write_wav(tmp_path / "speech.wav", make_speech(make_opening(50)))

    with pytest.raises(PlatformError) as refusal:
        animate(avatar, tmp_path / "motion", "0,happy,1\n")

    assert "emotion_unavailable" == refusal.value.code


@pytest.mark.parametrize("labels", [None, "0,neutral,0\n", "0,happy,0\n", "99,sad,0\n"])
def test_captures_without_labels_are_refused(labels: str | None, tmp_path: Path) -> None:
    """An emotional model is fitted to captures that say what was felt."""
    dataset = write_dataset(tmp_path / "dataset")
    if labels is not None:
        text = "seconds,emotion,intensity\n" + labels
        (dataset / "emotions.csv").write_text(text, encoding="utf-8")
    options = FitMotionOptions(motion_model="emotional")

    with pytest.raises(InvalidInput) as refusal:
        fit_on_datasets([dataset], options, tmp_path / "model", silent)

    assert "no_emotion_labels" == refusal.value.code
