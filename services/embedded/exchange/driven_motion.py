"""Motions of other faces for an avatar: meshes of its topology, or another avatar's motion."""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.audio2motion.retarget import retarget_coefficients, retarget_vertices, target_face
from services.audio2motion.tracks import (
    Tracks,
    coefficients_of,
    motion_tracks,
    split_coefficients,
)
from services.embedded.exchange.head_exchange import clear_folder
from shared.contracts.artifact import read_arrays, read_manifest, write_arrays, write_manifest
from shared.contracts.avatar import TRAINING_TABLE, AvatarManifest
from shared.contracts.motion import MOTION_TABLE, MotionManifest
from shared.errors import InvalidInput

F32 = NDArray[np.float32]


def import_vertices(file: Path, avatar: Path, fps: int, out: Path) -> MotionManifest:
    """Let an avatar do what a mesh does, its head held as it mostly was.

    Args:
        file: npz with ``vertices`` [T, V, 3] m and ``neutral`` [V, 3] m, such as a UniTalker
            result of FLAME's topology with its template.
        avatar: Of that topology.
        fps: Frames per second of the mesh.
        out: The motion.

    Raises:
        InvalidInput: ``bad_exchange_file``, ``mesh_mismatch``, ``folder_occupied``.
    """
    vertices, neutral = _read_meshes(file)
    coefficients = retarget_vertices(vertices, neutral, target_face(avatar))
    return write_driven(out, avatar, coefficients, resting_head(avatar, len(vertices)), fps)


def import_performance(motion: Path, performer: Path, avatar: Path, out: Path) -> MotionManifest:
    """Let ``avatar`` do with its face what ``performer`` does in ``motion``.

    The head moves about the avatar's own place as the performer's does about its own.

    Raises:
        InvalidInput: ``motion_incompatible`` the motion is not the performer's;
            ``folder_occupied``.
    """
    about, manifest = (
        read_manifest(performer, AvatarManifest),
        read_manifest(motion, MotionManifest),
    )
    if (about.head_model, about.expression_names) != (
        manifest.head_model,
        manifest.expression_names,
    ):
        raise InvalidInput(
            "motion_incompatible",
            f"{motion} is a motion of {manifest.head_model} with "
            f"{len(manifest.expression_names)} expressions, {performer} is not",
        )
    tracks = motion_tracks(read_arrays(motion / "motion.npz", MOTION_TABLE))
    theirs = coefficients_of(tracks)
    found = retarget_coefficients(theirs, target_face(performer), target_face(avatar))
    own, other = resting_head(avatar, len(theirs)), resting_head(performer, len(theirs))
    head = {name: own[name] + tracks[name] - other[name] for name in own}
    return write_driven(out, avatar, found, head, manifest.fps)


def resting_head(avatar: Path, n_frames: int) -> Tracks:
    """Median head pose of the training frames. [T, 3] each"""
    shown = motion_tracks(read_arrays(avatar / "tracking.npz", TRAINING_TABLE))
    return {
        name: np.repeat(np.median(shown[name], axis=0, keepdims=True), n_frames, axis=0)
        for name in ("rotation", "neck_pose", "translation")
    }


def write_driven(out: Path, avatar: Path, face: F32, head: Tracks, fps: int) -> MotionManifest:
    """Write a face [T, P] and a head pose as a motion of ``avatar``."""
    about = read_manifest(avatar, AvatarManifest)
    clear_folder(out)
    tracks = split_coefficients(face) | head
    arrays = {name: np.ascontiguousarray(track, np.float32) for name, track in tracks.items()}
    write_arrays(out / "motion.npz", arrays, MOTION_TABLE)
    (out / "importing").unlink()
    made = MotionManifest(
        fps=fps,
        n_frames=len(face),
        head_model=about.head_model,
        expression_names=about.expression_names,
        motion_model="tracked",
        audio_encoder=None,
        pose_source="tracked",
    )
    write_manifest(out, made)
    return made


def _read_meshes(file: Path) -> tuple[F32, F32]:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            vertices, neutral = (
                np.asarray(stored[name], np.float32) for name in ("vertices", "neutral")
            )
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidInput("bad_exchange_file", f"{file} cannot be imported: {error}") from error
    if vertices.ndim != 3 or not len(vertices) or not np.isfinite(vertices).all():  # noqa: PLR2004
        raise InvalidInput(
            "bad_exchange_file", f"{file}: vertices are {list(vertices.shape)}, not [T, V, 3]"
        )
    return vertices, neutral
