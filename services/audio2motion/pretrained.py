"""Motion models that others trained, made ready for one avatar's face.

Such a model speaks in its own face's numbers. ``prepare_motion_model`` writes a motion model
folder like a fitted one: the limits of this subject's mouth, and how those numbers become the
coefficients of this avatar's head model. ``animate_avatar`` then takes that folder.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray

from services.audio2motion.motion_model import load_motion_model
from services.audio2motion.mouth import (
    MOUTH_FILE,
    Mouth,
    measure_lips,
    measure_mouth,
    read_mouth,
    write_mouth,
)
from services.audio2motion.tracks import coefficients_of
from shared.contracts.artifact import read_arrays, read_manifest, write_manifest
from shared.contracts.avatar import TRAINING_TABLE, AvatarManifest
from shared.contracts.motion_model import MotionModelManifest
from shared.errors import InvalidInput
from shared.head_model import HeadModel, load_head_model
from shared.plugins import plugin_names

F32 = NDArray[np.float32]

MOTION_MODELS = "services.audio2motion.motion_models"


class Face(NamedTuple):
    """Whom a model shall speak through."""

    head_model: str
    """Registry name."""
    model: HeadModel
    rest: F32
    """Coefficients of the face that says nothing: mouth closed, the rest at its mean. [P]"""


class SpeakerChoice(NamedTuple):
    """How a model of many speakers shall speak."""

    style: int | None = None
    """Number of the speaker; nobody's style if absent."""
    output: str | None = None
    """Which of its kinds of output to take; the one that suits the head model best if absent."""


class PretrainedMotionModel(Protocol):
    """What a motion model module offers besides, if it is used as published."""

    MODEL_FILES: tuple[str, ...]
    """Names in ``shared.model_files``."""

    def prepare(self, face: Face, choice: SpeakerChoice, out: Path) -> str:
        """Write what ``predict`` needs for this face into ``out``.

        Returns:
            Registry name of the audio encoder that it resembles.

        Raises:
            MissingModel: ``missing_model_file``.
            InvalidInput: ``bad_model_file``; ``bad_speaker_style``; ``output_incompatible`` what
                it says cannot be said by this head model.
        """
        ...


def is_pretrained(module: object) -> TypeGuard[PretrainedMotionModel]:
    """Whether a motion model module is used as published, and cannot be fitted."""
    return hasattr(module, "prepare")


def prepare_motion_model(
    name: str, avatar: Path, choice: SpeakerChoice, out: Path
) -> MotionModelManifest:
    """Make the published model ``name`` ready for ``avatar``.

    Args:
        name: Registry name of a motion model that needs no fitting.
        avatar: The artifact's folder.
        choice: Speaker and output.
        out: Folder of the motion model.

    Raises:
        InvalidInput: ``unknown_plugin``; ``model_needs_fitting``; and those of ``prepare``.
    """
    module = load_motion_model(name)
    if not is_pretrained(module):
        raise InvalidInput(
            "model_needs_fitting",
            f"{name} is fitted to a capture: talksplat fit-motion DATASET -o MODEL, then "
            "--motion-model MODEL",
        )
    about = read_manifest(avatar, AvatarManifest)
    shown = read_arrays(avatar / "tracking.npz", TRAINING_TABLE)
    model = load_head_model(avatar / "head_model.npz")
    mouth = _mouth(avatar, model, shown["shape"].astype(np.float32), coefficients_of(shown))
    rest = np.where(mouth.is_mouth, mouth.closed, mouth.mean).astype(np.float32)
    out.mkdir(parents=True, exist_ok=True)
    write_mouth(out, mouth)
    encoder = module.prepare(Face(about.head_model, model, rest), choice, out)
    manifest = MotionModelManifest(
        motion_model=name,
        audio_encoder=encoder,
        head_model=about.head_model,
        expression_names=about.expression_names,
        fps=about.fps,
        n_frames=len(shown["expr"]),
        capture_sha256=about.capture_sha256,
        seed=0,
    )
    write_manifest(out, manifest)
    return manifest


@contextmanager
def ready_motion_model(
    asked: str | None, avatar: Path, choice: SpeakerChoice
) -> Iterator[Path | None]:
    """The folder of the motion model that a person asked for; None for the avatar's own.

    Args:
        asked: A folder, or the registry name of a published model, which is made ready in a
            folder that is gone afterwards.
        avatar: The artifact's folder.
        choice: For a published model only.

    Raises:
        InvalidInput: those of ``prepare_motion_model``; ``bad_options`` a speaker was chosen for
            a model of one.
    """
    if asked in plugin_names(MOTION_MODELS):
        with TemporaryDirectory() as scratch:
            prepare_motion_model(str(asked), avatar, choice, Path(scratch))
            yield Path(scratch)
        return
    if choice != SpeakerChoice():
        raise InvalidInput(
            "bad_options", "a style can be chosen for a published motion model such as unitalker"
        )
    yield None if asked is None else Path(asked)


def _mouth(avatar: Path, model: HeadModel, shape: F32, coefficients: F32) -> Mouth:
    """Limits of the subject's mouth: as fitted, or of all training frames if nothing was."""
    fitted = avatar / "motion_model"
    if (fitted / MOUTH_FILE).is_file():
        return read_mouth(fitted)
    with torch.no_grad():
        lips = measure_lips(model, shape, coefficients.mean(axis=0))
    return measure_mouth(lips, coefficients, np.zeros(len(coefficients), np.bool_))
