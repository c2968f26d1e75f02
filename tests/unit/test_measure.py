"""Events of jobs as the gateway's metrics show them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry

from api.jobs.job import Job
from api.jobs.measure import measure_event
from api.jobs.signals import CancelRequested, Dispatch, LeaseExpired
from api.jobs.state_machine import advance
from shared.observability.gateway_telemetry import GatewayTelemetry
from tests.job_worlds import START, failed, make_job, seconds, started, succeeded


@dataclass
class Watched:
    """A job whose every change is measured."""

    job: Job = field(default_factory=make_job)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self._telemetry = GatewayTelemetry(self.registry)

    def hear(self, event: Any, after: float) -> None:  # noqa: ANN401
        """Apply an event so many seconds after the start."""
        now: datetime = START + seconds(after)
        changed = advance(self.job, event, now).job
        if changed is not self.job:
            self.job = changed
            measure_event(self._telemetry, self.job, event, now)

    def value(self, name: str, **labels: str) -> float | None:
        """Of one series."""
        return self.registry.get_sample_value(f"talksplat_{name}", labels)


def test_a_stage_is_measured_from_queued_to_done() -> None:
    """Wait, duration, last success, frames."""
    watched = Watched()
    watched.hear(Dispatch("a"), 1)
    watched.hear(started(watched.job, "a"), 4)
    watched.hear(started(watched.job, "a"), 4)
    watched.hear(succeeded(watched.job, "a"), 10)
    watched.hear(Dispatch("b"), 12)
    watched.hear(started(watched.job, "b"), 12)

    assert 4.0 == watched.value("stage_wait_seconds_sum", stage="a", queue_class="batch")
    assert 1.0 == watched.value("stage_wait_seconds_count", stage="a", queue_class="batch")
    assert 1.0 == watched.value("stage_duration_seconds_count", stage="a", outcome="succeeded")
    assert (START + seconds(10)).timestamp() == watched.value(
        "stage_last_success_timestamp_seconds", stage="a"
    )
    assert 6.0 == watched.value("stage_wait_seconds_sum", stage="b", queue_class="batch")


def test_failures_retries_and_losses_are_told_apart() -> None:
    """By stage and code."""
    watched = Watched()
    watched.hear(Dispatch("a"), 0)
    watched.hear(started(watched.job, "a"), 1)
    watched.hear(failed(watched.job, "a", is_retryable=True), 2)
    watched.hear(Dispatch("a"), 300)
    watched.hear(started(watched.job, "a"), 301)
    watched.hear(LeaseExpired("a", 2), 1000)

    assert 1.0 == watched.value("stage_retries_total", stage="a")
    assert 1.0 == watched.value("stage_lease_expiries_total", stage="a")
    assert 1.0 == watched.value("stage_failures_total", stage="a", code="worker_lost")
    assert 2.0 == watched.value("stage_duration_seconds_count", stage="a", outcome="failed")
    assert watched.value("jobs_finished_total", kind="create_avatar", status="failed") is None


def test_the_end_of_a_job_is_counted_once() -> None:
    """Repeated and late events change nothing."""
    watched = Watched()
    watched.hear(CancelRequested(), 5)
    watched.hear(CancelRequested(), 6)

    assert 1.0 == watched.value("jobs_finished_total", kind="create_avatar", status="canceled")
