"""Training of the methods that listen, on a small made-up person with sound."""

from pathlib import Path

import numpy as np
import pytest
import torch

from services.trainer.losses import (
    BACKDROP_SHIFTS,
    MIN_MOUTH_PIXELS,
    Square,
    choose_backdrop,
    part_loss,
    picture_loss,
)
from services.trainer.options import TrainOptions
from services.trainer.studio import Studio
from services.trainer.subject import tracked_performance
from services.trainer.train import train_avatar
from shared.avatar_method import Needs
from shared.avatar_store import TENSORS, load_avatar
from shared.contracts.artifact import MANIFEST, read_arrays, read_manifest, write_arrays
from shared.contracts.avatar import AvatarManifest
from shared.contracts.motion import UPPER_FACE_TABLE
from shared.contracts.tracked_dataset import FLOW_POSE_TABLE
from shared.dataset_reader import open_dataset
from shared.errors import InvalidInput
from shared.gaussians import Gaussians
from shared.progress import silent
from shared.rasterizer import Rendered
from shared.rasterizers import cpu
from shared.training_schedule import PartLoss, PictureWeights
from tests.fakes import FAKE_CROP_SIZE, fake_subject
from tests.tracked_person import write_tracked_dataset

LISTENERS = ("gaussian_talker", "talking_gaussian", "surfel_talker")
NEEDS = Needs("mel", 60, upper_face=True)
KILL_FRACTION = 0.6


class KilledError(Exception):
    """The process was killed."""


def options_for(method: str) -> TrainOptions:
    """A training of seconds that passes all its stages."""
    return TrainOptions(method=method, preset="draft", max_steps=25, max_gaussians=250, seed=1)


def kill(fraction: float, message: str) -> None:
    """End the training after its middle."""
    if message.startswith("training") and fraction > KILL_FRACTION:
        raise KilledError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up person speaks."""
    return write_tracked_dataset(tmp_path_factory.mktemp("talk") / "dataset", has_sound=True)


@pytest.mark.parametrize("method", LISTENERS)
def test_a_killed_training_resumes_to_the_same_bytes(
    dataset: Path, tmp_path: Path, method: str
) -> None:
    """Stages, windows and parts follow from the step alone; the avatar says what it needs."""
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    train_avatar(dataset, options_for(method), straight, silent)
    with pytest.raises(KilledError):
        train_avatar(dataset, options_for(method), killed, kill)

    train_avatar(dataset, options_for(method), killed, silent)

    assert (straight / TENSORS).read_bytes() == (killed / TENSORS).read_bytes()
    assert (straight / MANIFEST).read_bytes() == (killed / MANIFEST).read_bytes()
    manifest, subject, _ = load_avatar(straight)
    assert ("mel", 60, True) == (
        manifest.feature_encoder,
        manifest.feature_rows,
        manifest.needs_upper_face,
    )
    assert subject.training_performance.upper_face is not None


@pytest.mark.parametrize("method", LISTENERS)
def test_a_dataset_without_sound_is_refused(tmp_path: Path, method: str) -> None:
    """Nothing is written, and the message names a method that needs none."""
    mute = write_tracked_dataset(tmp_path / "mute")

    with pytest.raises(InvalidInput, match="rigged_gaussians") as refused:
        train_avatar(mute, options_for(method), tmp_path / "avatar", silent)

    assert "no_audio" == refused.value.code
    assert not (tmp_path / "avatar").exists()


def test_flow_poses_are_trained_on_unless_tracked_ones_are_chosen(tmp_path: Path) -> None:
    """The switch reaches the avatar: its training poses are the ones chosen."""
    own = write_tracked_dataset(tmp_path / "dataset", has_sound=True)
    opened = open_dataset(own)
    steadied = {name: opened.tracking[name].copy() for name in FLOW_POSE_TABLE}
    steadied["translation"] = np.add(steadied["translation"], 1e-3, dtype=np.float32)
    write_arrays(own / "flow_pose.npz", steadied, FLOW_POSE_TABLE)
    n_train = opened.manifest.n_train
    for poses, tracks in (("flow", steadied), ("tracked", opened.tracking)):
        options = options_for("surfel_talker").model_copy(
            update={"max_steps": 1, "method_options": {"poses": poses}}
        )

        train_avatar(own, options, tmp_path / poses, silent)

        _, subject, _ = load_avatar(tmp_path / poses)
        np.testing.assert_array_equal(
            tracks["translation"][:n_train], subject.training_pose.translation.numpy()
        )


def test_a_dataset_without_flow_poses_is_refused(tmp_path: Path) -> None:
    """Nothing is written, and the message names the switch."""
    own = write_tracked_dataset(tmp_path / "dataset", has_sound=True)
    (own / "flow_pose.npz").unlink()

    with pytest.raises(InvalidInput, match="poses=tracked") as refused:
        train_avatar(own, options_for("surfel_talker"), tmp_path / "avatar", silent)

    assert "no_flow_pose" == refused.value.code
    assert not (tmp_path / "avatar").exists()


def test_training_hears_nothing_of_the_heldout_part(dataset: Path) -> None:
    """The last training window ends with the split; held-out ones reach back over it."""
    opened = open_dataset(dataset)
    n_train = opened.manifest.n_train

    training = tracked_performance(opened, NEEDS, 0, n_train)
    heldout = tracked_performance(opened, NEEDS, n_train, opened.manifest.n_frames)

    assert training.audio is not None
    assert heldout.audio is not None
    assert (n_train, 60, 40) == tuple(training.audio.shape)
    last = training.audio[-1]
    assert torch.equal(last[33:], last[-1].expand(27, -1))
    assert not torch.equal(heldout.audio[0, :20], heldout.audio[0, :1].expand(20, -1))


def test_supplied_brows_and_blinks_are_trained_on(tmp_path: Path) -> None:
    """They take the place of the tracked ones, in the avatar too."""
    own = write_tracked_dataset(tmp_path / "dataset", has_sound=True)
    opened = open_dataset(own)
    supplied = np.random.default_rng(0).uniform(size=(opened.manifest.n_frames, 7))
    array = supplied.astype(np.float32)
    write_arrays(own / "upper_face.npz", {"upper_face": array}, UPPER_FACE_TABLE)
    options = options_for("gaussian_talker").model_copy(update={"max_steps": 1})

    train_avatar(own, options, tmp_path / "avatar", silent)

    n_train = opened.manifest.n_train
    stored = read_arrays(tmp_path / "avatar" / "upper_face.npz", UPPER_FACE_TABLE)["upper_face"]
    np.testing.assert_array_equal(array[:n_train], stored)
    assert "upper_face.npz" in read_manifest(tmp_path / "avatar", AvatarManifest).files


def drawn_black(side: int, depth: float) -> Rendered:
    """A black picture that is covered everywhere."""
    return Rendered(
        torch.zeros(side, side, 3), torch.ones(side, side), torch.full((side, side), depth)
    )


def test_the_lip_term_sees_the_lips_only() -> None:
    """An error elsewhere does not change it."""
    lips = Square(2, 4, 4)
    target = torch.zeros(16, 16, 6)
    target[12, 12, :3] = 1
    weights = PictureWeights(l1=0, ssim=0, holes=0, lips=0.4)

    nothing = picture_loss(drawn_black(16, 1.0), target, weights, lips, 1.0)
    target[5, 3, :3] = 1
    something = picture_loss(drawn_black(16, 1.0), target, weights, lips, 1.0)

    assert 0 == nothing
    assert 0.4 / 16 == pytest.approx(something.item())


def test_the_depth_term_wants_depth_where_the_person_is() -> None:
    """At the head's distance it is nearly one, without a person nearly all is wrong."""
    weights = PictureWeights(l1=0, ssim=0, holes=0, depth=1.0)
    person, nobody = torch.ones(8, 8, 6), torch.zeros(8, 8, 6)

    right, wrong = (
        picture_loss(drawn_black(8, 1.0), target, weights, Square(0, 0, 4), 1.0).item()
        for target in (person, nobody)
    )

    assert 1 - 0.964 == pytest.approx(right, abs=1e-3)
    assert 0.964 == pytest.approx(wrong, abs=1e-3)


def make_dot(color: tuple[float, float, float]) -> Gaussians:
    """One Gaussian in the middle of the picture."""
    return Gaussians(
        means=torch.zeros(1, 3),
        quats=torch.tensor([[1.0, 0, 0, 0]]),
        scales=torch.full((1, 3), 0.03),
        opacities=torch.tensor([0.95]),
        colors=torch.tensor([color], requires_grad=True),
    )


@pytest.mark.parametrize("n_pixels", [4, MIN_MOUTH_PIXELS])
def test_a_mouth_that_is_hardly_seen_is_not_judged(n_pixels: int) -> None:
    """A few pixels tell nothing of it."""
    side = FAKE_CROP_SIZE
    studio = Studio(cpu, fake_subject(), {1: torch.zeros(side, side, 3)})
    target = torch.zeros(side, side, 6)
    target[side // 2, 20 : 20 + n_pixels, 5] = 1
    part = PartLoss("mouth", layers=(0,), until=1.0)

    loss = part_loss(
        studio, (make_dot((1.0, 1.0, 1.0)),), target, part, Square(12, 12, 40), frame=0
    )

    assert (n_pixels >= MIN_MOUTH_PIXELS) == (loss > 0)


def test_a_face_of_the_backdrop_s_colour_is_found_out() -> None:
    """Green before green costs nothing, but the next frame's backdrop is another."""
    side = FAKE_CROP_SIZE
    studio = Studio(cpu, fake_subject(), {1: torch.zeros(side, side, 3)})
    target = torch.zeros(side, side, 6)
    target[..., 5] = 1
    part = PartLoss("face", layers=(0,), until=1.0)
    layers = (make_dot(BACKDROP_SHIFTS[0]),)

    costs = [
        part_loss(studio, layers, target, part, Square(12, 12, 40), frame=frame).item()
        for frame in range(len(BACKDROP_SHIFTS))
    ]

    assert 0 == pytest.approx(costs[0], abs=1e-4)
    assert min(costs[1:]) > 0.01


@pytest.mark.parametrize("is_open", [True, False])
def test_backdrops_are_on_average_what_the_mouth_shows(*, is_open: bool) -> None:
    """So the edge of a lip takes the colour that it has before the mouth."""
    side = FAKE_CROP_SIZE
    target = torch.zeros(side, side, 6)
    target[30:34, 30:34, :3] = torch.tensor([0.5, 0.2, 0.3])
    target[30:34, 30:34, 5] = float(is_open)
    lips = Square(30, 30, 4)

    backdrops = [choose_backdrop(target, lips, frame) for frame in range(len(BACKDROP_SHIFTS))]

    assert (torch.stack(backdrops).mean(0) - torch.tensor([0.5, 0.2, 0.3])).abs().max() < 1e-6
    assert torch.cdist(torch.stack(backdrops), target[30, 30, None, :3]).min() > 0.5


def test_a_plate_of_the_right_colour_is_no_face() -> None:
    """Where the face lets it shine through, the picture is right and yet not."""
    side = FAKE_CROP_SIZE
    studio = Studio(cpu, fake_subject(), {1: torch.zeros(side, side, 3)})
    target = torch.zeros(side, side, 6)
    part = PartLoss("face", layers=(0,), until=1.0)
    nothing = Gaussians(*(values[:0] for values in make_dot((0.0, 0.0, 0.0))))
    lips = Square(0, 0, 4)

    free = part_loss(studio, (nothing,), target, part, lips, frame=0).item()
    target[20:40, 20:40, 3] = 1
    caught = part_loss(studio, (nothing,), target, part, lips, frame=0).item()
    target[20:40, 20:40, 5] = 1
    mouth = part_loss(studio, (nothing,), target, part, lips, frame=0).item()

    assert 0 == pytest.approx(free, abs=1e-6)
    assert part.holes * 20 * 20 / side**2 == pytest.approx(caught)
    assert 0 == pytest.approx(mouth, abs=1e-6)


def test_no_plate_shines_through_a_lip_s_edge() -> None:
    """Behind the lips is the backdrop, beyond the mouth's outline too."""
    side = FAKE_CROP_SIZE
    target = torch.zeros(side, side, 6)
    target[..., 3] = 1
    target[30:34, 30:34, 5] = 1
    part, lips = PartLoss("face", layers=(0,), until=1.0, holes=0.0), Square(0, 0, side)
    lip = make_dot((1.0, 0.5, 0.5))

    costs = []
    for plate in (torch.zeros(side, side, 3), torch.ones(side, side, 3)):
        studio = Studio(cpu, fake_subject(), {1: plate})
        costs.append(part_loss(studio, (lip,), target, part, lips, frame=0).item())

    assert costs[0] == costs[1]
