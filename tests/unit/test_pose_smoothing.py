"""Smoothing over time."""

import numpy as np

from services.preprocess.pose_smoothing import smooth_informed, smooth_parts, smooth_series


def test_straight_motion_is_kept() -> None:
    """A ramp has no second difference, so nothing is taken from it."""
    ramp = np.linspace(0, 1, 20)[:, None]

    assert np.allclose(ramp, smooth_series(ramp, np.ones(20), 10.0), atol=1e-9)


def test_waves_lose_what_the_docstring_says() -> None:
    """At stiffness one, a period of six frames is about halved."""
    time = np.arange(240)
    wave = np.sin(2 * np.pi * time / 6)[:, None]

    smooth = smooth_series(wave, np.ones(240), 1.0)

    assert 0.4 < np.abs(smooth[60:180]).max() < 0.6


def test_gaps_are_bridged() -> None:
    """A frame without trust takes the straight way between its neighbours."""
    values = np.linspace(0, 1, 11)[:, None].copy()
    trust = np.ones(11)
    values[5], trust[5] = 99.0, 0.0

    assert np.allclose(np.linspace(0, 1, 11), smooth_series(values, trust, 1e-6)[:, 0], atol=1e-3)


def test_nothing_crosses_the_split() -> None:
    """Changing the held-out part leaves the training part bit for bit."""
    values = np.random.default_rng(0).normal(size=(30, 2))
    other = values.copy()
    other[20:] += 5

    first = smooth_parts(values, np.ones(30), 2.0, 20)
    second = smooth_parts(other, np.ones(30), 2.0, 20)

    assert np.array_equal(first[:20], second[:20])


def test_known_direction_is_kept_and_unknown_one_is_smoothed() -> None:
    """With information along x only, x stays as measured and y loses its noise."""
    values = np.random.default_rng(1).normal(size=(60, 2))
    information = np.zeros((60, 2, 2))
    information[:, 0, 0] = 1e6
    information[:, 1, 1] = 1e-2

    smooth = smooth_informed(values, information, np.array([0.1, 0.1]))

    assert np.allclose(values[:, 0], smooth[:, 0], atol=5e-3)
    assert smooth[:, 1].std() < 0.3 * values[:, 1].std()


def test_coupled_information_moves_both_directions() -> None:
    """Where only a sum is known, the sum is kept though its terms are smoothed."""
    values = np.random.default_rng(2).normal(size=(40, 2))
    information = np.tile(1e6 * np.ones((2, 2)), (40, 1, 1))

    smooth = smooth_informed(values, information, np.array([0.1, 0.1]))

    assert np.allclose(values.sum(1), smooth.sum(1), atol=5e-3)
