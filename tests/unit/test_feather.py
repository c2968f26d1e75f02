"""A picture fades at its own edge."""

import torch

from services.renderer.feather import feather
from shared.rasterizer import Rendered


def make_half() -> Rendered:
    """White on the left, nothing on the right."""
    alpha = torch.zeros(20, 40)
    alpha[:, :20] = 1
    return Rendered(alpha[..., None].repeat(1, 1, 3), alpha, alpha)


def test_it_fades_inwards() -> None:
    """From the inside's full cover to about a half at the edge; nothing outside."""
    faded = feather(make_half(), 9.0).alpha[10]

    torch.testing.assert_close(torch.ones(16), faded[:16])
    assert 0.5 < faded[19] < 0.7
    assert bool((faded[15:19] > faded[16:20]).all())
    assert torch.equal(torch.zeros(20), faded[20:])


def test_colours_fade_with_it() -> None:
    """They are over black, so both take the same share."""
    faded = feather(make_half(), 9.0)

    torch.testing.assert_close(faded.alpha[..., None].expand(-1, -1, 3), faded.colors)


def test_no_width_changes_nothing() -> None:
    """Off is off."""
    half = make_half()

    assert half is feather(half, 0.0)
