"""Adam over a method's parameters, with Gaussians added and removed on the way."""

from operator import attrgetter

import torch
from torch import Tensor

from shared.avatar_method import TrainableModel

FINAL_RATE = 0.05
"""Learning rates fall exponentially to this share."""


class Adam:
    """Adam whose state can follow Gaussians as they are copied and dropped."""

    def __init__(self, model: TrainableModel) -> None:
        self._rates = model.learning_rates()
        self._model = model
        self._optimizer = self._make()

    def step(self, loss: Tensor, done: float) -> None:
        """One update at ``done`` (0..1) of the training."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._rates[group["name"]] * FINAL_RATE**done
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()

    def select(self, sources: Tensor, is_new: Tensor) -> None:
        """Replace each per-Gaussian tensor by its rows ``sources``; new ones start without state.

        Args:
            sources: For each Gaussian afterwards, the one it comes from. [M]
            is_new: Whether it is a copy. [M]
        """
        states = self.tensors()
        tensors = self._model.tensors()
        for name, dim in self._model.per_gaussian().items():
            chosen = tensors[name].index_select(dim, sources)
            parameter = getattr(self._model, name)
            if isinstance(parameter, torch.nn.Parameter):
                setattr(self._model, name, torch.nn.Parameter(chosen))
            else:
                setattr(self._model, name, chosen)
            for key in (f"{name}.exp_avg", f"{name}.exp_avg_sq"):
                if key in states:
                    state = states[key].index_select(dim, sources)
                    shape = [1] * state.ndim
                    shape[dim] = -1
                    states[key] = torch.where(is_new.view(shape), torch.zeros(()), state)
        self._optimizer = self._make()
        self.restore(states)

    def forget(self, names: tuple[str, ...]) -> None:
        """Drop the state of parameters that were set anew by other hands."""
        for group in self._optimizer.param_groups:
            if group["name"] in names:
                self._optimizer.state.pop(group["params"][0], None)

    def tensors(self) -> dict[str, Tensor]:
        """Adam's state by parameter name, for a checkpoint."""
        found: dict[str, Tensor] = {}
        for group in self._optimizer.param_groups:
            for key, value in self._optimizer.state[group["params"][0]].items():
                found[f"{group['name']}.{key}"] = value
        return found

    def restore(self, states: dict[str, Tensor]) -> None:
        """Continue from what ``tensors`` gave."""
        for group in self._optimizer.param_groups:
            prefix = f"{group['name']}."
            self._optimizer.state[group["params"][0]] = {
                key.removeprefix(prefix): value.clone()
                for key, value in states.items()
                if key.startswith(prefix)
            }

    def _make(self) -> torch.optim.Adam:
        groups = [
            {"params": [attrgetter(name)(self._model)], "lr": rate, "name": name}
            for name, rate in self._rates.items()
        ]
        return torch.optim.Adam(groups, eps=1e-15, fused=True)
