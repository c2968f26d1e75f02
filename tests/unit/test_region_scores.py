"""Regions of a face are scored apart."""

from pathlib import Path

import numpy as np
import pytest
import torch

from services.evaluator.metric import Evidence, FaceTrack
from services.evaluator.metrics import region_lmd, region_psnr
from services.evaluator.region_masks import region_masks, region_score
from shared.contracts.tracked_dataset import REGIONS
from shared.dataset_reader import open_dataset, read_regions
from shared.landmarks import NOSE
from tests.tracked_person import SIDE, write_tracked_dataset

LIPS, NOSE_LABEL = REGIONS.index("lips"), REGIONS.index("nose")


def make_labels() -> torch.Tensor:
    """Lips in the left half, nose in the right, a row of background. [1, 8, 8]"""
    labels = torch.full((1, 8, 8), LIPS, dtype=torch.uint8)
    labels[:, :, 4:] = NOSE_LABEL
    labels[:, 0] = 0
    return labels


def test_an_error_counts_in_its_own_region_alone() -> None:
    """A constant error of 0.1 in the lips is 20 dB there and 23 dB for the person."""
    target = torch.full((1, 8, 8, 3), 0.5)
    preds = target.clone()
    preds[:, 1:, :4] += 0.1
    preds[:, 0] = 0

    figures = region_psnr.compare_regions(preds, target, make_labels())[0]

    assert 20.0 == pytest.approx(float(figures[LIPS]), abs=1e-3)
    assert 100.0 == pytest.approx(float(figures[NOSE_LABEL]), abs=1e-3)
    assert 23.01 == pytest.approx(float(figures[0]), abs=0.01)


def test_a_region_of_a_few_pixels_has_no_figure() -> None:
    """Its mean would be noise."""
    labels = torch.zeros(1, 8, 8, dtype=torch.uint8)
    labels[0, :3, :5] = LIPS

    figures = region_psnr.compare_regions(torch.zeros(1, 8, 8, 3), torch.ones(1, 8, 8, 3), labels)

    assert bool(torch.isnan(figures).all())


def test_regions_stand_in_the_details() -> None:
    """By name, over the frames that show them."""
    figures = np.full((2, len(REGIONS)), np.nan)
    figures[:, 0] = 30.0, 32.0
    figures[1, LIPS] = 28.0

    score = region_score(region_psnr, figures)

    assert 31.0 == score.value
    assert 30.0 == score.worst
    assert {"lips": 28.0} == score.details


def test_without_masks_the_score_says_so() -> None:
    """The video alone does not tell what a pixel shows."""
    score = region_score(region_psnr, None)

    assert score.value is None
    assert "tracked dataset" in str(score.unavailable)


def test_masks_lie_where_the_crop_does(tmp_path: Path) -> None:
    """A crop that fills the capture is taken over; held-out frames only."""
    dataset = open_dataset(write_tracked_dataset(tmp_path / "d", n_train=26, n_heldout=2))
    crops = np.asarray(dataset.tracking["crops"], np.float32) + np.array([8, 4, 0], np.float32)
    shifted = dict(dataset.tracking) | {"crops": crops}

    plain = list(region_masks(dataset, 26))
    moved = next(region_masks(dataset._replace(tracking=shifted), 26))

    assert 2 == len(plain)
    assert np.array_equal(read_regions(dataset, 26), plain[0])
    assert np.array_equal(plain[0][: SIDE - 4, : SIDE - 8], moved[4:, 8:])
    assert 0 == moved[:4].max() == moved[:, :8].max()


def test_landmarks_are_compared_by_region() -> None:
    """A wider nose is seen in the nose alone; a shift of the whole face is no error."""
    face = np.random.default_rng(0).uniform(100, 400, (30, 478, 3)).astype(np.float32)
    other = face + np.array([5, 3, 0], np.float32)
    nose = list(NOSE)
    other[:, nose] += 0.2 * (face[:, nose] - face[:, nose].mean(1, keepdims=True))
    evidence = Evidence(25, FaceTrack(other, 512), FaceTrack(face, 512), None, None, None)

    score = region_lmd.score(evidence)

    assert score.details["nose"] > 5
    assert 0.0 == pytest.approx(score.details["lips"], abs=1e-3)
    assert {"lips", "eyes", "brows", "nose", "face"} == set(score.details)
    assert score.value == pytest.approx(np.mean(list(score.details.values())), rel=1e-5)
