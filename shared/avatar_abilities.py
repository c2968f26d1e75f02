"""What an avatar's model may be able to do besides the contract; trainer and renderer ask.

A method offers an ability by having its function; one without it needs to know nothing of it.
"""

from typing import Protocol, runtime_checkable

from torch import Tensor

from shared.progress import Progress, silent


@runtime_checkable
class Sparing(Protocol):
    """A model of which certain Gaussians must stay, whatever they show."""

    def spare(self, doomed: Tensor) -> Tensor:
        """Which of the Gaussians that are about to be removed must stay. [N] bool -> [N] bool"""
        ...


@runtime_checkable
class Scheduled(Protocol):
    """A model that changes by itself in the course of a training."""

    def begin_step(self, step: int, n_steps: int, progress: Progress = silent) -> tuple[str, ...]:
        """Told before each step; a function of arguments and tensors alone, so a resume is equal.

        Args:
            step: Which step follows.
            n_steps: Of the training.
            progress: Told on the way by what takes longer than a step.

        Returns:
            Names of parameters that it has set anew, whose optimizer state must be forgotten.
        """
        ...


@runtime_checkable
class ViewDependent(Protocol):
    """A model whose colours depend on where the camera is."""

    def seen_from(self, condition: Tensor, viewmat: Tensor) -> Tensor:
        """The condition of a frame that another camera than the subject's sees. [C] -> [C]"""
        ...


@runtime_checkable
class Feathered(Protocol):
    """A model whose picture fades at its own edge instead of ending there."""

    edge_px: int
    """Width of the fading, of the crop's pixels; 0 is none."""
