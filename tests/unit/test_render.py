"""Rendering a motion with a fake avatar, from folders to files."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from services.renderer.render import render_actor
from services.renderer.shot import Actor, RenderOptions
from shared.contracts.artifact import read_manifest, write_arrays, write_manifest
from shared.contracts.avatar import AvatarManifest
from shared.contracts.motion import MOTION_TABLE, UPPER_FACE_TABLE, MotionManifest
from shared.contracts.video import VideoManifest
from shared.errors import InvalidInput
from shared.layers import Layers
from shared.media.audio import write_wav
from shared.media.video import read_frames
from shared.progress import silent
from tests.fakes import (
    FAKE_CROP_SIZE,
    FAKE_EXPRESSIONS,
    FakeAvatarModel,
    fake_motion,
    fake_subject,
)

WIDTH, HEIGHT = 96, 80
CROP = (16.0, 8.0, 64.0)
PLATE = (40, 90, 60)


@pytest.fixture
def actor(tmp_path: Path) -> Actor:
    """A fake avatar in a folder with a plain plate."""
    folder = tmp_path / "avatar"
    folder.mkdir()
    Image.new("RGB", (WIDTH, HEIGHT), PLATE).save(folder / "plate.png")
    subject = fake_subject()
    manifest = AvatarManifest(
        method="fake", method_options={}, head_model="fake_head",
        expression_names=list(FAKE_EXPRESSIONS), fps=25, rasterizer="cpu", n_gaussians=600,
        capture_sha256="0" * 64, capture_width=WIDTH, capture_height=HEIGHT,
        crop_size=FAKE_CROP_SIZE, crop=CROP, K=subject.K.tolist(),
        viewmat=subject.viewmat.tolist(), preset="draft", n_steps=1, seed=0,
    )  # fmt: skip
    return Actor(folder, manifest, subject, FakeAvatarModel())


def write_motion(
    folder: Path, n_frames: int = 12, changes: dict[str, object] | None = None
) -> Path:
    """A motion of the fake head, with half a second of sound."""
    folder.mkdir()
    arrays = {name: values.numpy() for name, values in fake_motion(n_frames)._asdict().items()}
    write_arrays(folder / "motion.npz", arrays, MOTION_TABLE)
    write_wav(folder / "audio.wav", np.full(8000, 0.1, np.float32))
    facts: dict[str, object] = {
        "fps": 25, "n_frames": n_frames, "head_model": "fake_head",
        "expression_names": list(FAKE_EXPRESSIONS), "motion_model": "fake",
        "audio_encoder": None, "pose_source": "fixed", **(changes or {}),
    }  # fmt: skip
    write_manifest(folder, MotionManifest.model_validate(facts))
    return folder


def frames_of(folder: Path) -> list[NDArray[np.uint8]]:
    """The decoded video."""
    return list(read_frames(folder / read_manifest(folder, VideoManifest).file))


def test_head_stands_in_its_crop_and_plate_around_it(actor: Actor, tmp_path: Path) -> None:
    """The middle of the crop shows the head, the frame's corner the plate."""
    motion = write_motion(tmp_path / "motion")

    manifest = render_actor(actor, motion, RenderOptions(), tmp_path / "out", silent)

    frames = frames_of(tmp_path / "out")
    assert (WIDTH, HEIGHT, 12) == (manifest.width, manifest.height, len(frames))
    assert (HEIGHT, WIDTH, 3) == frames[0].shape
    np.testing.assert_allclose(frames[0][2, 2], PLATE, atol=6)
    np.testing.assert_allclose(frames[-1][40, 48], (255, 127, 127), atol=25)
    assert frames[0][40, 48, 0] < 100
    assert frames[-1][40, 48, 0] > 200


class FeatheredModel(FakeAvatarModel):
    """The fake avatar with a soft edge."""

    edge_px = 9


def test_a_feathered_avatar_fades_at_its_edge(actor: Actor, tmp_path: Path) -> None:
    """Less of it is seen where it meets the plate, the same in its middle."""
    motion = write_motion(tmp_path / "motion", n_frames=1)
    options = RenderOptions(background="#000000")

    render_actor(actor, motion, options, tmp_path / "hard", silent)
    soft_actor = actor._replace(model=FeatheredModel())
    render_actor(soft_actor, motion, options, tmp_path / "soft", silent)

    hard, soft = (frames_of(tmp_path / name)[0].astype(int) for name in ("hard", "soft"))
    np.testing.assert_allclose(hard[66, 48], soft[66, 48], atol=6)
    assert soft.sum() < 0.97 * hard.sum()


def test_named_regions_alone_are_drawn(actor: Actor, tmp_path: Path) -> None:
    """With the torso left out its place shows what is behind; the face stays."""
    motion = write_motion(tmp_path / "motion")
    options = RenderOptions(background="#000000")
    render_actor(actor, motion, options, tmp_path / "all", silent)

    face = options.model_copy(update={"regions": ("face",)})
    render_actor(actor, motion, face, tmp_path / "face", silent)

    whole, part = (frames_of(tmp_path / name)[-1] for name in ("all", "face"))
    np.testing.assert_allclose(part[40, 48], whole[40, 48], atol=6)
    assert whole[66, 48].max() > 100
    assert part[66, 48].max() < 20


@pytest.mark.parametrize(
    ("regions", "code"),
    [
        (("mouth",), "unknown_region"),
        (("background",), "unknown_region"),
        (("hair",), "regions_empty"),
    ],
)
def test_regions_that_cannot_be_drawn_are_refused(
    actor: Actor, tmp_path: Path, regions: tuple[str, ...], code: str
) -> None:
    """Nothing is written."""
    motion = write_motion(tmp_path / "motion")

    with pytest.raises(InvalidInput) as refused:
        render_actor(actor, motion, RenderOptions(regions=regions), tmp_path / "out", silent)

    assert code == refused.value.code
    assert not (tmp_path / "out").exists()


def test_a_method_without_regions_is_named(actor: Actor, tmp_path: Path) -> None:
    """Its Gaussians belong to no part of a head model."""

    class Unbound(FakeAvatarModel):
        def regions(self) -> None:
            """None are known."""

    motion = write_motion(tmp_path / "motion")
    unbound = actor._replace(model=Unbound())

    with pytest.raises(InvalidInput, match="method fake") as refused:
        render_actor(unbound, motion, RenderOptions(regions=("lips",)), tmp_path / "out", silent)

    assert "regions_unknown" == refused.value.code


def test_artefacts_and_time_are_recorded(actor: Actor, tmp_path: Path) -> None:
    """One entry per frame; the time is not part of what is hashed."""
    motion = write_motion(tmp_path / "motion")

    manifest_path = tmp_path / "out"
    render_actor(actor, motion, RenderOptions(), manifest_path, silent)

    counts = json.loads((manifest_path / "artefacts.json").read_text())
    assert {"transparent_pixels", "uncovered_pixels", "stretch_p99"} == set(counts)
    assert [1.0] * 12 == counts["stretch_p99"]
    assert json.loads((manifest_path / "timing.json").read_text())["render_seconds"] > 0
    assert {"video.mp4", "artefacts.json"} == set(read_manifest(manifest_path, VideoManifest).files)


def test_equal_input_gives_an_equal_artifact(actor: Actor, tmp_path: Path) -> None:
    """Threads do not show in the bytes."""
    motion = write_motion(tmp_path / "motion")

    for name in ("a", "b"):
        render_actor(actor, motion, RenderOptions(), tmp_path / name, silent)

    for file in ("video.mp4", "artefacts.json", "manifest.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_fixed_camera_keeps_the_head_still(actor: Actor, tmp_path: Path) -> None:
    """With the face's colour constant, all frames are equal."""
    motion = write_motion(tmp_path / "motion")
    arrays = {name: v.numpy().copy() for name, v in fake_motion(12)._asdict().items()}
    arrays["expr"][:] = 0
    write_arrays(motion / "motion.npz", arrays, MOTION_TABLE)

    render_actor(actor, motion, RenderOptions(camera="fixed"), tmp_path / "fixed", silent)
    render_actor(actor, motion, RenderOptions(camera="capture"), tmp_path / "moving", silent)

    def spread(folder: Path) -> float:
        return float(np.stack(frames_of(folder)).astype(float).std(axis=0).max())

    assert spread(tmp_path / "fixed") < 3
    assert spread(tmp_path / "moving") > 10


def test_orbit_moves_the_view(actor: Actor, tmp_path: Path) -> None:
    """The torso block turns away."""
    motion = write_motion(tmp_path / "motion")
    still = RenderOptions(camera="orbit", orbit_degrees=0)
    swinging = RenderOptions(camera="orbit", orbit_degrees=50, orbit_seconds=1)

    render_actor(actor, motion, still, tmp_path / "a", silent)
    render_actor(actor, motion, swinging, tmp_path / "b", silent)

    a, b = frames_of(tmp_path / "a"), frames_of(tmp_path / "b")
    assert np.abs(a[0].astype(int) - b[0]).max() < 3
    assert np.abs(a[6].astype(int) - b[6]).max() > 50


def test_start_and_length_cut_the_motion(actor: Actor, tmp_path: Path) -> None:
    """Frames 5 to 8 of the whole are the cut's four frames."""
    motion = write_motion(tmp_path / "motion")
    cut = RenderOptions(start_seconds=0.2, seconds=0.16)

    render_actor(actor, motion, RenderOptions(), tmp_path / "whole", silent)
    manifest = render_actor(actor, motion, cut, tmp_path / "cut", silent)

    whole, part = frames_of(tmp_path / "whole"), frames_of(tmp_path / "cut")
    assert 4 == manifest.n_frames == len(part)
    for expected, found in zip(whole[5:9], part, strict=True):
        assert np.abs(expected.astype(int) - found).mean() < 1


def test_another_height_scales_the_whole_frame(actor: Actor, tmp_path: Path) -> None:
    """Half the height is the same picture, smaller."""
    motion = write_motion(tmp_path / "motion")

    render_actor(actor, motion, RenderOptions(), tmp_path / "a", silent)
    manifest = render_actor(actor, motion, RenderOptions(height=40), tmp_path / "b", silent)

    assert (48, 40) == (manifest.width, manifest.height)
    whole = frames_of(tmp_path / "a")[-1].astype(float)
    shrunk = whole.reshape(40, 2, 48, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - frames_of(tmp_path / "b")[-1]).mean() < 6


def test_colour_background_replaces_the_plate(actor: Actor, tmp_path: Path) -> None:
    """The corner is the colour."""
    motion = write_motion(tmp_path / "motion", n_frames=2)

    render_actor(actor, motion, RenderOptions(background="#0000ff"), tmp_path / "out", silent)

    np.testing.assert_allclose(frames_of(tmp_path / "out")[0][2, 2], (0, 0, 255), atol=8)


def test_alpha_background_is_a_webm_with_sound(actor: Actor, tmp_path: Path) -> None:
    """VP9 with an alpha plane, and Opus."""
    motion = write_motion(tmp_path / "motion", n_frames=3)

    manifest = render_actor(
        actor, motion, RenderOptions(background="alpha"), tmp_path / "out", silent
    )

    assert ("video.webm", "vp9") == (manifest.file, manifest.codec)
    with av.open(str(tmp_path / "out" / "video.webm")) as container:
        video = container.streams.video[0]
        assert "1" == video.metadata.get("alpha_mode", video.metadata.get("ALPHA_MODE"))
        assert "opus" == container.streams.audio[0].codec_context.name


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"head_model": "flame"}, "fake_head"),
        ({"expression_names": ["jawOpen", "other"]}, "mouthClose"),
        ({"expression_names": ["mouthClose", "jawOpen"]}, "order"),
        ({"fps": 30}, "25 frames per second"),
    ],
)
def test_motion_that_does_not_fit_is_refused(
    actor: Actor, tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    """The message names what the avatar needs."""
    motion = write_motion(tmp_path / "motion", changes=changes)

    with pytest.raises(InvalidInput, match=named) as caught:
        render_actor(actor, motion, RenderOptions(), tmp_path / "out", silent)
    assert "motion_incompatible" == caught.value.code


def test_motion_with_a_value_that_is_no_number_is_refused(actor: Actor, tmp_path: Path) -> None:
    """It would spread over the picture."""
    motion = write_motion(tmp_path / "motion")
    arrays = {name: v.numpy().copy() for name, v in fake_motion(12)._asdict().items()}
    arrays["translation"][3] = np.nan
    write_arrays(motion / "motion.npz", arrays, MOTION_TABLE)

    with pytest.raises(InvalidInput) as caught:
        render_actor(actor, motion, RenderOptions(), tmp_path / "out", silent)
    assert "bad_arrays" == caught.value.code


def test_start_beyond_the_end_is_refused(actor: Actor, tmp_path: Path) -> None:
    """There would be no frame."""
    motion = write_motion(tmp_path / "motion")

    with pytest.raises(InvalidInput) as caught:
        render_actor(actor, motion, RenderOptions(start_seconds=1.0), tmp_path / "out", silent)
    assert "motion_too_short" == caught.value.code


@pytest.mark.parametrize("background", ["blue", "#12345", "../plate"])
def test_unknown_backgrounds_are_refused(background: str) -> None:
    """Options are checked where they are made."""
    with pytest.raises(ValidationError):
        RenderOptions(background=background)


class AttentiveModel(FakeAvatarModel):
    """Attends to one thing with its ball, to another with its block."""

    ATTENTION_TOKENS = ("ball", "block", "nothing")

    def pose_attention(self, condition: Tensor) -> Layers:
        """One map per token."""
        (posed,) = self.pose(condition)
        half = len(posed.means) // 2
        maps = torch.zeros(len(posed.means), 3)
        maps[:half, 0] = maps[half:, 1] = 1
        return (posed._replace(colors=torch.cat([posed.colors, maps], 1)),)


def test_attention_is_a_second_video(actor: Actor, tmp_path: Path) -> None:
    """A grey map per token, two beside each other; the first video is as without it."""
    motion = write_motion(tmp_path / "motion")
    attentive = actor._replace(model=AttentiveModel())
    render_actor(actor, motion, RenderOptions(), tmp_path / "plain", silent)

    told = RenderOptions(attention=True)
    manifest = render_actor(attentive, motion, told, tmp_path / "both", silent)

    side = FAKE_CROP_SIZE
    maps = next(iter(read_frames(tmp_path / "both" / "attention.mp4", 25))).astype(int)
    assert (2 * side, 2 * side, 3) == maps.shape
    assert maps[: side // 2, :side].mean() > 5 * maps[: side // 2, side:].mean()
    assert maps[side:].max() < 10
    assert "attention.mp4" in read_manifest(tmp_path / "both", VideoManifest).files
    for name in ("plain", "both"):
        assert (tmp_path / name / manifest.file).is_file()
    plain, both = (frames_of(tmp_path / name) for name in ("plain", "both"))
    assert all(np.array_equal(one, other) for one, other in zip(plain, both, strict=True))


def test_a_method_without_attention_refuses(actor: Actor, tmp_path: Path) -> None:
    """It says which method has some."""
    motion = write_motion(tmp_path / "motion")

    with pytest.raises(InvalidInput, match="gaussian_talker") as refused:
        render_actor(actor, motion, RenderOptions(attention=True), tmp_path / "out", silent)

    assert "no_attention" == refused.value.code


@pytest.mark.parametrize(
    ("needs", "missing"),
    [
        ({"feature_encoder": "mel", "feature_rows": 60}, "audio features of mel"),
        ({"needs_upper_face": True}, "upper face"),
    ],
)
def test_a_motion_that_carries_too_little_is_refused(
    actor: Actor, tmp_path: Path, needs: dict[str, object], missing: str
) -> None:
    """The message names what the avatar needs."""
    motion = write_motion(tmp_path / "motion")
    demanding = actor._replace(manifest=actor.manifest.model_copy(update=needs))

    with pytest.raises(InvalidInput, match=missing) as refused:
        render_actor(demanding, motion, RenderOptions(), tmp_path / "out", silent)

    assert "motion_incompatible" == refused.value.code
    assert not (tmp_path / "out").exists()


def test_carried_arrays_must_be_as_long_as_the_motion(actor: Actor, tmp_path: Path) -> None:
    """A frame without brows is no frame."""
    changes: dict[str, object] = {"has_upper_face": True}
    motion = write_motion(tmp_path / "motion", changes=changes)
    write_arrays(
        motion / "upper_face.npz", {"upper_face": np.zeros((5, 7), np.float32)}, UPPER_FACE_TABLE
    )
    demanding = actor._replace(
        manifest=actor.manifest.model_copy(update={"needs_upper_face": True})
    )

    with pytest.raises(InvalidInput, match="5 frames") as refused:
        render_actor(demanding, motion, RenderOptions(), tmp_path / "out", silent)

    assert "bad_arrays" == refused.value.code
