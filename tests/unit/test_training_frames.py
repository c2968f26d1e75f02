"""Which frames are trained on, and what is known of them."""

from itertools import islice, repeat

import numpy as np
import torch

from services.trainer.densification import Change, in_layers
from services.trainer.frames import (
    INSIDE,
    MOUTH,
    PERSON,
    frames_within,
    windowed_order,
    with_planes,
)
from services.trainer.losses import lip_square
from shared.training_schedule import FrameWindow

SIGNAL = np.linspace(0, 1, 11, dtype=np.float32)


def test_a_window_slides_from_the_lowest_to_the_highest_value() -> None:
    """At the start the smallest values are in it, at the end the largest."""
    assert [0, 1, 2] == frames_within(SIGNAL, 0.0, 0.2).tolist()
    assert [4, 5, 6] == frames_within(SIGNAL, 0.5, 0.2).tolist()
    assert [8, 9, 10] == frames_within(SIGNAL, 1.0, 0.2).tolist()


def test_an_empty_window_takes_the_nearest_frame() -> None:
    """A signal may have a gap."""
    gap = np.array([0.0, 0.1, 0.9, 1.0], np.float32)

    assert [1] == frames_within(gap, 0.4, 0.1).tolist()


def test_every_so_many_frames_come_from_the_window() -> None:
    """The others come as they would, and a resumed training draws the same."""
    window = FrameWindow("lip_opening", every=5, start=0.2, end=0.8, width=0.2)
    pool = (list(range(11)), 100, 3)

    def order(first: int) -> list[int]:
        drawn = windowed_order(repeat(-1), (window,), {"lip_opening": SIGNAL}, pool, first)
        return list(islice(drawn, 100 - first))

    whole = order(0)

    assert list(range(20, 80, 5)) == [step for step, frame in enumerate(whole) if frame >= 0]
    assert {0, 1, 2} >= {whole[20]}
    assert {8, 9, 10} >= {whole[75]}
    assert whole[33:] == order(33)


def test_flags_become_planes() -> None:
    """Inside, person and mouth are read from one byte."""
    image = np.zeros((1, 4, 4), np.uint8)
    image[0, :, :3] = 255
    image[0, :, 3] = [0, 1, 3, 6]

    planes = with_planes(image)[0]

    assert torch.equal(planes[:, :3], torch.ones(4, 3))
    assert [0, 1, 1, 0] == planes[:, INSIDE].tolist()
    assert [0, 0, 1, 1] == planes[:, PERSON].tolist()
    assert [0, 0, 0, 1] == planes[:, MOUTH].tolist()


def test_gaussians_stay_in_the_order_of_their_layers() -> None:
    """Copies are put behind their own layer's, not behind all."""
    sources = torch.tensor([0, 1, 2, 3, 4, 1, 3])
    is_new = torch.tensor([False] * 5 + [True] * 2)
    change = Change(sources, is_new, is_new)

    sorted_change = in_layers(change, [2, 3])

    assert [0, 1, 1, 2, 3, 4, 3] == sorted_change.sources.tolist()
    assert [0, 0, 1, 0, 0, 0, 1] == sorted_change.is_new.int().tolist()


def test_one_layer_is_left_in_its_order() -> None:
    """To the last row."""
    sources = torch.tensor([0, 2, 5, 2])
    flags = torch.tensor([False, False, False, True])

    assert sources.tolist() == in_layers(Change(sources, flags, flags), [6]).sources.tolist()


def test_the_lips_lie_in_their_square() -> None:
    """Shrunken with the picture, and never beyond it."""
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[:, :2] = 30 + 10 * np.random.default_rng(0).uniform(size=(478, 2))

    square, small = (lip_square(landmarks, 64, shrink) for shrink in (1, 2))

    assert 10 < square.side < 16
    assert 24 < square.left < 32
    assert abs(square.left / 2 - small.left) <= 1
    assert small.left + small.side <= 32
