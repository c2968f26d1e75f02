"""Sends what transactions have left in the outbox, in order, and forgets it once it has arrived.

A crash between the broker's confirmation and the commit sends a command twice; a command is known
by its job, stage and attempt, so the second copy changes nothing.
"""

from typing import Literal, Protocol

from sqlalchemy.engine import Engine

from api.db import outbox
from api.db.session import engine_work
from shared.contracts.command import CancelStage, RunStage

_AT_ONCE = 20
"""Letters of one transaction: few, so that a crash repeats few."""


class Publisher(Protocol):
    """Returns when the broker has a command for good; raises ``Unavailable`` else."""

    def run_stage(self, command: RunStage, queue_class: Literal["interactive", "batch"]) -> None:
        """Put a command into the queue of its service."""

    def cancel_stage(self, command: CancelStage) -> None:
        """Tell every running worker."""


def send_letters(database: Engine, publisher: Publisher) -> int:
    """Send what waits, up to some twenty letters; returns how many were sent.

    Raises:
        Unavailable: database or broker do not answer; what was not confirmed is sent again.
    """
    with engine_work(database, is_read_only=True) as work:
        if outbox.oldest_letter(work) is None:
            return 0
    with engine_work(database) as work:
        letters = outbox.take_letters(work, _AT_ONCE)
        for letter in letters:
            if isinstance(letter.command, CancelStage):
                publisher.cancel_stage(letter.command)
            else:
                publisher.run_stage(letter.command, letter.queue_class.value)
        outbox.forget_letters(work, [letter.letter_id for letter in letters])
    return len(letters)
