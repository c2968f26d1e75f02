"""Adam whose state follows Gaussians."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from services.trainer.optimizer import FINAL_RATE, Adam
from shared.avatar_method import Performance
from shared.layers import Layers

RATES = {"places": 1e-2, "moves": 1e-3, "shift": 1e-1}


class TinyMethod(nn.Module):
    """Two tensors that count Gaussians, one that does not, and a fixed array."""

    places: Tensor  # [N, 2]
    moves: Tensor  # [3, N]
    shift: Tensor  # [2]
    binding: Tensor  # [N]

    def __init__(self, n: int = 4) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.arange(2.0 * n).view(n, 2))
        self.moves = nn.Parameter(torch.ones(3, n))
        self.shift = nn.Parameter(torch.zeros(2))
        self.register_buffer("binding", torch.arange(n))

    def loss(self) -> Tensor:
        """Pulls each parameter with a force of its own."""
        spread = torch.arange(self.moves.shape[1]) + 1.0
        pulled = (self.places - self.shift).square().sum() + (self.moves * spread).square().sum()
        return pulled + self.shift.sum()

    def learning_rates(self) -> dict[str, float]:
        """Of the parameters."""
        return RATES

    def per_gaussian(self) -> dict[str, int]:
        """The dimension that counts Gaussians."""
        return {"places": 0, "moves": 1, "binding": 0}

    def tensors(self) -> dict[str, Tensor]:
        """All of it."""
        return {name: getattr(self, name).detach() for name in (*RATES, "binding")}

    def condition(self, performance: Performance) -> Tensor:
        """Not posed here."""
        raise NotImplementedError

    def pose(self, condition: Tensor) -> Layers:
        """Not posed here."""
        raise NotImplementedError

    def regions(self) -> None:
        """Of no region."""

    def training_condition(self, frame: int) -> Tensor:
        """Not posed here."""
        raise NotImplementedError

    def regularisation(self, frame: int) -> Tensor:
        """Not posed here."""
        raise NotImplementedError

    def advance(self, done: float) -> None:
        """One stage."""

    def placements(self) -> list[Tensor]:
        """Nothing is placed."""
        return []

    def split(self, shrinks: Tensor, is_new: Tensor, noise: Tensor) -> None:
        """Not posed here."""

    def settle(self) -> None:
        """Nothing is derived."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:  # noqa: FBT001, FBT002 - torch's
        """``nn.Module``'s."""
        return super().parameters(recurse)


def train(model: TinyMethod, optimizer: Adam, n_steps: int) -> None:
    """Some steps in the middle of a training."""
    for step in range(n_steps):
        optimizer.step(model.loss(), 0.1 * step)


def test_state_follows_gaussians() -> None:
    """Rows move with their Gaussians along the right dimension; copies start without state."""
    model = TinyMethod()
    optimizer = Adam(model)
    train(model, optimizer, 3)
    before, tensors = optimizer.tensors(), {k: v.clone() for k, v in model.tensors().items()}
    sources, is_new = torch.tensor([3, 0, 2, 0]), torch.tensor([False, False, False, True])

    optimizer.select(sources, is_new)

    after = optimizer.tensors()
    assert [3, 0, 2, 0] == model.binding.tolist()
    assert torch.equal(tensors["moves"][:, sources], model.moves)
    for key in ("exp_avg", "exp_avg_sq"):
        kept = before[f"places.{key}"][sources[:3]]
        assert torch.equal(torch.cat([kept, torch.zeros(1, 2)]), after[f"places.{key}"])
        kept = before[f"moves.{key}"][:, sources[:3]]
        assert torch.equal(torch.cat([kept, torch.zeros(3, 1)], 1), after[f"moves.{key}"])
        assert torch.equal(before[f"shift.{key}"], after[f"shift.{key}"])
    assert torch.equal(before["places.step"], after["places.step"])


def test_selected_gaussians_are_trained_on() -> None:
    """The optimizer moves the new tensors, not the ones before."""
    model = TinyMethod()
    optimizer = Adam(model)
    train(model, optimizer, 2)
    optimizer.select(torch.tensor([0, 1, 2, 3, 1]), torch.tensor([False] * 4 + [True]))
    before = model.places.detach().clone()

    train(model, optimizer, 1)

    assert (5, 2) == tuple(model.places.shape)
    assert bool((model.places != before).any(1).all())


def test_selection_before_the_first_step_is_possible() -> None:
    """There is no state yet to follow."""
    model = TinyMethod()
    optimizer = Adam(model)

    optimizer.select(torch.tensor([2, 1]), torch.tensor([False, True]))
    train(model, optimizer, 1)

    assert [2, 1] == model.binding.tolist()


def test_restored_state_gives_equal_steps() -> None:
    """A training that was stored and one that was not end in the same bits."""
    straight, stopped = TinyMethod(), TinyMethod()
    optimizer = Adam(straight)
    train(straight, optimizer, 6)
    first = Adam(stopped)
    train(stopped, first, 3)

    resumed = Adam(stopped)
    resumed.restore(first.tensors())
    for step in range(3, 6):
        resumed.step(stopped.loss(), 0.1 * step)

    for name, expected in straight.tensors().items():
        assert torch.equal(expected, stopped.tensors()[name])
    for name, expected in optimizer.tensors().items():
        assert torch.equal(expected, resumed.tensors()[name])


@pytest.mark.parametrize(("done", "share"), [(0.0, 1.0), (0.5, FINAL_RATE**0.5), (1.0, FINAL_RATE)])
def test_learning_rates_fall_exponentially(done: float, share: float) -> None:
    """Adam's first step is as long as its learning rate."""
    model = TinyMethod()

    Adam(model).step(model.loss(), done)

    assert RATES["moves"] * share == pytest.approx(1 - model.moves[0, 0].item(), rel=1e-3)


def test_a_parameter_set_anew_starts_without_state() -> None:
    """What was learned of its gradients before belongs to other values."""
    model = TinyMethod()
    optimizer = Adam(model)
    train(model, optimizer, 3)

    optimizer.forget(("places",))

    assert not [key for key in optimizer.tensors() if key.startswith("places.")]
    assert [key for key in optimizer.tensors() if key.startswith("moves.")]
    train(model, optimizer, 1)
    assert 1.0 == float(optimizer.tensors()["places.step"])
