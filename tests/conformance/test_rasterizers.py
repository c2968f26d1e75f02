"""Every rasterizer draws what the contract says."""

from types import ModuleType

import pytest
import torch

from shared.errors import InvalidInput, MissingModel
from shared.gaussians import Gaussians
from shared.plugins import load_plugin, plugin_names
from tests import reference_rasterizer
from tests.rasterizer_scenes import (
    HEIGHT,
    WIDTH,
    assert_same,
    draw,
    make_background,
    make_camera,
    make_gaussians,
)


@pytest.fixture(params=plugin_names("shared.rasterizers"))
def rasterizer(request: pytest.FixtureRequest) -> ModuleType:
    """Each one that can run here."""
    try:
        return load_plugin("shared.rasterizers", request.param)
    except MissingModel as missing:
        pytest.skip(missing.message)


@pytest.mark.parametrize("n_channels", [3, 5])
@pytest.mark.parametrize("seed", [10, 11])
def test_pictures_and_gradients_follow_the_contract(
    rasterizer: ModuleType, seed: int, n_channels: int
) -> None:
    """Images agree with the reference within 1e-4, gradients within 1e-3 of their norm."""
    gaussians = make_gaussians(seed, n_channels=n_channels)
    background = make_background(seed, n_channels, is_image=True)

    actual = draw(rasterizer, torch.float32, gaussians, background)
    expected = draw(reference_rasterizer, torch.float64, gaussians, background)

    assert_same(actual, expected, atol=1e-4, rtol_gradient=1e-3)


def test_pictures_have_the_shapes_of_the_contract(rasterizer: ModuleType) -> None:
    """Colours [H, W, C], alpha and depth [H, W], all float32."""
    gaussians = Gaussians(*(t.float() for t in make_gaussians(12)))
    viewmat, intrinsics = make_camera()

    rendered = rasterizer.rasterize(gaussians, viewmat.float(), intrinsics.float(), WIDTH, HEIGHT)

    assert (HEIGHT, WIDTH, 3) == tuple(rendered.colors.shape)
    assert (HEIGHT, WIDTH) == tuple(rendered.alpha.shape) == tuple(rendered.depth.shape)
    assert {torch.float32} == {image.dtype for image in rendered}


def test_equal_input_gives_equal_bytes(rasterizer: ModuleType) -> None:
    """Two runs agree to the last bit, gradients included."""
    gaussians, background = make_gaussians(13), make_background(13, 3, is_image=False)

    first = draw(rasterizer, torch.float32, gaussians, background)
    second = draw(rasterizer, torch.float32, gaussians, background)

    for one, other in zip(
        first.images + first.gradients, second.images + second.gradients, strict=True
    ):
        assert torch.equal(one, other)


def test_lengths_that_disagree_are_refused(rasterizer: ModuleType) -> None:
    """Opacities a row short raise ``bad_gaussians``."""
    gaussians = Gaussians(*(t.float() for t in make_gaussians(14)))

    with pytest.raises(InvalidInput) as refusal:
        rasterizer.rasterize(
            gaussians._replace(opacities=gaussians.opacities[:-1]), *make_camera(), WIDTH, HEIGHT
        )

    assert "bad_gaussians" == refusal.value.code
