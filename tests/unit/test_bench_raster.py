"""The rasterizer's benchmark on a scene that takes no time."""

from pathlib import Path

import numpy as np
import pytest
import torch

from services.embedded.bench_raster import (
    Scene,
    bench_raster,
    draw_plane,
    learn_plane,
    make_plane,
)
from shared.errors import InvalidInput
from tests import reference_rasterizer

TINY = Scene(50, 40, 2.0)

OTHER = """
class R:
    def __init__(self, n, height, width):
        self.n = n
    def forward(self, means2d, conics, colors, opacities, depths):
        assert means2d.shape == (self.n, 2)
    def backward(self, conics, colors, opacities, image_gradient):
        assert image_gradient.shape == (40, 40, 3)
"""


def test_every_kind_of_work_is_timed() -> None:
    """Positive milliseconds for all, and none for another rasterizer that was not asked for."""
    (timing,) = bench_raster("cpu", n_rounds=3, scenes=(TINY,))

    times = (timing.first, timing.plane_draw, timing.plane_learn, timing.draw, timing.whole_learn)
    assert min(times) > 0
    assert min(timing.surfels_draw, timing.surfels_learn) > 0
    assert timing.times_real_time == pytest.approx(40 / timing.draw)
    assert timing.ratios is None


def test_another_rasterizer_runs_in_turn(tmp_path: Path) -> None:
    """Its path is enough; the ratios are ours over its."""
    path = tmp_path / "other.py"
    path.write_text(OTHER)

    (timing,) = bench_raster("cpu", n_rounds=3, scenes=(TINY,), against=path)

    assert timing.ratios is not None
    assert min(timing.ratios) > 1  # it does nothing


def test_a_path_that_is_no_python_file_is_refused(tmp_path: Path) -> None:
    """``bad_rasterizer_path`` names it."""
    with pytest.raises(InvalidInput) as refusal:
        bench_raster("cpu", n_rounds=1, scenes=(TINY,), against=tmp_path / "absent.py")

    assert "bad_rasterizer_path" == refusal.value.code


def test_the_2d_part_draws_and_learns_like_the_reference() -> None:
    """What is timed is the real work: picture and gradients equal the reference within 1e-4."""
    plane = make_plane(TINY)
    means2d, conics, colors, opacities, depths, image_gradient = (
        torch.from_numpy(array).double().requires_grad_() for array in plane
    )
    matrices = conics[:, [0, 1, 1, 2]].unflatten(-1, (2, 2))
    expected = reference_rasterizer.blend(
        means2d, matrices, opacities, colors, depths, TINY.side, TINY.side
    )
    inputs = (means2d, conics, opacities, colors)
    loss = (expected.colors * image_gradient).sum()
    expected_gradients = torch.autograd.grad(loss, inputs)

    images = draw_plane(plane).images
    result = learn_plane(plane)

    image = images[0].reshape(TINY.side, TINY.side, 3)
    np.testing.assert_allclose(image, expected.colors.detach().numpy(), rtol=0, atol=1e-4)
    gradients = (result.means2d, result.conics, result.opacities, result.colors)
    for got, wanted in zip(gradients, expected_gradients, strict=True):
        assert np.linalg.norm(got - wanted.numpy()) <= 1e-4 * float(wanted.norm())
