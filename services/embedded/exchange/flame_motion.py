"""Motions as FLAME parameter files, which GaussianAvatars plays with ``--motion_path``."""

import shutil
from pathlib import Path

import numpy as np

from services.embedded.exchange.flame_params import FlameSequence, read_sequence, write_sequence
from services.embedded.exchange.head_exchange import clear_folder
from services.renderer.shot import read_motion
from shared.contracts.artifact import read_manifest, write_arrays, write_manifest
from shared.contracts.avatar import AvatarManifest
from shared.contracts.motion import MOTION_TABLE, MotionManifest


def export_motion(avatar: Path, motion: Path, out: Path) -> None:
    """Write a motion of an avatar as npz.

    Raises:
        InvalidInput: ``motion_incompatible``, and what reading the artifacts raises.
    """
    performance, _ = read_motion(motion, read_manifest(avatar, AvatarManifest))
    write_sequence(out, FlameSequence(performance.pose, shape=None, static_offset=None))


def import_motion(file: Path, avatar: Path, out: Path, sound: Path | None) -> MotionManifest:
    """Make a motion for an avatar from an npz; its shape and offsets are passed over.

    Args:
        file: FLAME parameters; the avatar keeps its own person.
        avatar: Whose head model and frame rate the motion is for.
        out: The motion.
        sound: A mono 16 kHz wave to go with it, if any.

    Raises:
        InvalidInput: ``bad_exchange_file``, ``expression_mismatch``, ``folder_occupied``.
    """
    manifest = read_manifest(avatar, AvatarManifest)
    sequence = read_sequence(file, len(manifest.expression_names))
    clear_folder(out)
    arrays = {
        name: np.ascontiguousarray(values.numpy())
        for name, values in sequence.pose._asdict().items()
    }
    write_arrays(out / "motion.npz", arrays, MOTION_TABLE)
    if sound is not None:
        shutil.copyfile(sound, out / "audio.wav")
    (out / "importing").unlink()
    made = MotionManifest(
        fps=manifest.fps,
        n_frames=len(sequence.pose.expr),
        head_model=manifest.head_model,
        expression_names=manifest.expression_names,
        motion_model="tracked",
        audio_encoder=None,
        pose_source="tracked",
    )
    write_manifest(out, made)
    return made
