"""Speaker translator: what sounds mean for a face in general, and for each speaker in particular.

After the speaker-specific motion translator of Yu et al., "GaussianTalker" (MM 2024, arXiv
2404.14037): audio features without the speaker, an embedding of the speaker, a decoder to FLAME's
expression, losses on parameters and on the mesh. Departures: the paper gives no widths, ours are
those of ``translator_net``; any encoder of the registry is listened through, by default the two
that need no weights; there is no lip-reading loss, whose networks are not public; seconds of
capture and no corpus are the rule here, so the decoder begins at the best weights for its waves
and stays near them. Expression, jaw and eyes are predicted, head pose is given.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from services.audio2motion.motion_model import Fitting, SpokenCapture
from services.audio2motion.mouth_basis import mouth_shapes
from services.audio2motion.translator_net import TranslatorNet
from services.audio2motion.translator_training import Course, Lesson, train_net
from services.audio2motion.universal_sound import (
    Hearing,
    encoder_rows,
    learn_hearing,
    sound_views,
)
from shared.avatar_store import save_tensors
from shared.errors import InvalidInput
from shared.progress import Progress

F32 = NDArray[np.float32]

AUDIO_ENCODERS = ("mel", "vocal_tract")

_N_SHAPES = 8
"""They hold about 98 % of the lips' motion."""
_N_STEPS = 20
_PART = 1000
"""Frames predicted at once, so that an hour of speech needs little memory."""
_FILE, _ABOUT = "speaker_translator.safetensors", "speaker_translator.json"


def fit(shown: SpokenCapture, *, seed: int, out: Path, progress: Progress) -> None:
    """Fit to one capture; see the contract."""
    fit_captures([shown], Fitting(seed=seed), out=out, progress=progress)


def fit_captures(
    captures: Sequence[SpokenCapture], fitting: Fitting, *, out: Path, progress: Progress
) -> tuple[str, ...]:
    """Train on all captures; see the contract."""
    encoders = fitting.audio_encoders or AUDIO_ENCODERS
    progress(0.0, "listening")
    recordings = [encoder_rows(encoders, each.audio) for each in captures]
    hearing = learn_hearing(encoders, recordings)
    speakers = list(dict.fromkeys(each.speaker for each in captures))
    means = _speaker_means(captures, speakers)
    shapes, measuring = _shared_shapes(captures, speakers, means)
    rest = np.flatnonzero(~shapes.any(axis=0))
    lessons = []
    for each, rows in zip(captures, recordings, strict=True):
        frames = np.flatnonzero(each.is_valid)
        speaker = speakers.index(each.speaker)
        off = each.coefficients[frames] - means[speaker]
        lessons.append(
            Lesson(
                views=torch.from_numpy(sound_views(hearing, rows, (frames + 0.5) / each.fps)),
                pose=torch.from_numpy(each.pose[frames]),
                mouth=torch.from_numpy((off @ measuring).astype(np.float32)),
                upper=torch.from_numpy(off[:, rest]),
                lips=torch.from_numpy(
                    np.einsum("kp,plc->klc", shapes, each.lip_effect)
                    .reshape(len(shapes), -1)
                    .astype(np.float32)
                ),
                speaker=speaker,
            )
        )
    net = TranslatorNet(
        recordings[0].shape[1], len(speakers), len(shapes), len(rest), seed=fitting.seed
    )
    n_steps = _N_STEPS if fitting.n_steps is None else fitting.n_steps
    train_net(net, lessons, Course(n_steps, fitting.seed, fitting.checkpoints), progress)
    kept = dict(net.state_dict()) | {
        "hearing.mean": torch.from_numpy(hearing.mean),
        "hearing.deviation": torch.from_numpy(hearing.deviation),
        "shapes": torch.from_numpy(shapes.astype(np.float32)),
        "means": torch.from_numpy(means),
    }
    save_tensors(out / _FILE, kept)
    about = {"encoders": list(encoders), "speakers": speakers}
    (out / _ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    progress(1.0, "motion model trained")
    return encoders


def predict(model: Path, audio: F32, pose: F32, *, fps: int) -> F32:
    """Expression, jaw and eyes of a speech; see the contract. [T, P]

    A model of one speaker speaks as that one, a model of several as anyone.
    """
    speakers = _read_about(model)[1]
    return predict_as(
        model, audio, pose, fps=fps, speaker=speakers[0] if len(speakers) == 1 else ""
    )


def predict_as(model: Path, audio: F32, pose: F32, *, fps: int, speaker: str) -> F32:
    """The same in the manner of one speaker; see the contract. [T, P]"""
    encoders, speakers = _read_about(model)
    try:
        kept = load_file(model / _FILE)
        mean, deviation = kept.pop("hearing.mean").numpy(), kept.pop("hearing.deviation").numpy()
        shapes, means = kept.pop("shapes").numpy(), kept.pop("means").numpy()
        rest = np.flatnonzero(~shapes.any(axis=0))
        net = TranslatorNet(len(mean), len(speakers), len(shapes), len(rest), seed=0)
        net.load_state_dict(kept)
    except (SafetensorError, OSError, KeyError, RuntimeError) as error:
        raise InvalidInput(
            "bad_motion_model", f"{model / _FILE} is not a speaker_translator: {error}"
        ) from error
    number = speakers.index(speaker) if speaker in speakers else len(speakers)
    hearing = Hearing(encoders, mean, deviation)
    rows = encoder_rows(encoders, audio)
    predicted = np.tile(means[number], (len(pose), 1))
    for start in range(0, len(pose), _PART):
        part = slice(start, min(start + _PART, len(pose)))
        times = (np.arange(part.start, part.stop) + 0.5) / fps
        with torch.no_grad():
            heads = net(
                torch.from_numpy(sound_views(hearing, rows, times)),
                torch.from_numpy(pose[part]),
                number,
            )
        predicted[part] += heads.mouth.numpy() @ shapes
        predicted[part, rest] += heads.upper.numpy()
    return predicted.astype(np.float32)


def _speaker_means(captures: Sequence[SpokenCapture], speakers: list[str]) -> F32:
    """Mean coefficients of each speaker, and of all. [S + 1, P]"""
    by_speaker = [
        np.concatenate(
            [each.coefficients[each.is_valid] for each in captures if each.speaker == speaker]
        ).mean(axis=0)
        for speaker in speakers
    ]
    return np.stack([*by_speaker, np.mean(by_speaker, axis=0)]).astype(np.float32)


def _shared_shapes(
    captures: Sequence[SpokenCapture], speakers: list[str], means: F32
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mouth shapes of all captures about their speakers' means, and what measures them.

    Returns:
        Coefficients of each shape at its typical strength [K, P], and the matrix by which
        coefficients become strengths [P, K].
    """
    off = np.concatenate(
        [
            each.coefficients[each.is_valid] - means[speakers.index(each.speaker)]
            for each in captures
        ]
    )
    effect = np.mean([each.lip_effect for each in captures], axis=0)
    found = mouth_shapes(off, effect, _N_SHAPES)
    scale = float(found.activations.std())
    return found.shapes * scale, found.measuring / scale


def _read_about(model: Path) -> tuple[tuple[str, ...], list[str]]:
    """Encoders and speakers."""
    try:
        about = json.loads((model / _ABOUT).read_text(encoding="utf-8"))
        return tuple(map(str, about["encoders"])), list(map(str, about["speakers"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            "bad_motion_model", f"{model / _ABOUT} is not a speaker_translator's: {error}"
        ) from error
