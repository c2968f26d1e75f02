"""Decides from a few samples whether a capture can become a dataset, before any long work."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shared.contracts.tracked_dataset import FPS
from shared.errors import InvalidInput
from shared.media.video import VideoInfo, probe_video, sample_frames
from shared.tracker import FaceBox, Tracker

N_SAMPLES = 16
MIN_SECONDS = 3.0
MIN_TRAIN_SECONDS = 2.0
MIN_FACE_PX = 80
"""Height of the face, chin to forehead; below it lips and lids are a few pixels."""
_BOX_TO_FACE = 1.05  # face height over the detector's box height, from tracked captures
_MIN_SHARE = 0.5  # of the samples: a face in fewer is an accident of the background
_SURE_SCORE = 0.7
_RIVAL_AREA = 0.4  # of the largest face: smaller ones are bystanders


def screen_capture(capture: Path, tracker: Tracker) -> VideoInfo:
    """Look at the header and at ``N_SAMPLES`` frames.

    Raises:
        InvalidInput: ``too_short``, ``no_face``, ``several_faces``, ``face_too_small``, or what
            ``probe_video`` raises.
    """
    info = probe_video(capture)
    if 0.0 < info.duration_s < MIN_SECONDS:
        raise too_short(info.duration_s)
    samples = list(sample_frames(capture, N_SAMPLES))
    faces = list(tracker.detect_faces(sample.image for sample in samples))
    check_faces([sample.source_s for sample in samples], faces)
    return info


def too_short(seconds: float) -> InvalidInput:
    """Build the refusal of a capture with too little to learn from."""
    return InvalidInput(
        "too_short",
        f"the capture lasts {seconds:.1f} s; at least {MIN_SECONDS:.0f} s are needed, "
        "10 s and more give good results",
    )


def check_split(n_frames: int, n_held_out: int) -> int:
    """Number of training frames, the first ones.

    Raises:
        InvalidInput: ``too_short`` or ``holdout_too_long``.
    """
    if n_frames < MIN_SECONDS * FPS:
        raise too_short(n_frames / FPS)
    n_train = n_frames - n_held_out
    if n_train < MIN_TRAIN_SECONDS * FPS:
        raise InvalidInput(
            "holdout_too_long",
            f"holding out {n_held_out / FPS:.1f} s of {n_frames / FPS:.1f} s leaves "
            f"{max(n_train, 0) / FPS:.1f} s to learn from; leave at least "
            f"{MIN_TRAIN_SECONDS:.0f} s",
        )
    return n_train


def check_faces(times_s: Sequence[float], faces: Sequence[list[FaceBox]]) -> None:
    """Refuse captures without one clear face.

    Args:
        times_s: Time of each sampled frame.
        faces: All faces found in each, the largest first.

    Raises:
        InvalidInput: ``no_face``, ``several_faces`` or ``face_too_small``.
    """
    n_samples = len(faces)
    largest = [found[0] for found in faces if found and _is_sure(found[0])]
    if not largest or len(largest) < _MIN_SHARE * n_samples:
        raise InvalidInput(
            "no_face",
            f"a face in {len(largest)} of {n_samples} sampled frames; "
            "film the head facing the camera, in good light",
        )
    crowded = [
        time
        for time, found in zip(times_s, faces, strict=True)
        if len(found) > 1 and _area(found[1]) > _RIVAL_AREA * _area(found[0])
    ]
    if len(crowded) >= _MIN_SHARE * n_samples:
        raise InvalidInput(
            "several_faces",
            f"several faces in {len(crowded)} of {n_samples} sampled frames, for example at "
            f"{crowded[0]:.2f} s; crop the video to the person who is meant",
        )
    height = float(np.median([face.height for face in largest])) * _BOX_TO_FACE
    if height < MIN_FACE_PX:
        raise face_too_small(height)


def face_too_small(height_px: float) -> InvalidInput:
    """Build the refusal of a face too small to learn lips and eyes from."""
    return InvalidInput(
        "face_too_small",
        f"the face is {height_px:.0f} px high, at least {MIN_FACE_PX} px are needed; "
        "film closer or at a higher resolution",
    )


def _is_sure(face: FaceBox) -> bool:
    """Whether a detection is a face: the detector sees small ones in trees and buildings."""
    return face.score >= _SURE_SCORE or face.height * _BOX_TO_FACE >= MIN_FACE_PX


def _area(face: FaceBox) -> float:
    return face.width * face.height
