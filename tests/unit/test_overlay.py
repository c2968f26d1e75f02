"""The tracking video and what it is drawn from: a projected head."""

from pathlib import Path

import numpy as np
import pytest
import torch

from services.preprocess.head_fit import HeadFit
from services.preprocess.overlay import (
    TrackedFrame,
    draw_tracking,
    encode_overlay,
    region_palette,
)
from services.preprocess.projection import landmark_errors, project_head
from shared.geometry.cameras import frontal_viewmat, intrinsics
from shared.head_model import HeadModel
from shared.media.video import probe_video, read_frames
from tests.spoken_dataset import make_head_model

SIZE = 128
N_FRAMES = 5


def make_fit(model: HeadModel) -> HeadFit:
    """A head half a metre from the camera that turns to its left, frame by frame."""
    rotation = torch.zeros(N_FRAMES, 3)
    rotation[:, 1] = torch.linspace(0, 0.6, N_FRAMES)
    return HeadFit(
        head_model=model,
        shape=torch.zeros(model.shape_basis.shape[0]),
        expr=torch.zeros(N_FRAMES, len(model.expression_names)),
        rotation=rotation,
        neck_pose=torch.zeros(N_FRAMES, 3),
        jaw_pose=torch.zeros(N_FRAMES, 3),
        eyes_pose=torch.zeros(N_FRAMES, 6),
        translation=torch.zeros(N_FRAMES, 3),
        Ks=intrinsics(200.0, SIZE).expand(N_FRAMES, 3, 3),
        viewmat=frontal_viewmat(0.5),
    )


@pytest.fixture(scope="module")
def fit() -> HeadFit:
    """A fitted head."""
    return make_fit(make_head_model())


def make_frame(fit: HeadFit, frame: int, reason: str = "") -> TrackedFrame:
    """A grey frame, half person."""
    matte = np.zeros((SIZE, SIZE), np.uint8)
    matte[:, 64:] = 255
    return TrackedFrame(
        frame=np.full((SIZE, SIZE, 3), 100, np.uint8),
        matte=matte,
        regions=(matte // 255).astype(np.uint8),
        head=project_head(fit, frame),
        reason=reason,
    )


def test_axes_follow_the_head(fit: HeadFit) -> None:
    """Straight ahead z points at the camera; turned left it points to the picture's right."""
    ahead, turned = project_head(fit, 0).axes, project_head(fit, N_FRAMES - 1).axes

    assert ahead[3] == pytest.approx(ahead[0], abs=8)
    assert ahead[1, 0] > ahead[0, 0] + 15
    assert ahead[2, 1] < ahead[0, 1] - 15
    assert turned[3, 0] > turned[0, 0] + 8


def test_exact_landmarks_have_no_error(fit: HeadFit) -> None:
    """Landmarks that are the projected vertices are zero pixels off, moved ones as far as moved."""
    model = fit.head_model
    landmarks = np.zeros((N_FRAMES, 478, 3), np.float32)
    for frame in range(N_FRAMES):
        points = project_head(fit, frame).mesh.points
        landmarks[frame, :, :2] = points[model.landmark_vertices.numpy()]

    assert np.zeros(N_FRAMES) == pytest.approx(landmark_errors(fit, landmarks), abs=1e-3)
    landmarks[..., 0] += 3
    assert np.full(N_FRAMES, 3.0) == pytest.approx(landmark_errors(fit, landmarks), abs=1e-3)


def test_regions_matte_and_axes_are_drawn(fit: HeadFit) -> None:
    """The person is tinted, their outline green."""
    drawn = draw_tracking(make_frame(fit, 0), region_palette())

    assert not np.array_equal(drawn[10, 100], drawn[10, 20])
    assert (drawn[:, 64] == (0, 255, 0)).all(axis=-1).any()


def test_rejected_frames_have_a_red_border(fit: HeadFit) -> None:
    """They stand out when the video is looked through."""
    drawn = draw_tracking(make_frame(fit, 0, "no_face: none"), region_palette())

    assert [255, 0, 0] == drawn[2, 40].tolist()


def test_regions_have_distinct_colours() -> None:
    """No two labels look alike."""
    palette = region_palette()

    assert len(palette) == len(np.unique(palette, axis=0))


def test_video_is_playable_and_its_bytes_repeat(fit: HeadFit, tmp_path: Path) -> None:
    """Equal frames give equal files of the right size, rate and length."""
    for name in ("a.mp4", "b.mp4"):
        drawn = (
            draw_tracking(make_frame(fit, frame), region_palette()) for frame in range(N_FRAMES)
        )
        encode_overlay(tmp_path / name, drawn, 25)

    info = probe_video(tmp_path / "a.mp4")
    assert (SIZE, SIZE) == (info.width, info.height)
    assert N_FRAMES == len(list(read_frames(tmp_path / "a.mp4")))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
