"""How a stage reports how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Called with the share of the stage that is done, 0 to 1, and what is being done."""

    def __call__(self, fraction: float, message: str) -> None:
        """Report."""


def silent(fraction: float, message: str) -> None:
    """Report to nobody."""


def part_of(progress: Progress, start: float, end: float) -> Progress:
    """Map a step's own 0..1 onto ``start``..``end`` of the whole stage."""

    def report(fraction: float, message: str) -> None:
        progress(start + (end - start) * fraction, message)

    return report
