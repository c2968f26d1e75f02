"""From frames to the face track that SyncNet sees, and all of the measurement."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.evaluator.lip_sync.detection import survey_with_mesh
from services.evaluator.lip_sync.face_tracks import (
    FaceTrack,
    cut_face,
    link_faces,
    smooth_places,
)
from services.evaluator.lip_sync.measure import LipSync, load_models, measure_lip_sync
from services.evaluator.networks import s3fd, syncnet
from shared.errors import MissingModel
from shared.landmarks import FACE_OVAL
from tests.published_parameters import random_state, save_state, small_state

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def box(left: float, top: float, side: float = 120.0) -> F64:
    """A square face."""
    return np.array([left, top, left + side, top + side])


def test_a_face_is_followed_over_gaps_and_apart_from_another() -> None:
    """Boxes of missed frames are interpolated; the other face is a track of its own."""
    faces = [[box(10 + frame, 20), box(400, 20)] for frame in range(150)]
    for frame in range(60, 80):
        faces[frame] = [box(400, 20)]

    tracks = link_faces(faces, [range(150)])

    assert [(0, 150), (0, 150)] == [(track.first, len(track.boxes)) for track in tracks]
    np.testing.assert_allclose(tracks[0].boxes[:, 0], 10 + np.arange(150))
    np.testing.assert_allclose(tracks[1].boxes[:, 0], 400)


@pytest.mark.parametrize(
    ("n_frames", "side", "n_tracks"), [(100, 120.0, 0), (101, 120.0, 1), (150, 100.0, 0)]
)
def test_short_tracks_and_small_faces_are_nobody(n_frames: int, side: float, n_tracks: int) -> None:
    """More than 100 detections, more than 100 pixels."""
    faces = [[box(0, 0, side)] for _ in range(n_frames)]

    assert n_tracks == len(link_faces(faces, [range(n_frames)]))


def test_no_track_crosses_a_cut_or_a_long_gap() -> None:
    """Two shots of 110 frames give two tracks; 26 frames without a face end one."""
    faces = [[box(0, 0)] for _ in range(220)]
    with_gap = [list(found) for found in faces] + [[]] * 25 + faces[:110]

    assert [0, 110] == [track.first for track in link_faces(faces, [range(110), range(110, 220)])]
    assert [220, 110] == [len(t.boxes) for t in link_faces(with_gap, [range(355)])]


def test_places_are_centres_and_half_the_larger_side_without_outliers() -> None:
    """A single wild box is filtered away."""
    boxes = np.tile(np.array([10.0, 20.0, 110.0, 170.0]), (120, 1))
    boxes[50] += 300

    place = smooth_places(FaceTrack(0, boxes))

    assert (60.0, 95.0, 75.0) == (place.x[50], place.y[50], place.half[50])


def test_the_cut_has_the_chin_below_and_gray_beyond() -> None:
    """From y - s to y + 1.8 s, from x - 1.4 s to x + 1.4 s."""
    frame = np.zeros((200, 200, 3), np.uint8)
    frame[50:140, 30:170] = 255  # exactly what is to be cut for s = 50 about (100, 100)

    inside = cut_face(frame, 100.0, 100.0, 50.0, 56)
    beyond = cut_face(frame, 0.0, 100.0, 50.0, 56)

    assert inside[:35].min() == 255  # rows 50 to 140 of 50 to 190, at 0.4
    assert inside[37:].max() == 0
    assert (beyond[:, :27] == 110).all()


def test_shots_end_where_the_picture_changes() -> None:
    """Black to white is a cut; frames without a face have no box."""
    frames = [np.full((32, 32, 3), 0 if frame < 20 else 255, np.uint8) for frame in range(40)]
    landmarks = np.full((40, 478, 3), np.nan, np.float32)
    landmarks[5:] = 7
    landmarks[5:, FACE_OVAL[0], :2] = (20, 30)

    survey = survey_with_mesh(frames, landmarks)

    assert [range(20), range(20, 40)] == survey.shots
    assert [] == survey.faces[4]
    assert [7.0, 7.0, 20.0, 30.0] == survey.faces[5][0].tolist()


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SyncNet's file of the published layout with random values."""
    return save_state(
        tmp_path_factory.mktemp("models"), syncnet.FILE, random_state("syncnet_v2", seed=5)
    )


def clip(n_frames: int) -> tuple[list[U8], F32, F32]:
    """A face that flickers, its sound, its landmarks."""
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (16, 16, 3), dtype=np.uint8) for _ in range(n_frames)]
    frames = [np.kron(small, np.ones((12, 12, 1), np.uint8)) for small in frames]
    landmarks = np.tile(np.array([100, 100, 0], np.float32), (n_frames, 478, 1))
    landmarks[:, FACE_OVAL[0], :2] = (40, 30)
    landmarks[:, FACE_OVAL[1], :2] = (150, 160)
    audio = rng.normal(0, 0.1, n_frames * 640).astype(np.float32)
    return frames, audio, landmarks.astype(np.float32)


def flat_survey(frames: list[U8]) -> list[U8]:
    """The same frames, without cuts: gray changes little."""
    return [(100 + frame // 16).astype(np.uint8) for frame in frames]


def test_a_clip_is_measured_and_names_its_detector(models_dir: Path) -> None:
    """Without S3FD's file the mesh finds the faces, and the result says so."""
    frames, audio, landmarks = clip(106)
    frames = flat_survey(frames)

    found = measure_lip_sync(lambda: iter(frames), audio, landmarks, load_models(models_dir))

    assert isinstance(found, LipSync)
    assert "MediaPipe face mesh" == found.detector
    assert (0, 106, 1) == (found.first_frame, found.n_frames, found.n_tracks)
    assert found.distances.distance > 0
    assert found.distances.confidence >= 0
    assert (31,) == found.distances.by_shift.shape
    assert (101,) == found.distances.by_frame.shape  # 106 frames less five


def test_a_clip_without_a_long_face_says_why(models_dir: Path) -> None:
    """Less than four seconds cannot be scored, as by the original."""
    frames, audio, landmarks = clip(90)

    found = measure_lip_sync(lambda: iter(frames), audio, landmarks, load_models(models_dir))

    assert isinstance(found, str)
    assert "more than 100 frames" in found


def test_s3fd_is_taken_where_its_file_is(models_dir: Path, tmp_path: Path) -> None:
    """And SyncNet's absence is told."""
    with pytest.raises(MissingModel):
        load_models(tmp_path)
    save_state(tmp_path, syncnet.FILE, torch.load(models_dir / syncnet.FILE, weights_only=True))
    save_state(tmp_path, s3fd.FILE, small_state("s3fd"))

    assert load_models(models_dir).detector is None
    assert load_models(tmp_path).detector is not None
