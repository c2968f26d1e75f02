"""The render's way back into the frame."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.renderer.compositing import Window, border_weights, paint, place_window
from shared.errors import InvalidInput

K = torch.tensor([[100.0, 0, 32], [0, 100, 32], [0, 0, 1]])


def test_crop_that_is_the_frame_changes_nothing() -> None:
    """The drawn square is the frame, with the crop's own camera."""
    window = place_window((0.0, 0.0, 64.0), K, 64, 1.0)

    assert (0, 0, 64, 64) == window[:4]
    torch.testing.assert_close(window.K, K)
    np.testing.assert_array_equal(border_weights(window, 64, 64), 1)


@pytest.mark.parametrize("crop", [(10.0, 20.0, 64.0), (10.3, 20.7, 64.0), (5.25, 7.5, 100.0)])
@pytest.mark.parametrize("scale", [1.0, 0.5, 1.7])
def test_a_point_lands_where_the_crop_puts_it(
    crop: tuple[float, float, float], scale: float
) -> None:
    """Through the new camera and the window, a point is where the crop transform says."""
    window = place_window(crop, K, 64, scale)
    point = torch.tensor([0.1, -0.05, 1.0])

    in_crop = (K @ point)[:2].numpy()
    expected = scale * (np.array(crop[:2]) + in_crop * crop[2] / 64)
    drawn = (window.K @ point)[:2].numpy()
    found = np.array([window.left, window.top]) + drawn * window.side / window.render_side
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_square_is_drawn_at_its_trained_size_and_resampled() -> None:
    """A crop of twice its trained size is drawn at the trained size."""
    window = place_window((0.0, 0.0, 128.0), K, 64, 1.0)

    assert 128 == window.side
    assert 64 == window.render_side


def test_border_is_soft_only_inside_the_frame() -> None:
    """A crop at the left border fades on its other three sides."""
    window = Window(0, 10, 100, 100, K)

    weights = border_weights(window, 200, 200)

    assert 1.0 == pytest.approx(weights[50, 0])
    assert weights[50, 99] < 0.1
    assert weights[0, 50] < 0.1
    assert weights[99, 50] < 0.1
    assert 1.0 == pytest.approx(weights[50, 50])


def painted(n_channels: int, alpha: float, window: Window) -> NDArray[np.uint8]:
    """A red render over a gray 8x8 plate."""
    frame = np.full((8, 8, n_channels), 100, np.uint8)
    plate = np.full((8, 8, 3), 100, np.uint8) if n_channels == 3 else None
    if plate is None:
        frame[:] = 0
    side = window.render_side
    colors = torch.zeros(side, side, 3)
    colors[..., 0] = alpha  # premultiplied red
    weights = np.ones((window.side, window.side), np.float32)
    paint(frame, plate, window, weights, (colors, torch.full((side, side), alpha)))
    return frame


def test_plate_shines_through_where_the_render_is_clear() -> None:
    """Half-clear red over gray 100 is (178, 50, 50)."""
    frame = painted(3, 0.5, Window(0, 0, 8, 8, K))

    assert [178, 50, 50] == frame[4, 4].tolist()


def test_only_the_window_is_painted() -> None:
    """What lies outside of the crop comes from the plate."""
    frame = painted(3, 1.0, Window(2, 3, 4, 4, K))

    assert [255, 0, 0] == frame[3, 2].tolist()
    assert [100, 100, 100] == frame[2, 2].tolist()
    assert [100, 100, 100] == frame[7, 5].tolist()


def test_window_may_reach_over_the_frame() -> None:
    """A crop with a margin beyond the frame is cut."""
    frame = painted(3, 1.0, Window(-4, -4, 16, 16, K))

    np.testing.assert_array_equal(frame, np.broadcast_to([255, 0, 0], (8, 8, 3)))


def test_window_outside_of_the_frame_is_refused() -> None:
    """Nothing could be seen of the avatar."""
    with pytest.raises(InvalidInput) as caught:
        painted(3, 1.0, Window(9, 0, 4, 4, K))
    assert "bad_crop" == caught.value.code


def test_transparent_video_has_straight_alpha() -> None:
    """Colour is not darkened by its own transparency."""
    frame = painted(4, 0.5, Window(0, 0, 8, 8, K))

    assert [255, 0, 0, 128] == frame[4, 4].tolist()


def test_resampled_render_keeps_its_colour() -> None:
    """A small square fills a larger window."""
    frame = painted(3, 1.0, Window(0, 0, 8, 4, K))

    np.testing.assert_array_equal(frame, np.broadcast_to([255, 0, 0], (8, 8, 3)))


def test_colours_beyond_their_range_are_limited() -> None:
    """A learned colour of 1.5 or -0.5 does not wrap around."""
    frame = np.zeros((4, 4, 3), np.uint8)
    colors = torch.tensor([1.5, -0.5, 0.0]).expand(4, 4, 3)
    window = Window(0, 0, 4, 4, K)

    paint(frame, frame.copy(), window, np.ones((4, 4), np.float32), (colors, torch.ones(4, 4)))

    assert [255, 0, 0] == frame[2, 2].tolist()
