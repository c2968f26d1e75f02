"""What the engine tells a job besides workers' events, and what a job then wants done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.contracts.command import CancelStage, RunStage
from shared.contracts.event import (
    StageCanceled,
    StageFailed,
    StageProgress,
    StageStarted,
    StageSucceeded,
)


@dataclass(frozen=True)
class Dispatch:
    """It is this ready stage's turn."""

    stage: str


@dataclass(frozen=True)
class LeaseExpired:
    """Nothing was heard of the attempt in time."""

    stage: str
    attempt: int


@dataclass(frozen=True)
class DeadlinePassed:
    """The attempt has run for too long."""

    stage: str
    attempt: int


@dataclass(frozen=True)
class WorkersGone:
    """Whoever had it is gone: the one-process platform knows it, an operator may say so."""

    stage: str
    attempt: int
    code: str = "platform_restarted"
    """For the job's log."""


@dataclass(frozen=True)
class StallNoticed:
    """The attempt lives, but has not got on for a while."""

    stage: str
    attempt: int


@dataclass(frozen=True)
class CancelRequested:
    """The tenant, or a deletion, wants it stopped."""


@dataclass(frozen=True)
class RetryRequested:
    """The tenant wants a failed job to go on."""


WorkerEvent = StageStarted | StageProgress | StageSucceeded | StageFailed | StageCanceled
AttemptSignal = LeaseExpired | DeadlinePassed | StallNoticed | WorkersGone
JobSignal = Dispatch | AttemptSignal | CancelRequested | RetryRequested


@dataclass(frozen=True)
class Announce:
    """Write a line into the job's log, which streams and webhooks read."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RemoveFolder:
    """Remove everything below ``prefix``, once ``delay_seconds`` have passed."""

    prefix: str
    delay_seconds: float = 0.0


JobCommand = RunStage | CancelStage | Announce | RemoveFolder
