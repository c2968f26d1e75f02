"""Emotional: speech to motion with emotions over time, learned from labelled captures.

After CSTalk (arXiv 2404.18604, no code): a categorical emotion with an intensity, and a masked
transformer over face regions whose knowledge of how they move together supervises the speech
network. Departures: coefficients of the head model instead of 185 rig curves, one correlation
network told the emotion instead of one per emotion, the translator's waves as decoder instead of
a TCN over wav2vec 2.0, for seconds of capture and encoders without weights. What an emotion adds
grows in proportion to its intensity; without one the face is neutral.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from services.audio2motion.emotion_net import EmotionNet, Sizes
from services.audio2motion.emotion_training import Emotional, FeltLesson, train_emotional
from services.audio2motion.emotions import (
    EMOTIONS_FILE,
    EmotionKeyframe,
    emotion_weights,
    emotions_of,
)
from services.audio2motion.motion_model import Fitting, SpokenCapture
from services.audio2motion.mouth_basis import mouth_shapes
from services.audio2motion.translator_training import Course, Lesson
from services.audio2motion.universal_sound import (
    Hearing,
    encoder_rows,
    learn_hearing,
    sound_views,
)
from shared.avatar_store import save_tensors
from shared.errors import InvalidInput, Unavailable
from shared.progress import Progress

F32 = NDArray[np.float32]

AUDIO_ENCODERS = ("mel", "vocal_tract")

_N_SHAPES = 8
_N_STEPS = 400
_PART = 1000
"""Frames predicted at once, so that an hour of speech needs little memory."""
_MAX_EMOTIONS = 16
_EMOTION_DOUBT = 0.01
"""Keeps the neutral mean from being guessed far outside of what was shown."""
_N_GAZE = 6
_FILE, _ABOUT = "emotional.safetensors", "emotional.json"


class _About(NamedTuple):
    encoders: tuple[str, ...]
    speakers: list[str]
    emotions: list[str]
    groups: list[list[int]]


def fit(shown: SpokenCapture, *, seed: int, out: Path, progress: Progress) -> None:
    """Fit to one capture; see the contract."""
    fit_captures([shown], Fitting(seed=seed), out=out, progress=progress)


def fit_captures(
    captures: Sequence[SpokenCapture], fitting: Fitting, *, out: Path, progress: Progress
) -> tuple[str, ...]:
    """Train on all captures; see the contract.

    Raises:
        InvalidInput: ``no_emotion_labels`` a capture has none, or all of them are neutral.
    """
    names = _learned_emotions(captures)
    encoders = fitting.audio_encoders or AUDIO_ENCODERS
    progress(0.0, "listening")
    recordings = [encoder_rows(encoders, each.audio) for each in captures]
    hearing = learn_hearing(encoders, recordings)
    speakers = list(dict.fromkeys(each.speaker for each in captures))
    means = _neutral_means(captures, speakers, names)
    numbers = [speakers.index(each.speaker) for each in captures]
    offs = [
        each.coefficients[each.is_valid] - means[number]
        for each, number in zip(captures, numbers, strict=True)
    ]
    effect = np.mean([each.lip_effect for each in captures], axis=0)
    found = mouth_shapes(np.concatenate(offs), effect, _N_SHAPES)
    size = float(found.activations.std())
    shapes, measuring = found.shapes * size, found.measuring / size
    rest = np.flatnonzero(~shapes.any(axis=0))
    lessons = [
        FeltLesson(
            Lesson(
                views=torch.from_numpy(sound_views(hearing, rows, _times(each))),
                pose=torch.from_numpy(each.pose[each.is_valid]),
                mouth=torch.from_numpy((off @ measuring).astype(np.float32)),
                upper=torch.from_numpy(off[:, rest]),
                lips=torch.from_numpy(
                    np.einsum("kp,plc->klc", shapes, each.lip_effect)
                    .reshape(len(shapes), -1)
                    .astype(np.float32)
                ),
                speaker=number,
            ),
            torch.from_numpy(emotion_weights(each.emotions, names, _times(each))),
        )
        for each, rows, off, number in zip(captures, recordings, offs, numbers, strict=True)
    ]
    groups = _groups(captures[0], len(shapes), rest)
    about = _About(tuple(encoders), speakers, names, groups)
    model = _built(about, recordings[0].shape[1], len(shapes), len(rest), fitting.seed)
    n_steps = _N_STEPS if fitting.n_steps is None else fitting.n_steps
    train_emotional(model, lessons, Course(n_steps, fitting.seed, fitting.checkpoints), progress)
    kept = dict(model.state_dict()) | {
        "hearing.mean": torch.from_numpy(hearing.mean),
        "hearing.deviation": torch.from_numpy(hearing.deviation),
        "shapes": torch.from_numpy(shapes.astype(np.float32)),
        "means": torch.from_numpy(means),
    }
    save_tensors(out / _FILE, kept)
    (out / _ABOUT).write_text(json.dumps(about._asdict(), indent=1) + "\n", encoding="utf-8")
    progress(1.0, "motion model trained")
    return about.encoders


def predict(model: Path, audio: F32, pose: F32, *, fps: int) -> F32:
    """Expression, jaw and eyes of a neutral speech; see the contract. [T, P]

    A model of one speaker speaks as that one, a model of several as anyone.
    """
    speakers = _read_about(model).speakers
    speaker = speakers[0] if len(speakers) == 1 else ""
    return predict_as(model, audio, pose, fps=fps, speaker=speaker)


def predict_as(model: Path, audio: F32, pose: F32, *, fps: int, speaker: str) -> F32:
    """The same in the manner of one speaker; see the contract. [T, P]"""
    return predict_feeling(model, audio, pose, fps=fps, speaker=speaker, emotions=())


def predict_feeling(
    model: Path,
    audio: F32,
    pose: F32,
    *,
    fps: int,
    speaker: str,
    emotions: Sequence[EmotionKeyframe],
) -> F32:
    """The same with emotions over time; see the contract. [T, P]"""
    about = _read_about(model)
    unknown = emotions_of(emotions) - set(about.emotions)
    if unknown:
        raise Unavailable(
            "emotion_unavailable",
            f"{model} has learned {', '.join(about.emotions)}, not {', '.join(sorted(unknown))}; "
            f"fit it to captures whose {EMOTIONS_FILE} names that",
        )
    try:
        kept = load_file(model / _FILE)
        mean, deviation = kept.pop("hearing.mean").numpy(), kept.pop("hearing.deviation").numpy()
        shapes, means = kept.pop("shapes").numpy(), kept.pop("means").numpy()
        rest = np.flatnonzero(~shapes.any(axis=0))
        module = _built(about, len(mean), len(shapes), len(rest), 0)
        module.load_state_dict(kept)
    except (SafetensorError, OSError, KeyError, RuntimeError) as error:
        raise InvalidInput(
            "bad_motion_model", f"{model / _FILE} is not an emotional model: {error}"
        ) from error
    number = about.speakers.index(speaker) if speaker in about.speakers else len(about.speakers)
    hearing = Hearing(about.encoders, mean, deviation)
    rows = encoder_rows(about.encoders, audio)
    predicted = np.tile(means[number], (len(pose), 1))
    for start in range(0, len(pose), _PART):
        part = slice(start, min(start + _PART, len(pose)))
        times = (np.arange(part.start, part.stop) + 0.5) / fps
        with torch.no_grad():
            features = module.net.spoken.features(
                torch.from_numpy(sound_views(hearing, rows, times)), torch.from_numpy(pose[part])
            )
            feeling = torch.from_numpy(emotion_weights(emotions, about.emotions, times))
            face = module.net.face(module.net.parts(features, number), feeling).numpy()
        predicted[part] += face[:, : len(shapes)] @ shapes
        predicted[part, rest] += face[:, len(shapes) :]
    return predicted.astype(np.float32)


def _times(shown: SpokenCapture) -> NDArray[np.float64]:
    """Seconds of the valid frames. [T]"""
    return (np.flatnonzero(shown.is_valid) + 0.5) / shown.fps


def _learned_emotions(captures: Sequence[SpokenCapture]) -> list[str]:
    names: set[str] = set()
    for each in captures:
        felt = emotion_weights(each.emotions, sorted(emotions_of(each.emotions)), _times(each))
        shown = zip(sorted(emotions_of(each.emotions)), felt.max(axis=0, initial=0), strict=True)
        names |= {name for name, strongest in shown if strongest > 0}
    if not names or not all(each.emotions for each in captures):
        raise InvalidInput(
            "no_emotion_labels",
            "an emotional model learns from captures that say what was felt: write "
            f"{EMOTIONS_FILE} (seconds,emotion,intensity from 0 to 1) into each tracked dataset, "
            "other than neutral in one at least",
        )
    if len(names) > _MAX_EMOTIONS:
        raise InvalidInput(
            "bad_emotions", f"the labels name {len(names)} emotions, at most {_MAX_EMOTIONS} fit"
        )
    return sorted(names)


def _neutral_means(captures: Sequence[SpokenCapture], speakers: list[str], names: list[str]) -> F32:
    """Mean coefficients of each speaker's neutral face, and of all. [S + 1, P]"""
    by_speaker = []
    for speaker in speakers:
        own = [each for each in captures if each.speaker == speaker]
        shown = np.concatenate([each.coefficients[each.is_valid] for each in own])
        felt = np.concatenate([emotion_weights(each.emotions, names, _times(each)) for each in own])
        known = np.concatenate([np.ones((len(felt), 1)), felt.astype(np.float64)], axis=1)
        doubt = np.diag([1e-9, *[_EMOTION_DOUBT] * len(names)]) * len(known)
        by_speaker.append(np.linalg.solve(known.T @ known + doubt, known.T @ shown)[0])
    return np.stack([*by_speaker, np.mean(by_speaker, axis=0)]).astype(np.float32)


def _groups(shown: SpokenCapture, n_mouth: int, rest: NDArray[np.intp]) -> list[list[int]]:
    """Columns of mouth, eyes, cheeks and brows among mouth shapes and upper face; none empty."""
    n_expressions = shown.coefficients.shape[1] - 9
    names = [*shown.expression_names, *[""] * n_expressions][:n_expressions]
    eyes, cheeks, brows = list[int](), list[int](), list[int]()
    for column, coefficient in enumerate(rest, n_mouth):
        name = names[coefficient] if coefficient < n_expressions else ""
        if coefficient >= n_expressions + 9 - _N_GAZE or name.startswith("eye"):
            eyes.append(column)
        elif name.startswith(("cheek", "nose")):
            cheeks.append(column)
        else:
            brows.append(column)
    return [list(range(n_mouth)), *[group for group in (eyes, cheeks, brows) if group]]


def _built(about: _About, n_channels: int, n_mouth: int, n_upper: int, seed: int) -> Emotional:
    sizes = Sizes(n_channels, len(about.speakers), len(about.emotions), n_mouth, n_upper)
    return Emotional(EmotionNet(sizes, seed=seed), about.groups, len(about.emotions), seed=seed)


def _read_about(model: Path) -> _About:
    try:
        about = json.loads((model / _ABOUT).read_text(encoding="utf-8"))
        return _About(
            tuple(map(str, about["encoders"])),
            list(map(str, about["speakers"])),
            list(map(str, about["emotions"])),
            [list(map(int, group)) for group in about["groups"]],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            "bad_motion_model", f"{model / _ABOUT} is not an emotional model's: {error}"
        ) from error
