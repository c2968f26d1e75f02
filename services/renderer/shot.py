"""Decides everything about a video before its first frame: motion, camera, size, background."""

import re
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from services.renderer.camera_path import CameraPath, hold_head, orbit_views, usual_pose
from services.renderer.compositing import Window, place_window
from shared.avatar_method import AvatarModel, Performance, Subject, each_track
from shared.contracts.artifact import Arrays, read_arrays, read_manifest
from shared.contracts.avatar import AvatarManifest
from shared.contracts.motion import (
    AUDIO_FEATURES_TABLE,
    MOTION_TABLE,
    UPPER_FACE_TABLE,
    MotionManifest,
)
from shared.contracts.tracked_dataset import REGIONS
from shared.dataset_reader import open_dataset
from shared.errors import InvalidInput
from shared.head_model import HeadPose
from shared.media.image import read_rgb

U8 = NDArray[np.uint8]

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_MAX_SIDE = 4096

Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]


class RenderOptions(BaseModel):
    """Choices for one video."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    background: str = Field("plate", pattern=r"^(plate|alpha|#[0-9a-fA-F]{6})$")
    """``plate`` (the capture's background), a colour such as ``#00ff00``, or ``alpha`` (webm)."""
    camera: CameraPath = "capture"
    """``capture``: the head moves as in the motion; ``fixed``: it is kept still; ``orbit``: the
    camera swings about it."""
    orbit_degrees: float = Field(15.0, ge=0, le=60)
    """Largest angle of the orbit to either side."""
    orbit_seconds: float = Field(8.0, gt=0)
    """Time of one swing there and back."""
    start_seconds: float = Field(0.0, ge=0)
    """Where in the motion and its speech the video begins."""
    seconds: float | None = Field(None, gt=0)
    """Length of the video; all of the motion when not given."""
    height: int | None = Field(None, ge=16, le=_MAX_SIDE)
    """Height of the video in pixels, width in proportion; the capture's when not given."""
    encoder_preset: Preset = "ultrafast"
    """x264's speed preset; slower ones make smaller files of the same quality."""
    encoder_crf: int = Field(10, ge=0, le=51)
    """Constant rate factor: lower is better and larger; 10 costs under 0.3 dB at 35 dB."""
    rasterizer: str = "auto"
    """Registry name of the rasterizer; ``auto`` takes a GPU where the stage finds one."""
    attention: bool = False
    """Whether to write ``attention.mp4`` beside the video: what each part of the avatar attends
    to, a grey picture per token."""
    regions: tuple[str, ...] = ()
    """Draw the Gaussians of these face regions only, for a look at each; all when empty."""


class Actor(NamedTuple):
    """An avatar in memory."""

    folder: Path
    manifest: AvatarManifest
    subject: Subject
    model: AvatarModel


class Shot(NamedTuple):
    """Everything that the frames of one video are drawn from."""

    model: AvatarModel
    subject: Subject
    performance: Performance  # T frames
    viewmats: Tensor  # [T, 4, 4]
    windows: list[Window]
    """One for all frames, or T."""
    width: int
    height: int
    plate: U8 | None
    """What is behind, [height, width, 3]; None leaves the video transparent."""
    shown: Tensor | None = None
    """Numbers of the Gaussians that are drawn; None draws all."""

    shows_attention: bool = False
    """Whether the model poses its attention with its colours."""

    @property
    def motion(self) -> HeadPose:
        """Head-model parameters of the frames."""
        return self.performance.pose


def read_motion(folder: Path, avatar: AvatarManifest) -> tuple[Performance, MotionManifest]:
    """Read a motion and check that ``avatar`` can perform it.

    Raises:
        InvalidInput: ``motion_incompatible``, ``bad_arrays`` or ``not_an_artifact``.
    """
    manifest = read_manifest(folder, MotionManifest)
    lacking = []
    if manifest.head_model != avatar.head_model:
        lacking.append(f"head model {avatar.head_model} (it has {manifest.head_model})")
    if missing := [
        name for name in avatar.expression_names if name not in manifest.expression_names
    ]:
        lacking.append(f"expressions {', '.join(missing)}")
    elif manifest.expression_names != avatar.expression_names:
        lacking.append("the avatar's expressions and no others, in the avatar's order")
    if manifest.fps != avatar.fps:
        lacking.append(f"{avatar.fps} frames per second (it has {manifest.fps})")
    lacking += _not_carried(manifest, avatar)
    if lacking:
        raise InvalidInput(
            "motion_incompatible",
            f"the motion lacks what the avatar needs: {'; '.join(lacking)}; "
            "predict it with this avatar's own motion model",
        )
    arrays = read_arrays(folder / "motion.npz", MOTION_TABLE)
    if arrays["expr"].shape != (manifest.n_frames, len(manifest.expression_names)):
        raise InvalidInput(
            "bad_arrays",
            f"expr is {list(arrays['expr'].shape)}, the manifest says "
            f"{[manifest.n_frames, len(manifest.expression_names)]}",
        )
    carried = _read_carried(folder, avatar)
    for name, values in (arrays | carried).items():
        if not np.isfinite(values).all():
            raise InvalidInput("bad_arrays", f"{name} of the motion has values that are no numbers")
        if len(values) != manifest.n_frames:
            raise InvalidInput(
                "bad_arrays",
                f"{name} has {len(values)} frames, the manifest says {manifest.n_frames}",
            )
    tensors = {name: torch.from_numpy(values) for name, values in (arrays | carried).items()}
    poses = HeadPose(*(tensors[name] for name in HeadPose._fields))
    return Performance(poses, tensors.get("audio_features"), tensors.get("upper_face")), manifest


def _not_carried(manifest: MotionManifest, avatar: AvatarManifest) -> list[str]:
    """What the avatar listens to or looks at, and the motion does not have."""
    lacking = []
    wanted = (avatar.feature_encoder, avatar.feature_rows)
    if avatar.feature_encoder and (manifest.feature_encoder, manifest.feature_rows) != wanted:
        lacking.append(
            f"audio features of {avatar.feature_encoder} in windows of {avatar.feature_rows} rows "
            f"(it has {manifest.feature_encoder or 'none'})"
        )
    if avatar.needs_upper_face and not manifest.has_upper_face:
        lacking.append("the upper face (brows and blinks)")
    return lacking


def _read_carried(folder: Path, avatar: AvatarManifest) -> Arrays:
    """The arrays besides the head model's parameters that the avatar asks for."""
    carried: Arrays = {}
    if avatar.feature_encoder:
        carried |= read_arrays(folder / "audio_features.npz", AUDIO_FEATURES_TABLE)
    if avatar.needs_upper_face:
        carried |= read_arrays(folder / "upper_face.npz", UPPER_FACE_TABLE)
    return carried


def cut_motion(
    performance: Performance, first: int, options: RenderOptions, fps: int
) -> Performance:
    """The frames that the video shall show."""
    n_frames = len(performance.pose.expr)
    last = n_frames if options.seconds is None else first + max(1, round(options.seconds * fps))
    if first >= n_frames:
        raise InvalidInput(
            "motion_too_short",
            f"the video shall begin at {options.start_seconds} s, "
            f"but the motion lasts {n_frames / fps} s",
        )
    return each_track(performance, lambda track: track[first:last])


def plan_shot(actor: Actor, performance: Performance, options: RenderOptions) -> Shot:
    """Decide camera, frame size and background before the first frame."""
    manifest, subject = actor.manifest, actor.subject
    scale = 1.0 if options.height is None else options.height / manifest.capture_height
    width = max(1, round(manifest.capture_width * scale))
    height = max(1, round(manifest.capture_height * scale))
    n_frames = len(performance.pose.expr)
    viewmats = subject.viewmat.expand(n_frames, 4, 4)
    if options.camera == "fixed":
        held = hold_head(performance.pose, usual_pose(subject.training_pose))
        performance = performance._replace(pose=held)
    elif options.camera == "orbit":
        viewmats = orbit_views(
            subject.viewmat,
            usual_pose(subject.training_pose).translation[0],
            n_frames,
            swing_rad=float(np.deg2rad(options.orbit_degrees)),
            period_frames=options.orbit_seconds * manifest.fps,
        )
    return Shot(
        model=actor.model,
        subject=subject,
        performance=performance,
        viewmats=viewmats,
        windows=[place_window(manifest.crop, subject.K, manifest.crop_size, scale)],
        width=width,
        height=height,
        plate=read_background(actor.folder, options.background, width, height),
        shows_attention=options.attention,
        shown=choose_gaussians(actor, options.regions) if options.regions else None,
    )


def choose_gaussians(actor: Actor, regions: tuple[str, ...]) -> Tensor:
    """Numbers of the Gaussians that ride on the named face regions. [M]

    Raises:
        InvalidInput: ``unknown_region``; ``regions_unknown`` where the method's Gaussians belong to
            no region; ``regions_empty`` where none belongs to these.
    """
    if unknown := [name for name in regions if name not in REGIONS[1:]]:
        raise InvalidInput(
            "unknown_region",
            f"there is no region {', '.join(unknown)}; there are: {', '.join(REGIONS[1:])}",
        )
    labels = actor.model.regions()
    if labels is None:
        raise InvalidInput(
            "regions_unknown",
            f"Gaussians of the method {actor.manifest.method} are not bound to face regions; "
            "render all of them, or train with a method that rides on the mesh",
        )
    wanted = torch.tensor([REGIONS.index(name) for name in regions], dtype=labels.dtype)
    chosen = torch.nonzero(torch.isin(labels, wanted))[:, 0]
    if not len(chosen):
        raise InvalidInput(
            "regions_empty", f"the avatar has no Gaussians of {', '.join(regions)}; name others too"
        )
    return chosen


def read_background(folder: Path, background: str, width: int, height: int) -> U8 | None:
    """What is behind the avatar, at the video's size; None for ``alpha``. [H, W, 3]"""
    if background == "alpha":
        return None
    if _COLOUR.fullmatch(background):
        colour = [int(background[at : at + 2], 16) for at in (1, 3, 5)]
        return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()
    plate = read_rgb(folder / "plate.png")
    if plate.shape[:2] == (height, width):
        return plate
    return np.asarray(Image.fromarray(plate).resize((width, height), Image.Resampling.LANCZOS))


def heldout_windows(
    dataset: Path, manifest: AvatarManifest, shot: Shot, first: int
) -> list[Window]:
    """Windows of the held-out frames from the dataset's own crops.

    Raises:
        InvalidInput: ``motion_incompatible`` when the dataset holds out fewer frames.
    """
    tracked = open_dataset(dataset)
    start = tracked.manifest.n_train + first
    n_frames = len(shot.motion.expr)
    crops = tracked.tracking["crops"][start : start + n_frames]
    Ks = torch.from_numpy(tracked.tracking["Ks"][start : start + n_frames])
    if len(crops) < n_frames:
        raise InvalidInput(
            "motion_incompatible",
            f"the motion has {n_frames} frames, the dataset holds out {len(crops)}",
        )
    scale = shot.height / manifest.capture_height
    return [
        place_window((float(left), float(top), float(side)), K, manifest.crop_size, scale)
        for (left, top, side), K in zip(crops, Ks, strict=True)
    ]
