"""A made-up person, tracked without error: a subject, and a small dataset with pictures.

The truth is that of ``synthetic_head``; pictures are its mesh in flat colours, one per triangle,
before a striped wall.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from services.preprocess.head_fit import HeadFit, landmarks_of
from services.trainer.seeds import nearest_labels
from shared.avatar_method import Performance, Seed, Subject
from shared.contracts.artifact import write_arrays, write_manifest
from shared.contracts.tracked_dataset import (
    FLOW_POSE_TABLE,
    FPS,
    REGIONS,
    TRACKING_TABLE,
    TrackedDatasetManifest,
)
from shared.geometry.cameras import project
from shared.head_model import HeadPose, neutral_vertices, pose_vertices, save_head_model
from shared.media.audio import SAMPLE_RATE, write_wav
from shared.media.image import write_jpeg, write_png
from shared.rigging.seeding import paint_faces
from shared.upper_face import upper_face_signal
from tests.synthetic_head import SIZE, make_speaker

SIDE = 64
"""Side of the stored frames, px."""
SHRINK = SIZE // SIDE
N_AUDIO_ROWS, N_AUDIO_CHANNELS = 60, 40
"""Windows of the mel encoder as the audio-driven methods ask for them."""
REGION_COLORS = {
    "hair": (70, 50, 40),
    "face": (200, 160, 140),
    "lips": (170, 70, 80),
    "teeth": (240, 240, 230),
    "mouth_inside": (60, 20, 20),
    "eyes": (90, 110, 130),
    "torso": (40, 60, 120),
}
OTHER_COLOR = (190, 150, 130)


class Picture(NamedTuple):
    """One frame as a dataset stores it."""

    image: NDArray[np.uint8]  # [SIDE, SIDE, 3]
    matte: NDArray[np.uint8]  # [SIDE, SIDE]
    regions: NDArray[np.uint8]  # [SIDE, SIDE]


@lru_cache(maxsize=2)
def make_fit(n_frames: int) -> HeadFit:
    """The person's true parameters, for pictures of SIDE pixels."""
    fit = make_speaker(n_frames, n_frames).fit
    scale = torch.tensor([[1 / SHRINK], [1 / SHRINK], [1.0]])
    return fit._replace(Ks=fit.Ks * scale)


def make_subject(n_frames: int = 30) -> Subject:
    """The person as a method sees them; their torso stays where it is."""
    fit = make_fit(n_frames)
    return Subject(
        head_model=fit.head_model,
        shape=fit.shape,
        viewmat=fit.viewmat,
        K=fit.Ks[0],
        crop_size=SIDE,
        training_performance=make_performance(fit),
        training_body=torch.zeros(n_frames, 6),
    )


def make_performance(fit: HeadFit) -> Performance:
    """All that a method may ask for; the sound is as loud as the mouth is open, and swells."""
    pose = pose_of(fit)
    opening = pose.jaw_pose[:, :1].norm(dim=1)
    tones = torch.outer(torch.linspace(1, 2, N_AUDIO_ROWS), torch.linspace(-1, 1, N_AUDIO_CHANNELS))
    audio = (0.5 + opening[:, None, None]) * tones
    return Performance(pose, audio, upper_face_signal(fit.head_model, fit.shape, pose))


def make_seeds(frame: int = 0, spacing: int = 2) -> list[Seed]:
    """A grid of points over one frame, coloured by their place."""
    line = torch.arange(0, SIDE, spacing) + 0.5
    pixels = torch.cartesian_prod(line, line)
    column, row = pixels.long().T.numpy()
    labels = nearest_labels(take_picture(make_fit(30), frame).regions)
    return [
        Seed(
            frame=frame,
            pixels=pixels,
            colors=torch.cat([pixels / SIDE, torch.full((len(pixels), 1), 0.5)], 1),
            labels=torch.from_numpy(labels[row, column]),
            spacing=torch.full((len(pixels),), float(spacing)),
        )
    ]


def pose_of(fit: HeadFit) -> HeadPose:
    """The motion of a fit."""
    return HeadPose(*(getattr(fit, name) for name in HeadPose._fields))


def wall() -> NDArray[np.uint8]:
    """The background. [SIDE, SIDE, 3]"""
    stripes = (110 + 50 * np.sin(np.arange(SIDE) / 3.0)).astype(np.uint8)
    return np.repeat(np.tile(stripes, (SIDE, 1))[..., None], 3, axis=2)


def take_picture(fit: HeadFit, frame: int) -> Picture:
    """Draw the posed mesh at SHRINK times the size and average."""
    model = fit.head_model
    pose = HeadPose(*(values[[frame]] for values in pose_of(fit)))
    vertices = pose_vertices(model, neutral_vertices(model, fit.shape), pose)[0]
    pixels = (project(vertices, fit.viewmat, fit.Ks[frame]) * SHRINK).numpy()
    depth = -vertices[:, 2].numpy()
    owner = paint_faces(pixels, depth, model.faces.numpy(), SIZE).astype(np.int64)
    is_person = owner >= 0
    large = np.repeat(np.repeat(wall(), SHRINK, axis=0), SHRINK, axis=1)
    large[is_person] = _face_colors(model.face_regions.numpy())[owner[is_person]]
    labels = np.where(is_person, model.face_regions.numpy()[owner], 0).astype(np.uint8)
    return Picture(
        image=_average(large),
        matte=_average(np.where(is_person, 255, 0).astype(np.uint8)),
        regions=labels[SHRINK // 2 :: SHRINK, SHRINK // 2 :: SHRINK],
    )


def write_tracked_dataset(
    folder: Path,
    n_train: int = 28,
    n_heldout: int = 3,
    *,
    is_heldout_black: bool = False,
    has_sound: bool = False,
) -> Path:
    """Write the person's tracked dataset.

    Args:
        folder: Where to.
        n_train: Training frames.
        n_heldout: Frames held out after them.
        is_heldout_black: Whether the held-out pictures show nothing.
        has_sound: Whether there is sound: noise, as loud as the mouth is open.
    """
    for name in ("frames", "mattes", "regions"):
        (folder / name).mkdir(parents=True)
    n_frames = n_train + n_heldout
    fit = make_fit(n_frames)
    for frame in range(n_frames):
        picture = take_picture(fit, frame)
        is_black = is_heldout_black and frame >= n_train
        image = np.zeros_like(picture.image) if is_black else picture.image
        write_jpeg(folder / "frames" / f"{frame:06d}.jpg", image)
        write_png(folder / "mattes" / f"{frame:06d}.png", picture.matte)
        write_png(folder / "regions" / f"{frame:06d}.png", picture.regions)
    write_png(folder / "plate.png", wall())
    tracks = {name: values.numpy() for name, values in pose_of(fit)._asdict().items()}
    arrays = tracks | {
        "shape": fit.shape.numpy(),
        "landmarks": landmarks_of(fit).astype(np.float32),
        "crops": np.tile(np.array([0, 0, SIDE], np.float32), (n_frames, 1)),
        "Ks": fit.Ks.numpy(),
        "viewmat": fit.viewmat.numpy(),
        "is_valid": np.ones(n_frames, np.bool_),
    }
    write_arrays(folder / "tracking.npz", arrays, TRACKING_TABLE)
    steadied = {name: arrays[name] for name in FLOW_POSE_TABLE}
    write_arrays(folder / "flow_pose.npz", steadied, FLOW_POSE_TABLE)
    save_head_model(folder / "head_model.npz", fit.head_model)
    if has_sound:
        loudness = np.repeat(0.01 + fit.jaw_pose[:, 0].abs().numpy(), SAMPLE_RATE // FPS)
        noise = np.random.default_rng(8).standard_normal(len(loudness))
        write_wav(folder / "audio.wav", (loudness * noise).clip(-1, 1).astype(np.float32))
    manifest = _manifest(n_frames, n_train, fit.head_model.expression_names)
    write_manifest(folder, manifest.model_copy(update={"has_audio": has_sound}))
    return folder


def _manifest(
    n_frames: int, n_train: int, expression_names: tuple[str, ...]
) -> TrackedDatasetManifest:
    return TrackedDatasetManifest(
        n_frames=n_frames,
        n_train=n_train,
        capture_sha256="0" * 64,
        capture_width=SIDE,
        capture_height=SIDE,
        crop_size=SIDE,
        head_model="open_head",
        expression_names=list(expression_names),
        tracker="mediapipe_mesh",
        has_audio=False,
        audio_offset_ms=None,
        warnings=["no_audio"],
        rejected=[],
    )


def _face_colors(regions: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colour of each triangle: its region's, lighter or darker. [F, 3]"""
    table = np.array([REGION_COLORS.get(name, OTHER_COLOR) for name in REGIONS])
    shades = np.random.default_rng(11).uniform(0.7, 1.2, len(regions))
    colors: NDArray[np.uint8] = np.clip(table[regions] * shades[:, None], 0, 255).astype(np.uint8)
    return colors


def _average(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    small: NDArray[np.uint8] = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small
