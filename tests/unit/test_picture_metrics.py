"""PSNR and SSIM against known values and another implementation."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from services.evaluator.metrics import psnr, ssim


def test_ten_percent_error_is_twenty_decibels() -> None:
    """A constant error of 0.1 gives 20 dB."""
    target = torch.zeros(2, 4, 4, 3)

    assert [20.0, 20.0] == pytest.approx(psnr.compare(target + 0.1, target).tolist(), abs=1e-4)


def test_equal_frames_have_a_finite_psnr() -> None:
    """Equal frames give 100 dB, which JSON can hold."""
    frame = torch.rand(1, 4, 4, 3)

    assert 100.0 == pytest.approx(psnr.compare(frame, frame).item())


@pytest.mark.parametrize("size", [(11, 11), (40, 63)])
@pytest.mark.parametrize("noise", [0.0, 0.02, 0.5])
def test_ssim_equals_scikit_image(size: tuple[int, int], noise: float) -> None:
    """The figure is scikit-image's with the same Gaussian window."""
    rng = np.random.default_rng(3)
    target = rng.uniform(0, 1, (*size, 3))
    preds = np.clip(target + rng.normal(0, noise, target.shape), 0, 1)

    expected = structural_similarity(
        preds,
        target,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2,
        data_range=1,
    )

    found = ssim.compare(torch.from_numpy(preds)[None], torch.from_numpy(target)[None])
    assert expected == pytest.approx(found.item(), abs=1e-6)
    single = ssim.compare(
        torch.from_numpy(preds)[None].float(), torch.from_numpy(target)[None].float()
    )
    assert expected == pytest.approx(single.item(), abs=2e-5)
