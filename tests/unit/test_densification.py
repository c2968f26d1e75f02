"""Gaussians are added where pictures are wrong and dropped where they show nothing."""

import numpy as np
import torch
from numpy.typing import NDArray

from services.trainer.densification import choose_change

F32 = NDArray[np.float32]
SIZE = 32


def make_places(n: int) -> F32:
    """Places spread over the picture. [n, 2]"""
    return np.random.default_rng(0).uniform(0, SIZE, (n, 2)).astype(np.float32)


def error_at(column: int, row: int) -> F32:
    """A picture that is wrong around one pixel. [SIZE, SIZE]"""
    error = np.zeros((SIZE, SIZE), np.float32)
    error[row - 1 : row + 2, column - 1 : column + 2] = 0.5
    return error


def test_transparent_gaussians_are_dropped() -> None:
    """Those at most two percent opaque show nothing."""
    opacities = torch.tensor([0.9, 0.01, 0.5, 0.019, 0.3])

    change = choose_change([], opacities, 3, np.random.default_rng(0))

    assert [0, 2, 4] == change.sources.tolist()
    assert not bool(change.is_new.any())
    assert not bool(change.shrinks.any())


def test_copies_come_from_where_the_error_is() -> None:
    """All parents are drawn near the wrong pixels, though x and y differ."""
    places = make_places(400)

    change = choose_change(
        [(error_at(24, 7), places)], torch.full((400,), 0.5), 410, np.random.default_rng(0)
    )

    parents = change.sources[change.is_new].numpy()
    assert 0 < len(parents) <= 10
    distance = np.linalg.norm(places[parents] - [24.5, 7.5], axis=1)
    assert distance.max() < 6


def test_places_of_dropped_gaussians_do_not_count() -> None:
    """Parents are Gaussians that remain."""
    places = make_places(200)
    opacities = torch.where(torch.arange(200) % 2 == 0, 0.5, 0.0)

    change = choose_change([(error_at(16, 16), places)], opacities, 120, np.random.default_rng(0))

    assert 0 == int((change.sources % 2).sum())


def test_both_of_a_pair_shrink() -> None:
    """A copy and its parent share what the parent was; all others keep their size."""
    change = choose_change(
        [(np.ones((SIZE, SIZE), np.float32), make_places(100))],
        torch.full((100,), 0.5),
        130,
        np.random.default_rng(0),
    )

    parents = set(change.sources[change.is_new].tolist())
    for source, is_new, shrinks in zip(
        change.sources.tolist(), change.is_new.tolist(), change.shrinks.tolist(), strict=True
    ):
        assert shrinks == (is_new or source in parents)


def test_equal_seed_chooses_the_same() -> None:
    """The places are drawn from the generator that is given."""
    errors = [(error_at(9, 20), make_places(300)), (error_at(20, 9), make_places(300))]

    first, second = (
        choose_change(errors, torch.full((300,), 0.5), 340, np.random.default_rng(5))
        for _ in range(2)
    )

    assert torch.equal(first.sources, second.sources)
    assert len(first.sources) <= 340
