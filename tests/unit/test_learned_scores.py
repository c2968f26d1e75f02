"""Learned figures over whole videos, with weights of the published layout and random values."""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut

from services.evaluator.evaluate import EvaluateInputs, EvaluateOptions, evaluate_video
from services.evaluator.face_video import FACE_PX, FaceFilm, Sides, follow_face
from services.evaluator.networks import arcface, syncnet
from services.evaluator.tasks import evaluate
from services.renderer.encode import Encoding, Speech, VideoWriter
from shared.errors import InvalidInput
from shared.media.audio import read_audio, write_wav
from shared.media.video import read_frames
from shared.progress import silent
from tests.published_parameters import partly_random, random_state, save_state, small_state

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


def filmed(folder: Path, name: str, n_frames: int, brightness: float = 1.0) -> Path:
    """A public-domain photograph whose lower half sways, under noise."""
    photograph = np.ascontiguousarray(astronaut()[:256, 96:352])
    wave = folder / f"{name}.wav"
    noise = np.random.default_rng(1).normal(0, 0.1, n_frames * 640)
    write_wav(wave, noise.astype(np.float32))
    path = folder / f"{name}.mp4"
    with VideoWriter(
        path, Encoding(256, 256, 25, "ultrafast", 20, has_alpha=False), Speech(wave, 0.0)
    ) as video:
        for i in range(n_frames):
            shift = round(2 + 2 * np.sin(i / 2))
            frame = photograph.copy()
            frame[140 + shift :] = photograph[140 : 256 - shift]
            video.write((frame * brightness).astype(np.uint8))
    return path


def test_pictures_and_faces_are_compared_where_the_files_are(tmp_path: Path) -> None:
    """LPIPS and ArcFace; what has no file names it."""
    models = tmp_path / "models"
    models.mkdir()
    save_state(models, arcface.FILE, random_state("arcface_r50", seed=6))
    save_state(models, "alexnet-owt-7be5be79.pth", partly_random("alexnet"))
    weights = {key: value.abs() for key, value in random_state("lpips_alex").items()}
    save_state(models, "lpips_alex.pth", weights)
    video = filmed(tmp_path, "v", 2, brightness=0.9)
    reference = filmed(tmp_path, "r", 2)

    scores = evaluate_video(
        EvaluateInputs(video, reference),
        EvaluateOptions(models_dir=models),
        tmp_path / "scores",
        silent,
    ).scores

    for name in ("lpips", "identity"):
        assert scores[name].value is not None, scores[name].unavailable
    assert {"n_frames": 2.0} == scores["identity"].details
    assert "vgg16-397923af.pth" in str(scores["lpips_vgg"].unavailable)
    assert "syncnet_v2.model" in str(scores["lse_c"].unavailable)


def test_a_clip_too_short_for_lip_sync_says_so(tmp_path: Path) -> None:
    """SyncNet is there and was asked; no other figure stands in."""
    save_state(tmp_path, syncnet.FILE, small_state("syncnet_v2"))

    scores = evaluate_video(
        EvaluateInputs(filmed(tmp_path, "v", 30)),
        EvaluateOptions(models_dir=tmp_path),
        tmp_path / "scores",
        silent,
    ).scores

    for name in ("lse_c", "lse_d"):
        assert scores[name].value is None
        assert "more than 100 frames" in str(scores[name].unavailable)


def test_a_damaged_file_is_an_error_and_not_a_missing_figure(tmp_path: Path) -> None:
    """An operator who put a wrong file there hears of it."""
    state = small_state("syncnet_v2")
    del state["netfclip.3.bias"]
    save_state(tmp_path, syncnet.FILE, state)

    with pytest.raises(InvalidInput, match=r"netfclip\.3\.bias is missing"):
        evaluate_video(
            EvaluateInputs(filmed(tmp_path, "v", 30)),
            EvaluateOptions(models_dir=tmp_path),
            tmp_path / "scores",
            silent,
        )


def test_the_stage_tells_of_figures_below_their_bars(tmp_path: Path) -> None:
    """As a fact, by which the gateway fails the job; without bars there is none."""
    inputs = tmp_path / "in"
    inputs.mkdir()
    filmed(tmp_path, "v", 30).rename(inputs / "video")

    facts = evaluate(inputs, {"min_quality": {"jitter": 0.0001}}, tmp_path / "a", silent)
    free = evaluate(inputs, {}, tmp_path / "b", silent)

    assert "at most 0.0001 is wanted" in str(facts["quality_below"])
    assert isinstance(facts["jitter"], float)
    assert "quality_below" not in free


def face_at(x: NDArray[np.float64]) -> F32:
    """Landmarks 40 pixels wide about x, 60. [T, 478, 3]"""
    landmarks = np.zeros((len(x), 478, 3), np.float32)
    landmarks[:, :, 0] = x[:, None] + np.linspace(-20, 20, 478)
    landmarks[:, :, 1] = 60 + np.linspace(-20, 20, 478)
    return landmarks


def test_squares_follow_the_head_and_bridge_gaps() -> None:
    """One size; frames without a face take their neighbours' place."""
    landmarks = face_at(np.linspace(50, 150, 100))
    landmarks[40:50] = np.nan

    squares = follow_face(landmarks)

    assert squares is not None
    assert 1 == len({square.side for square in squares})
    middles = [square.left + square.side / 2 for square in squares]
    assert 95.0 == pytest.approx(middles[45], abs=1.5)
    assert follow_face(landmarks[40:50]) is None


def test_the_film_shows_capture_and_video_with_sound(tmp_path: Path) -> None:
    """The capture on the left; as long as the shorter of the two; the sound is the given one."""
    squares = follow_face(face_at(np.full(30, 64.0)))
    assert squares is not None
    gray = [(np.full((128, 128, 3), 200, np.uint8), np.full((128, 128, 3), 60, np.uint8))] * 30
    audio = (0.3 * np.sin(np.arange(30 * 640) / 5)).astype(np.float32)

    with FaceFilm(tmp_path / "face.mp4", Sides(squares, squares[:25]), audio) as film:
        passed = list(film.watch(gray))

    frames = list(read_frames(tmp_path / "face.mp4", 25))
    assert (30, 25) == (len(passed), len(frames))
    assert (FACE_PX, 2 * FACE_PX, 3) == frames[0].shape
    assert 60 == pytest.approx(float(frames[9][:, : FACE_PX - 8].mean()), abs=4)
    assert 200 == pytest.approx(float(frames[9][:, FACE_PX + 8 :].mean()), abs=4)
    assert 0.21 == pytest.approx(float(read_audio(tmp_path / "face.mp4")[4000:].std()), abs=0.03)


def test_the_film_without_sound_or_capture_is_the_face_alone(tmp_path: Path) -> None:
    """One side, no audio stream."""
    squares = follow_face(face_at(np.full(5, 64.0)))
    assert squares is not None

    with FaceFilm(tmp_path / "face.mp4", Sides(squares, None), None) as film:
        list(film.watch([(np.zeros((128, 128, 3), np.uint8), None)] * 5))

    with av.open(str(tmp_path / "face.mp4")) as opened:
        assert [] == list(opened.streams.audio)
        assert FACE_PX == opened.streams.video[0].width
