"""A tracked dataset and an avatar folder of a made-up speaker: speech whose loudness is its lips.

Only what audio2motion reads is there: no pictures.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from shared.contracts.artifact import write_arrays, write_manifest
from shared.contracts.avatar import TRAINING_TABLE, AvatarManifest
from shared.contracts.motion import MOTION_TABLE
from shared.contracts.tracked_dataset import TRACKING_TABLE, TrackedDatasetManifest
from shared.head_model import HeadModel, save_head_model
from shared.landmarks import INNER_LIP_PAIRS, LIPS
from shared.media.audio import SAMPLE_RATE, write_wav

F32 = NDArray[np.float32]

FPS = 25
NAMES = ["browInnerUp", "eyeBlink_L", "eyeBlink_R", "mouthFunnel", "mouthSmile_L"]
BLINK_FRAMES = (40, 110, 190)


def make_speech(opening: F32, seed: int = 0) -> F32:
    """Buzz and hiss as loud as the mouth is open. [T] in 0..1 -> [samples]"""
    rng = np.random.default_rng(seed)
    times = np.arange(round(len(opening) / FPS * SAMPLE_RATE)) / SAMPLE_RATE
    loudness = np.interp(times, np.arange(len(opening)) / FPS, opening)
    buzz = sum(np.sin(2 * np.pi * 120 * k * times) / k for k in range(1, 30))
    sound = 0.05 * buzz + 0.02 * rng.standard_normal(len(times))
    return np.asarray(sound * loudness**2, np.float32)


def make_opening(n_frames: int, seed: int = 0) -> F32:
    """Syllables of random height, 0 to 1. [n_frames]"""
    rng = np.random.default_rng(seed)
    wander = gaussian_filter1d(rng.standard_normal(n_frames), 2.0)
    return np.asarray(np.clip(0.5 + 0.4 * wander / wander.std(), 0, 1), np.float32)


def make_head_model() -> HeadModel:
    """One vertex per landmark; the jaw and two units move the lips."""
    rng = np.random.default_rng(5)
    template = 0.02 * rng.standard_normal((478, 3)).astype(np.float32)
    angles = np.linspace(0, 2 * np.pi, len(LIPS), endpoint=False)
    template[list(LIPS)] = np.stack([0.02 * np.cos(angles), 0 * angles, 0.1 + 0 * angles], axis=1)
    lower = [pair[1] for pair in INNER_LIP_PAIRS]
    upper = [pair[0] for pair in INNER_LIP_PAIRS]
    for place, (top, bottom) in enumerate(INNER_LIP_PAIRS):
        template[top] = template[bottom] = (0.004 * (place - 4), 0.0, 0.1)
    weights = np.zeros((478, 5), np.float32)
    weights[:, 1] = 1
    weights[lower] = (0, 0, 1, 0, 0)
    expr_basis = np.zeros((len(NAMES), 478, 3), np.float32)
    expr_basis[0, [105, 334], 1] = 0.005
    expr_basis[1, 386, 1] = expr_basis[2, 159, 1] = -0.008
    expr_basis[3][:, 2] = 0.0
    expr_basis[3, upper, 1], expr_basis[3, lower, 1] = 0.002, -0.002
    expr_basis[4, list(LIPS), 0] = 0.003
    tensors = {
        "template": template,
        "shape_basis": np.zeros((1, 478, 3), np.float32),
        "expr_basis": expr_basis,
        "joints": np.array(
            [[0, -0.1, 0], [0, -0.05, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]], np.float32
        ),
        "weights": weights,
        "faces": np.array([[0, 1, 2]]),
        "face_regions": np.array([2], np.uint8),
        "landmark_vertices": np.arange(478),
    }
    arrays = {name: torch.from_numpy(array) for name, array in tensors.items()}
    return HeadModel(expression_names=tuple(NAMES), **arrays)


def make_tracks(opening: F32, seed: int = 0) -> dict[str, F32]:
    """MOTION_TABLE of somebody who speaks, nods and blinks."""
    rng = np.random.default_rng(seed)
    n_frames = len(opening)
    expr = 0.02 * rng.standard_normal((n_frames, len(NAMES)))
    for peak in BLINK_FRAMES:
        near = np.abs(np.arange(n_frames) - peak)
        expr[:, 1:3] += np.clip(1 - near / 4, 0, 1)[:, None] * 0.9
    expr[:, 3] = np.abs(0.3 * opening + 0.01 * rng.standard_normal(n_frames))
    jaw_pose = np.zeros((n_frames, 3))
    jaw_pose[:, 0] = 0.2 * opening
    sway = np.sin(np.arange(n_frames) / 20)[:, None]
    tracks = {
        "expr": expr,
        "rotation": sway * [0.1, 0.05, 0.02],
        "neck_pose": np.zeros((n_frames, 3)),
        "jaw_pose": jaw_pose,
        "eyes_pose": np.full((n_frames, 6), 0.05),
        "translation": sway * [0.0, 0.01, 0.0],
    }
    return {name: track.astype(np.float32) for name, track in tracks.items()}


def write_dataset(folder: Path, n_train: int = 200, n_heldout: int = 50, *, seed: int = 0) -> Path:
    """A tracked dataset with sound."""
    folder.mkdir(parents=True)
    n_frames = n_train + n_heldout
    opening = make_opening(n_frames, seed)
    write_wav(folder / "audio.wav", make_speech(opening, seed))
    arrays = make_tracks(opening, seed) | {
        "shape": np.zeros(1, np.float32),
        "landmarks": np.zeros((n_frames, 478, 3), np.float32),
        "crops": np.zeros((n_frames, 3), np.float32),
        "Ks": np.zeros((n_frames, 3, 3), np.float32),
        "viewmat": np.eye(4, dtype=np.float32),
        "is_valid": np.ones(n_frames, np.bool_),
    }
    write_arrays(folder / "tracking.npz", arrays, TRACKING_TABLE)
    save_head_model(folder / "head_model.npz", make_head_model())
    write_manifest(folder, dataset_manifest(n_frames, n_train))
    return folder


def dataset_manifest(
    n_frames: int, n_train: int, *, has_audio: bool = True
) -> TrackedDatasetManifest:
    """Manifest of the made-up dataset."""
    return TrackedDatasetManifest(
        n_frames=n_frames,
        n_train=n_train,
        capture_sha256="0" * 64,
        capture_width=512,
        capture_height=512,
        crop_size=512,
        head_model="open_head",
        expression_names=NAMES,
        tracker="mediapipe",
        has_audio=has_audio,
        audio_offset_ms=0.0,
        warnings=[],
        rejected=[],
    )


def write_avatar(folder: Path, dataset: Path, n_train: int = 200) -> Path:
    """An avatar folder with the dataset's training motion; the motion model is not in it yet."""
    folder.mkdir(parents=True)
    with np.load(dataset / "tracking.npz") as stored:
        shown = {name: stored[name][:n_train] for name in MOTION_TABLE}
        shown["shape"] = stored["shape"]
    shown |= {"body": np.zeros((n_train, 6), np.float32)}
    write_arrays(folder / "tracking.npz", shown, TRAINING_TABLE)
    write_manifest(folder, avatar_manifest())
    return folder


def avatar_manifest(expression_names: list[str] = NAMES) -> AvatarManifest:
    """Manifest of the made-up avatar."""
    return AvatarManifest(
        method="rigged_gaussians",
        method_options={},
        head_model="open_head",
        expression_names=expression_names,
        fps=FPS,
        rasterizer="cpu",
        n_gaussians=1,
        capture_sha256="0" * 64,
        capture_width=512,
        capture_height=512,
        crop_size=512,
        crop=(0.0, 0.0, 512.0),
        K=np.eye(3).tolist(),
        viewmat=np.eye(4).tolist(),
        preset="draft",
        n_steps=1,
        seed=0,
    )
