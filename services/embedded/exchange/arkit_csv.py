"""Motions as tables of ARKit's blendshapes, in the columns that Live Link Face records.

52 coefficients, then the angles of head and eyes in radians. Head models speak the same names with
``_L`` and ``_R``; the jaw is a joint here, and gaze is angles. A head model that has other
expressions (FLAME) is reached through the open head's face by retargeting.
"""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.audio2motion.retarget import face_of, limit_face, retarget_coefficients, target_face
from services.audio2motion.tracks import Tracks, coefficients_of, motion_tracks
from services.embedded.exchange.driven_motion import resting_head, write_driven
from shared.contracts.artifact import read_arrays, read_manifest
from shared.contracts.avatar import AvatarManifest
from shared.contracts.motion import MOTION_TABLE, MotionManifest
from shared.errors import InvalidInput
from shared.head_model import HeadModel
from shared.plugins import load_plugin

F32 = NDArray[np.float32]

_EYE = ("EyeBlink", "EyeLookDown", "EyeLookIn", "EyeLookOut", "EyeLookUp", "EyeSquint", "EyeWide")
_PAIRS = (
    "MouthSmile", "MouthFrown", "MouthDimple", "MouthStretch", "MouthPress", "MouthLowerDown",
    "MouthUpperUp",
)  # fmt: skip
_SHAPES = (
    *(f"{name}{side}" for side in ("Left", "Right") for name in _EYE),
    "JawForward", "JawRight", "JawLeft", "JawOpen", "MouthClose", "MouthFunnel", "MouthPucker",
    "MouthRight", "MouthLeft",
    *(f"{name}{side}" for name in _PAIRS[:4] for side in ("Left", "Right")),
    "MouthRollLower", "MouthRollUpper", "MouthShrugLower", "MouthShrugUpper",
    *(f"{name}{side}" for name in _PAIRS[4:] for side in ("Left", "Right")),
    "BrowDownLeft", "BrowDownRight", "BrowInnerUp", "BrowOuterUpLeft", "BrowOuterUpRight",
    "CheekPuff", "CheekSquintLeft", "CheekSquintRight", "NoseSneerLeft", "NoseSneerRight",
    "TongueOut",
)  # fmt: skip
_ANGLES = tuple(
    f"{part}{angle}"
    for part in ("Head", "LeftEye", "RightEye")
    for angle in ("Yaw", "Pitch", "Roll")
)
COLUMNS = ("Timecode", "BlendshapeCount", *_SHAPES, *_ANGLES)

_JAW_OPEN_RAD = 0.3
"""Angle of the jaw that is JawOpen 1; sideways the same angle is JawLeft 1."""
_GAZE_RAD = 0.5
"""Angle of an eye that is EyeLook 1."""
_MAX_ROWS = 1_000_000
_SIDES = {"Left": "_L", "Right": "_R"}
_NOT_SIDED = {"JawLeft", "JawRight", "MouthLeft", "MouthRight"}


def unit_name(column: str) -> str:
    """A column's expression unit: ``EyeBlinkLeft`` is ``eyeBlink_L``."""
    name = column[0].lower() + column[1:]
    for side, ending in _SIDES.items():
        if column.endswith(side) and column not in _NOT_SIDED:
            return name.removesuffix(side) + ending
    return name


def export_arkit(motion: Path, out: Path) -> None:
    """Write a motion as csv.

    Raises:
        InvalidInput: ``expression_mismatch`` where its head model has no units of ARKit's names.
    """
    manifest = read_manifest(motion, MotionManifest)
    tracks = motion_tracks(read_arrays(motion / "motion.npz", MOTION_TABLE))
    names = manifest.expression_names
    if "eyeBlink_L" not in names:
        raise InvalidInput(
            "expression_mismatch",
            f"{manifest.head_model} has no units of ARKit's names; retarget the motion to an "
            "avatar of open_head or ict_face with: talksplat import performance",
        )
    values = {name: np.zeros(manifest.n_frames, np.float32) for name in (*_SHAPES, *_ANGLES)}
    for column in _SHAPES:
        if unit_name(column) in names:
            values[column] = tracks["expr"][:, names.index(unit_name(column))]
    values |= _from_joints(tracks)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        for row in range(manifest.n_frames):
            seconds, frame = divmod(row, manifest.fps)
            time = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frame:02d}"
            numbers = [f"{values[name][row]:.6f}" for name in (*_SHAPES, *_ANGLES)]
            table.writerow([f"{time}.000", len(_SHAPES) + len(_ANGLES), *numbers])


def import_arkit(file: Path, avatar: Path, fps: int, out: Path) -> MotionManifest:
    """Make a motion for an avatar from a csv; the head moves about the avatar's own place.

    Args:
        file: Columns that are absent are zero.
        avatar: Of any head model.
        fps: Frames per second of the table; Live Link Face records 60.
        out: The motion.

    Raises:
        InvalidInput: ``bad_exchange_file``, ``folder_occupied``.
    """
    values = _read_table(file)
    names = read_manifest(avatar, AvatarManifest).expression_names
    target = target_face(avatar)
    if "eyeBlink_L" in names:
        face = limit_face(_coefficients(values, names), target)
    else:
        model: HeadModel = load_plugin("shared.head_models", "open_head").build()
        shape = np.zeros(len(model.shape_basis), np.float32)
        theirs = _coefficients(values, list(model.expression_names))
        face = retarget_coefficients(theirs, face_of(model, shape, theirs), target)
    head = resting_head(avatar, len(face))
    head["rotation"] = head["rotation"] + np.stack(
        [values["HeadPitch"], values["HeadYaw"], values["HeadRoll"]], axis=1
    )
    return write_driven(out, avatar, face, head, fps)


def _coefficients(values: dict[str, F32], names: list[str]) -> F32:
    """Expression, jaw pose, eyes pose. [T, P]"""
    n_frames = len(values["JawOpen"])
    tracks: Tracks = {
        "expr": np.zeros((n_frames, len(names)), np.float32),
        "jaw_pose": np.zeros((n_frames, 3), np.float32),
        "eyes_pose": np.zeros((n_frames, 6), np.float32),
    }
    for column in _SHAPES:
        if unit_name(column) in names:
            tracks["expr"][:, names.index(unit_name(column))] = values[column]
    tracks["jaw_pose"][:, 0] = _JAW_OPEN_RAD * values["JawOpen"]
    tracks["jaw_pose"][:, 1] = _JAW_OPEN_RAD * (values["JawLeft"] - values["JawRight"])
    for place, eye in enumerate(("LeftEye", "RightEye")):
        for axis, angle in enumerate(("Pitch", "Yaw", "Roll")):
            tracks["eyes_pose"][:, 3 * place + axis] = values[f"{eye}{angle}"]
    return coefficients_of(tracks)


def _from_joints(tracks: Tracks) -> dict[str, F32]:
    """Columns that are joints here; the head from where it mostly was."""
    turned = tracks["rotation"] - np.median(tracks["rotation"], axis=0)
    jaw = tracks["jaw_pose"] / _JAW_OPEN_RAD
    values = {
        "JawOpen": jaw[:, 0].clip(0, None),
        "JawLeft": jaw[:, 1].clip(0, None),
        "JawRight": (-jaw[:, 1]).clip(0, None),
        "HeadPitch": turned[:, 0],
        "HeadYaw": turned[:, 1],
        "HeadRoll": turned[:, 2],
    }
    for place, side in enumerate(("Left", "Right")):
        pitch, yaw, roll = tracks["eyes_pose"][:, 3 * place : 3 * place + 3].T
        values |= {f"{side}EyePitch": pitch, f"{side}EyeYaw": yaw, f"{side}EyeRoll": roll}
        outwards = yaw if side == "Left" else -yaw  # positive yaw is to the subject's left
        for name, angle in (("Down", pitch), ("Up", -pitch), ("Out", outwards), ("In", -outwards)):
            values[f"EyeLook{name}{side}"] = (angle / _GAZE_RAD).clip(0, 1)
    return values


def _read_table(file: Path) -> dict[str, F32]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for _, row in zip(range(_MAX_ROWS), csv.DictReader(stream), strict=False)]
        known = {name.lower(): name for name in rows[0]} if rows else {}
        if "jawopen" not in known:
            raise _refusal(file, "there is no column JawOpen, or no row")
        values = {
            name: np.array([float(row[known[name.lower()]] or 0) for row in rows], np.float32)
            if name.lower() in known
            else np.zeros(len(rows), np.float32)
            for name in (*_SHAPES, *_ANGLES)
        }
    except (OSError, UnicodeDecodeError, ValueError, TypeError, csv.Error) as error:
        raise _refusal(file, str(error)) from error
    if not all(np.isfinite(column).all() for column in values.values()):
        raise _refusal(file, "it has values that are no numbers")
    return values


def _refusal(file: Path, reason: str) -> InvalidInput:
    return InvalidInput("bad_exchange_file", f"{file} cannot be imported: {reason}")
