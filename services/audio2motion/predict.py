"""Speech to motion: what a head does while it says something."""

from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from services.audio2motion.animate_options import AnimateOptions
from services.audio2motion.borrowing import choose_voice
from services.audio2motion.carried import Carried, carry, write_carried
from services.audio2motion.direction import direct, follow
from services.audio2motion.emotions import read_emotions
from services.audio2motion.idle import Clock, idle_tracks
from services.audio2motion.random_streams import random_stream
from services.audio2motion.respeaking import respeak
from services.audio2motion.speaking import speak
from services.audio2motion.tracks import Tracks, frames_of, motion_tracks
from shared.contracts.artifact import (
    read_arrays,
    read_manifest,
    write_arrays,
    write_manifest,
)
from shared.contracts.avatar import HELDOUT_TABLE, TRAINING_TABLE, AvatarManifest
from shared.contracts.motion import MOTION_TABLE, MotionManifest
from shared.contracts.motion_model import MotionModelManifest
from shared.dataset_reader import (
    TrackedDataset,
    open_dataset,
    read_dataset_audio,
    read_upper_face,
)
from shared.errors import InvalidInput
from shared.media.audio import SAMPLE_RATE, read_audio, write_wav
from shared.progress import Progress

F32 = NDArray[np.float32]

_IDLE_SHARE = 0.5
"""Of the capture's own brows and gaze: a regression alone would make a face too calm."""
_MIN_SPEECH_S = 0.1


class Carrying(TypedDict):
    """Fields of MotionManifest."""

    feature_encoder: str | None
    feature_rows: int
    has_upper_face: bool


class RespeakOptions(BaseModel):
    """Choices of a worker that re-speaks what was held out."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    is_selfdriven: bool = False
    """True takes everything that was tracked, False the head pose alone and the sound."""


def animate_avatar(
    avatar: Path, speech: Path, options: AnimateOptions, out: Path, progress: Progress
) -> MotionManifest:
    """Predict the motion of ``avatar`` saying ``speech``: any file with sound FFmpeg reads.

    Raises:
        InvalidInput: ``no_motion_model`` neither the avatar nor the options have one;
            ``motion_incompatible`` it belongs to another head model; ``speech_too_short``;
            ``no_audio`` and others of ``read_audio``, ``read_keyframes``, ``read_emotions`` and
            ``driver_tracks``.
        Unavailable: ``emotion_unavailable`` the motion model has not learned an emotion.
    """
    about = read_manifest(avatar, AvatarManifest)
    folder = options.motion_model or avatar / "motion_model"
    model = _read_model(folder, about)
    progress(0.05, "listening")
    audio = read_audio(speech)
    if audio.size < _MIN_SPEECH_S * SAMPLE_RATE:
        raise InvalidInput(
            "speech_too_short",
            f"{speech.name} has {audio.size / SAMPLE_RATE:.2f} s of sound, "
            f"at least {_MIN_SPEECH_S} s are needed",
        )
    fps = options.fps or about.fps
    clock = Clock(about.fps, fps, max(1, round(audio.size / SAMPLE_RATE * fps)))
    shown = _shown_tracks(avatar)
    is_looped = options.pose_source == "capture"
    idle = idle_tracks(
        shown,
        about.expression_names,
        clock,
        pose_source="capture" if is_looped else "fixed",
        blinks_per_minute=options.blinks_per_minute,
        generator=random_stream("animate", options.seed),
    )
    direction = direct(options, avatar, about, shown, clock)
    idle |= direction.head
    progress(0.2, "predicting the face")
    tracks = speak(
        folder,
        audio,
        idle,
        shown,
        fps=fps,
        articulation=options.articulation,
        idle_share=_IDLE_SHARE if is_looped else 0.0,
        avatar=avatar,
        emotions=() if options.emotions is None else read_emotions(options.emotions),
    )
    mouth = choose_voice(folder, model, shown, avatar).mouth
    tracks = follow(
        direction,
        options,
        tracks,
        shown,
        mouth,
        expression_names=about.expression_names,
        fps=fps,
    )
    manifest = MotionManifest(
        **_carried_facts(about),
        fps=fps,
        n_frames=clock.n_frames,
        head_model=about.head_model,
        expression_names=about.expression_names,
        motion_model=model.motion_model,
        audio_encoder=model.audio_encoder,
        pose_source=options.pose_source,
        driven_regions=options.driven,
    )
    _write_motion(out, tracks, audio, manifest, carry(avatar, about, tracks, audio, fps))
    progress(1.0, "motion predicted")
    return manifest


def animate_heldout(
    avatar: Path,
    dataset: Path,
    is_selfdriven: bool,  # noqa: FBT001 - named in every call
    out: Path,
    progress: Progress,
    *,
    is_refined: bool = True,
) -> MotionManifest:
    """Motion of the dataset's held-out frames, to be compared with the capture.

    Args:
        avatar: Trained on the dataset's other frames.
        dataset: With a split.
        is_selfdriven: True takes everything that was tracked; False (``spoken``) takes the head
            pose alone and predicts the rest from the sound.
        out: The motion artifact.
        progress: Reports the share done.
        is_refined: Whether to take the trainer's photometrically refined head pose, if present.

    Raises:
        InvalidInput: ``no_heldout`` nothing was held out; when spoken, ``no_audio``,
            ``no_motion_model`` and ``motion_incompatible``.
    """
    about = read_manifest(avatar, AvatarManifest)
    tracked = open_dataset(dataset)
    manifest = tracked.manifest
    held = slice(manifest.n_train, manifest.n_frames)
    if manifest.n_train >= manifest.n_frames:
        raise InvalidInput(
            "no_heldout", f"{dataset} holds nothing out; preprocess the capture with --holdout"
        )
    audio = read_dataset_audio(tracked)
    tracks = frames_of(motion_tracks(tracked.tracking), held)
    pose = _heldout_pose(avatar, tracks, is_refined=is_refined)
    model = None
    if not is_selfdriven:
        folder = avatar / "motion_model"
        model = _read_model(folder, about)
        progress(0.1, "predicting the face")
        if audio is None:
            raise InvalidInput(
                "no_audio", f"{dataset} has no sound to speak its held-out frames from"
            )
        tracks = respeak(folder, tracked, audio, pose, _shown_tracks(avatar), avatar=avatar)
    motion = MotionManifest(
        **_carried_facts(about),
        fps=manifest.fps,
        n_frames=manifest.n_frames - manifest.n_train,
        head_model=manifest.head_model,
        expression_names=manifest.expression_names,
        motion_model=model.motion_model if model else "tracked",
        audio_encoder=model.audio_encoder if model else None,
        pose_source="tracked",
    )
    start = round(manifest.n_train / manifest.fps * SAMPLE_RATE)
    carried = _carry_heldout(avatar, about, tracked, tracks, audio)
    if is_selfdriven and (supplied := read_upper_face(tracked)) is not None:
        carried = carried._replace(upper_face=supplied[held])
    _write_motion(out, tracks | pose, None if audio is None else audio[start:], motion, carried)
    progress(1.0, "motion of the held-out frames written")
    return motion


def _carry_heldout(
    avatar: Path, about: AvatarManifest, tracked: TrackedDataset, tracks: Tracks, audio: F32 | None
) -> Carried:
    """What the avatar asks for; windows of sound reach back over the split."""
    n_before = tracked.manifest.n_train
    before = frames_of(motion_tracks(tracked.tracking), slice(0, n_before))
    whole = {name: np.concatenate([before[name], track]) for name, track in tracks.items()}
    carried = carry(avatar, about, whole, audio, tracked.manifest.fps)
    return Carried(*(None if each is None else each[n_before:] for each in carried))


def _read_model(folder: Path, about: AvatarManifest) -> MotionModelManifest:
    if not folder.is_dir():
        raise InvalidInput(
            "no_motion_model",
            f"there is no motion model in {folder}; the avatar's capture had no sound. "
            "Name the motion model of another capture (--motion-model), "
            "or capture the person speaking",
        )
    model = read_manifest(folder, MotionModelManifest)
    if (model.head_model, model.expression_names) != (about.head_model, about.expression_names):
        raise InvalidInput(
            "motion_incompatible",
            f"the motion model drives {len(model.expression_names)} expressions of "
            f"{model.head_model}, the avatar has {len(about.expression_names)} of "
            f"{about.head_model}; fit a motion model for this head model",
        )
    return model


def _heldout_pose(avatar: Path, tracks: Tracks, *, is_refined: bool) -> Tracks:
    """Rotation and translation: six numbers per held-out frame, all that may be taken."""
    path = avatar / "heldout_pose.npz"
    if not is_refined or not path.is_file():
        return {name: tracks[name] for name in HELDOUT_TABLE}
    pose = read_arrays(path, HELDOUT_TABLE)
    n_frames = len(tracks["rotation"])
    if len(pose["rotation"]) != n_frames:
        raise InvalidInput(
            "motion_incompatible",
            f"{path} has {len(pose['rotation'])} frames, the dataset holds out {n_frames}; "
            "train the avatar on this dataset",
        )
    return {name: track.astype(np.float32) for name, track in pose.items()}


def _shown_tracks(avatar: Path) -> Tracks:
    return motion_tracks(read_arrays(avatar / "tracking.npz", TRAINING_TABLE))


def _write_motion(
    out: Path, tracks: Tracks, audio: F32 | None, manifest: MotionManifest, carried: Carried
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_carried(out, carried)
    contiguous = {name: np.ascontiguousarray(track) for name, track in tracks.items()}
    write_arrays(out / "motion.npz", contiguous, MOTION_TABLE)
    if audio is not None:
        write_wav(out / "audio.wav", audio)
    write_manifest(out, manifest)


def _carried_facts(about: AvatarManifest) -> Carrying:
    """What the motion says of what it carries: what the avatar asks for."""
    return Carrying(
        feature_encoder=about.feature_encoder,
        feature_rows=about.feature_rows,
        has_upper_face=about.needs_upper_face,
    )
