"""The whole evaluation on small videos that the tests write."""

import json
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut

from services.evaluator.curves import frame_loudness
from services.evaluator.evaluate import (
    EvaluateInputs,
    EvaluateOptions,
    evaluate_video,
    training_track,
)
from services.evaluator.gather import PairMetrics, fit_padding, look
from services.evaluator.metrics import psnr
from services.renderer.encode import Encoding, Speech, VideoWriter
from shared.contracts.artifact import read_manifest, write_manifest
from shared.contracts.scores import ScoresManifest
from shared.contracts.tracked_dataset import TrackedDatasetManifest
from shared.contracts.video import VideoManifest
from shared.dataset_reader import TrackedDataset
from shared.errors import InvalidInput
from shared.progress import silent
from shared.tracker import FaceBox

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


class BrightestPixelTracker:
    """Puts all landmarks on the brightest pixel; sees nobody in a black frame."""

    def detect_faces(self, frames: Iterable[U8]) -> Iterator[list[FaceBox]]:
        """Nobody."""
        return ([] for _ in frames)

    def track_landmarks(self, frames: Iterable[U8]) -> Iterator[F32 | None]:
        """One point per frame."""
        for frame in frames:
            gray = frame.sum(axis=2)
            y, x = np.unravel_index(gray.argmax(), gray.shape)
            point = np.array([x, y, 0], np.float32)
            yield None if gray.max() < 100 else np.tile(point, (478, 1))


def write_frames(path: Path, frames: Iterable[U8], speech: Path | None = None) -> Path:
    """A video in the renderer's quality."""
    frames = list(frames)
    encoding = Encoding(
        width=frames[0].shape[1],
        height=frames[0].shape[0],
        fps=25,
        preset="superfast",
        crf=4,
        has_alpha=False,
    )
    with VideoWriter(path, encoding, Speech(speech, 0.0) if speech else None) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def dots(n_frames: int, width: int = 64, height: int = 48) -> list[U8]:
    """A white dot of 8 px that moves by 1 px a frame."""
    frames = [np.zeros((height, width, 3), np.uint8) for _ in range(n_frames)]
    for i, frame in enumerate(frames):
        frame[20:28, 4 + i : 12 + i] = 255
    return frames


def test_reference_is_compared_from_its_first_held_out_frame(tmp_path: Path) -> None:
    """Frame 10 of the reference is the video's first."""
    frames = dots(30)
    reference = write_frames(tmp_path / "r.mp4", frames)
    video = write_frames(tmp_path / "v.mp4", frames[10:])
    progress: list[float] = []

    sight = look(
        video,
        (reference, 10),
        PairMetrics({"psnr": psnr.compare}, {}),
        BrightestPixelTracker(),
        lambda fraction, _: progress.append(fraction),
    )

    assert 20 == len(sight.pictures["psnr"])
    assert sight.pictures["psnr"].min() > 35
    assert sight.reference is not None
    np.testing.assert_allclose(sight.video.landmarks, sight.reference.landmarks, atol=8)
    assert sorted(progress) == progress
    assert 1.0 == pytest.approx(progress[-1], abs=0.1)


def test_frames_without_a_face_are_kept_as_missing(tmp_path: Path) -> None:
    """Landmarks are NaN there and the video does not shift."""
    frames = dots(12)
    frames[4][:] = 0
    video = write_frames(tmp_path / "v.mp4", frames)

    sight = look(video, None, PairMetrics({}, {}), BrightestPixelTracker(), silent)

    is_missing = np.isnan(sight.video.landmarks).all(axis=(1, 2))
    assert [4] == np.flatnonzero(is_missing).tolist()
    assert "no reference" in str(sight.not_compared)


def test_another_size_is_said_not_guessed(tmp_path: Path) -> None:
    """Pictures of different size are not resampled behind one's back."""
    video = write_frames(tmp_path / "v.mp4", dots(6))
    reference = write_frames(tmp_path / "r.mp4", dots(6, width=96))

    sight = look(
        video,
        (reference, 0),
        PairMetrics({"psnr": psnr.compare}, {}),
        BrightestPixelTracker(),
        silent,
    )

    assert "the video is 64x48, its reference 96x48" == sight.not_compared


def test_reference_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    """Nothing could be compared."""
    video = write_frames(tmp_path / "v.mp4", dots(6))

    with pytest.raises(InvalidInput) as caught:
        look(video, (video, 6), PairMetrics({}, {}), BrightestPixelTracker(), silent)
    assert "reference_too_short" == caught.value.code


@pytest.mark.parametrize(("width", "fits"), [(64, True), (63, True), (62, False), (65, False)])
def test_only_the_encoders_padding_is_cut(width: int, *, fits: bool) -> None:
    """An odd reference meets a video that is one pixel wider."""
    found = fit_padding(np.zeros((48, 64, 3), np.uint8), np.zeros((48, width, 3), np.uint8))

    assert fits == (found is not None)
    assert found is None or width == found.shape[1]


def test_loudness_is_relative_to_the_loudest_frame() -> None:
    """Full scale, half the way down in decibels, silence."""
    audio = np.repeat([0.5, 0.5 * 10 ** (-22.5 / 20), 0.0], 640).astype(np.float32)

    assert [1.0, 0.5, 0.0] == pytest.approx(frame_loudness(audio, 3).tolist(), abs=1e-3)


def test_training_landmarks_are_in_capture_pixels() -> None:
    """Crop pixels go back through the crop; rejected frames are missing."""
    landmarks = np.full((4, 478, 3), 10.0, np.float32)
    tracking = {
        "landmarks": landmarks,
        "crops": np.tile(np.array([100, 50, 128], np.float32), (4, 1)),
        "is_valid": np.array([True, False, True, True]),
    }
    manifest = TrackedDatasetManifest(
        n_frames=4, n_train=3, capture_sha256="0" * 64, capture_width=1280, capture_height=720,
        crop_size=64, head_model="fake_head", expression_names=[], tracker="fake",
        has_audio=False, audio_offset_ms=None, warnings=[], rejected=[],
    )  # fmt: skip

    track = training_track(TrackedDataset(Path(), manifest, tracking))

    assert 720 == track.height
    assert (3, 478, 3) == track.landmarks.shape
    assert [120.0, 70.0, 20.0] == track.landmarks[0, 0].tolist()
    assert np.isnan(track.landmarks[1]).all()


def speaking_astronaut(n_frames: int) -> list[U8]:
    """A public-domain photograph whose lower half sways."""
    photograph = np.ascontiguousarray(astronaut()[:256, 96:352])
    frames = []
    for i in range(n_frames):
        frame = photograph.copy()
        shift = round(2 + 2 * np.sin(i / 2))
        frame[140 + shift :] = photograph[140 : 256 - shift]
        frames.append(frame)
    return frames


def test_a_video_artifact_is_scored_with_everything(tmp_path: Path) -> None:
    """Real tracker, own reference: perfect figures, the renderer's records, a full folder."""
    folder = tmp_path / "video"
    folder.mkdir()
    samples = (8000 * np.sin(np.arange(32_000) / 9)).astype("<i2")
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    frames = speaking_astronaut(30)
    reference = write_frames(tmp_path / "r.mp4", frames)
    write_frames(folder / "video.mp4", frames, tmp_path / "a.wav")
    counts = {
        "transparent_pixels": [0] * 30,
        "uncovered_pixels": [2] * 30,
        "stretch_p99": [1.5] * 30,
    }
    (folder / "artefacts.json").write_text(json.dumps(counts))
    (folder / "timing.json").write_text('{"render_seconds": 0.5}')
    write_manifest(
        folder,
        VideoManifest(
            file="video.mp4", width=256, height=256, fps=25, n_frames=30, codec="h264",
            encoder_preset="superfast", encoder_crf=4, rasterizer="cpu", background="plate",
        ),
    )  # fmt: skip

    manifest = evaluate_video(
        EvaluateInputs(folder, reference), EvaluateOptions(label="x"), tmp_path / "s", silent
    )

    scores = manifest.scores
    assert 30 == manifest.n_frames
    assert scores["psnr"].value is not None
    assert scores["psnr"].value > 60
    assert 1.0 == pytest.approx(scores["ssim"].value, abs=1e-3)
    assert 0.0 == pytest.approx(scores["lmd"].value, abs=0.05)
    assert {"still", "late"} == set(scores["lmd"].baselines)
    assert 60.0 == scores["fps"].value
    assert 60.0 == scores["uncovered_pixels"].value
    assert 1.5 == scores["stretch_p99"].value
    stored = read_manifest(tmp_path / "s", ScoresManifest)
    assert {"scores.json", "report.html", "curves.npz", "face.mp4"} == set(stored.files)
    assert scores == stored.scores


def test_a_file_alone_is_scored_with_what_there_is(tmp_path: Path) -> None:
    """No face, no reference, no sound: reasons instead of figures, and still a report."""
    video = write_frames(tmp_path / "v.mp4", dots(30))

    manifest = evaluate_video(EvaluateInputs(video), EvaluateOptions(), tmp_path / "s", silent)

    assert all(score.value is None for score in manifest.scores.values())
    assert all(score.unavailable for score in manifest.scores.values())
    assert (tmp_path / "s" / "report.html").is_file()
