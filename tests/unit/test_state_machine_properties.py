"""Whatever order, repetition and loss the broker has in store, a job stays sound and ends."""

from datetime import datetime

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from api.jobs.job import OPEN_STAGE, TERMINAL_STAGE, Job, JobStatus, StageStatus
from api.jobs.signals import (
    AttemptSignal,
    CancelRequested,
    DeadlinePassed,
    Dispatch,
    JobSignal,
    LeaseExpired,
    RetryRequested,
    StallNoticed,
    WorkerEvent,
    WorkersGone,
)
from api.jobs.state_machine import advance
from shared.contracts.command import RunStage
from tests.job_worlds import (
    START,
    canceled,
    failed,
    make_job,
    progress,
    seconds,
    started,
    succeeded,
)

STAGES = st.sampled_from(["a", "b", "c", "d"])
WORKERS = st.sampled_from(["w1", "w2"])
_SIGNALS = (LeaseExpired, DeadlinePassed, StallNoticed, WorkersGone)


class EveryBroker(RuleBasedStateMachine):
    """Commands sent so far may be run by any worker, at any time, any number of times."""

    def __init__(self) -> None:
        super().__init__()
        self.job: Job = make_job()
        self.now: datetime = START
        self.sent: list[RunStage] = []
        self.heard: list[WorkerEvent] = []
        self.accepted: dict[str, int] = {}
        self.dead: set[tuple[str, int]] = set()

    def _apply(self, event: WorkerEvent | JobSignal) -> None:
        before = self.job
        result = advance(before, event, self.now)
        self.job = result.job
        if result.job is before or result.job == before:
            assert result.commands == ()
        else:
            twice = advance(result.job, event, self.now)
            assert twice.job is result.job
            assert twice.commands == ()
        self.sent += [each for each in result.commands if isinstance(each, RunStage)]
        self._check_terminal_stays(before, event)
        self._check_the_dead_are_silent(before, event)
        self._count_accepted(before)

    def _check_terminal_stays(self, before: Job, event: WorkerEvent | JobSignal) -> None:
        if before.is_terminal and not isinstance(event, RetryRequested):
            assert self.job is before
        if before.status in {JobStatus.succeeded, JobStatus.canceled}:
            assert self.job is before

    def _check_the_dead_are_silent(self, before: Job, event: WorkerEvent | JobSignal) -> None:
        if isinstance(event, WorkerEvent) and (event.stage, event.attempt) in self.dead:
            assert self.job is before
        for old, new in zip(before.stages, self.job.stages, strict=True):
            if old.status in OPEN_STAGE and new.status not in OPEN_STAGE:
                self.dead.add((old.name, old.attempt))

    def _count_accepted(self, before: Job) -> None:
        for old, new in zip(before.stages, self.job.stages, strict=True):
            assert new.attempt in {old.attempt, old.attempt + 1}
            if old.output is not None:
                assert old.output == new.output
            elif new.output is not None:
                assert new.name not in self.accepted
                self.accepted[new.name] = new.attempt

    @rule(by=st.sampled_from([0.1, 5.0, 25.0, 70.0, 4000.0]))
    def time_passes(self, by: float) -> None:
        """Leases, back-offs and deadlines run out."""
        self.now += seconds(by)

    @rule(stage=STAGES)
    def dispatch(self, stage: str) -> None:
        """The dispatcher tries any stage."""
        self._apply(Dispatch(stage))

    @precondition(lambda self: self.sent)
    @rule(
        data=st.data(),
        worker=WORKERS,
        sequence=st.integers(0, 5),
        what=st.sampled_from(["start", "beat", "done", "again", "wrong", "stopped"]),
    )
    def worker_reports(self, data: st.DataObject, worker: str, sequence: int, what: str) -> None:
        """Any worker reports anything about any command that was ever sent."""
        command = data.draw(st.sampled_from(self.sent))
        stage, about = command.stage, {"attempt": command.attempt, "worker": worker}
        event: WorkerEvent
        if what == "start":
            event = started(self.job, stage, **about, sequence=sequence)  # type: ignore[arg-type]
        elif what == "beat":
            event = progress(self.job, stage, sequence / 5, **about, sequence=sequence)  # type: ignore[arg-type]
        elif what == "done":
            event = succeeded(self.job, stage, **about)  # type: ignore[arg-type]
        elif what == "stopped":
            event = canceled(self.job, stage, **about)  # type: ignore[arg-type]
        else:
            event = failed(self.job, stage, is_retryable=what == "again", **about)  # type: ignore[arg-type]
        self.heard.append(event)
        self._apply(event)

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def event_comes_again(self, data: st.DataObject) -> None:
        """The broker repeats any event it ever had."""
        self._apply(data.draw(st.sampled_from(self.heard)))

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), kind=st.sampled_from(_SIGNALS))
    def reaper_looks(self, data: st.DataObject, kind: type[AttemptSignal]) -> None:
        """The reaper, or a restart, asks about any attempt, dead or alive."""
        command = data.draw(st.sampled_from(self.sent))
        self._apply(kind(command.stage, command.attempt))

    @rule()
    def tenant_retries(self) -> None:
        """Allowed after a failure only."""
        self._apply(RetryRequested())

    @precondition(lambda self: len(self.heard) > 10)
    @rule()
    def tenant_cancels(self) -> None:
        """At any moment."""
        self._apply(CancelRequested())

    @invariant()
    def something_comes_next(self) -> None:
        """A job that has not ended has a ready stage or an attempt with a lease."""
        if self.job.is_terminal:
            assert all(stage.status in TERMINAL_STAGE for stage in self.job.stages)
            return
        has_next = any(
            stage.status is StageStatus.ready
            or (stage.status in OPEN_STAGE and stage.lease_until is not None)
            for stage in self.job.stages
        )
        assert has_next

    @invariant()
    def states_agree(self) -> None:
        """Stages wait for what they need, and the job's word follows from its stages."""
        done = {each.name for each in self.job.stages if each.status is StageStatus.succeeded}
        for stage in self.job.stages:
            assert stage.n_spent <= stage.spec.max_attempts
            assert (stage.output is not None) == (stage.status is StageStatus.succeeded)
            if stage.status in OPEN_STAGE | {StageStatus.ready, StageStatus.succeeded}:
                assert done >= set(stage.spec.needs)
        assert (self.job.status is JobStatus.succeeded) == (len(done) == len(self.job.stages))
        assert (self.job.status is JobStatus.failed) == (self.job.failure is not None)

    def teardown(self) -> None:
        """An honest worker and a reaper always bring the job to an end."""
        for _ in range(100):
            if self.job.is_terminal:
                return
            self.now += seconds(400)
            for stage in self.job.stages:
                if stage.status in OPEN_STAGE:
                    self._apply(LeaseExpired(stage.name, stage.attempt))
            for stage in self.job.stages:
                self._apply(Dispatch(stage.name))
            for stage in self.job.stages:
                if stage.attempt:
                    self._apply(succeeded(self.job, stage.name))
        raise AssertionError("the job never ends")


TestEveryBroker = EveryBroker.TestCase
TestEveryBroker.settings = settings(
    max_examples=150,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
