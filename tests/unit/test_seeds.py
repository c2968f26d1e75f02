"""The training pixels that Gaussians start from."""

import numpy as np
import pytest
import torch

from services.trainer.seeds import ReferenceFrames, choose_references, choose_seeds, point_density
from shared.contracts.tracked_dataset import REGIONS
from shared.dataset_reader import TrackedDataset, open_dataset, read_frame, read_regions
from shared.landmarks import mouth_opening
from tests.tracked_person import SIDE, write_tracked_dataset

REFERENCES = ReferenceFrames(usual=0, turned=(1, 2), open=3)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> TrackedDataset:
    """Four frames of the made-up person."""
    folder = tmp_path_factory.mktemp("seeds") / "dataset"
    return open_dataset(write_tracked_dataset(folder, n_train=4, n_heldout=0))


def test_references_show_what_the_others_do_not(dataset: TrackedDataset) -> None:
    """The most turned heads and the widest mouth, among the frames that may be used."""
    rotation = np.zeros((6, 3), np.float32)
    rotation[:, 1] = [0.9, -0.2, 0.0, 0.01, 0.3, -0.1]
    landmarks = np.repeat(dataset.tracking["landmarks"][:1], 6, axis=0)
    landmarks[3, 14, 1] += 5
    tracking = {
        "rotation": rotation,
        "translation": np.zeros((6, 3), np.float32),
        "landmarks": landmarks,
    }
    moved = dataset._replace(tracking=tracking)
    assert mouth_opening(landmarks[3]) > mouth_opening(landmarks[0])

    chosen = choose_references(moved, [1, 2, 3, 4, 5])

    assert ReferenceFrames(usual=2, turned=(1, 4), open=3) == chosen


def test_seeds_take_the_colour_of_their_pixels(dataset: TrackedDataset) -> None:
    """Each lies inside the picture and has its colour; all in all as many as asked for."""
    seeds = choose_seeds(dataset, REFERENCES, 500, seed=0)

    assert [0, 1, 2, 3] == [points.frame for points in seeds]
    assert 500 == sum(len(points.pixels) for points in seeds)
    for points in seeds:
        column, row = points.pixels.long().T.numpy()
        assert 0 <= points.pixels.min()
        assert points.pixels.max() <= SIDE
        expected = read_frame(dataset, points.frame)[row, column] / 255
        np.testing.assert_allclose(points.colors.numpy(), expected, atol=1e-6)
        assert bool((points.spacing > 0).all())


def test_the_open_mouth_gives_its_inside_only(dataset: TrackedDataset) -> None:
    """Lips, teeth and mouth interior."""
    mouth = choose_seeds(dataset, REFERENCES, 500, seed=0)[3]

    column, row = mouth.pixels.long().T.numpy()
    labels = {REGIONS[label] for label in read_regions(dataset, 3)[row, column]}
    assert labels <= {"lips", "teeth", "mouth_inside"}


def test_lips_are_denser_than_skin_and_the_wall_is_empty(dataset: TrackedDataset) -> None:
    """Points go where there is more to see."""
    density = point_density(dataset, 0)

    labels = read_regions(dataset, 0)
    lips = density[labels == REGIONS.index("lips")].mean()
    skin = density[labels == REGIONS.index("face")].mean()
    assert lips > 1.5 * skin
    assert 0 == density[:2, :2].max()


def test_equal_seed_gives_equal_points(dataset: TrackedDataset) -> None:
    """And another one others."""
    first, second, other = (choose_seeds(dataset, REFERENCES, 100, seed)[0] for seed in (7, 7, 8))

    assert torch.equal(first.pixels, second.pixels)
    assert not torch.equal(first.pixels, other.pixels)
