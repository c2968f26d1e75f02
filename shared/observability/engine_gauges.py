"""Gauges of what the database says: demand, workers, backlogs; one reading is shown whole."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class StageLoad(NamedTuple):
    """Demand for one stage in one queue class."""

    queued: int
    """Ready to be sent."""
    running: int
    """Attempts under way: sent, running or being canceled."""
    oldest_queued_seconds: float
    """How long the oldest of the queued waits."""
    longest_still_seconds: float = 0.0
    """How long the attempt that has not got on for longest stands still."""


class ServiceLoad(NamedTuple):
    """Workers of one service that were heard of lately."""

    workers: int
    slots: int
    busy: int


class Heartbeat(NamedTuple):
    """How the tiny jobs do that run through everything (``api/jobs/heartbeat.py``)."""

    succeeded_at: float | None
    """Seconds since 1970; None before the first success."""
    seconds: float
    """How long that one took, from being submitted to its end."""
    open_seconds: float
    """Age of the one under way; 0 where there is none."""


class EngineState(NamedTuple):
    """What the database says about now; read by ``api/db/engine_state.py``."""

    read_at: float
    """Seconds since 1970."""
    stages: Mapping[tuple[str, str], StageLoad]
    """By (stage, queue class)."""
    services: Mapping[str, ServiceLoad]
    outbox_unsent: int
    outbox_oldest_seconds: float
    webhooks_due: int
    """Deliveries whose time has come."""
    webhooks_overdue_seconds: float
    """How late the oldest of them is."""
    demand: Mapping[str, int]
    """Queued and running stages by service; every service is named."""
    heartbeat: Heartbeat | None = None
    """None where no gateway sends any."""


class EngineStateCollector(Collector):
    """Shows one reading whole: a scrape never sees half of one, nor a stage that is gone."""

    state: EngineState | None = None

    def describe(self) -> Iterable[Metric]:
        """Every family, empty."""
        return _families(None)

    def collect(self) -> Iterable[Metric]:
        """Every family, with the newest reading."""
        return _families(self.state)


def _families(state: EngineState | None) -> list[Metric]:
    stages, services = ("stage", "queue_class"), ("service",)
    queued = GaugeMetricFamily("talksplat_stages_queued", "Stages ready to be sent.", labels=stages)
    running = GaugeMetricFamily("talksplat_stages_running", "Attempts under way.", labels=stages)
    oldest = GaugeMetricFamily(
        "talksplat_stage_oldest_queued_seconds", "Longest wait of those ready.", labels=stages
    )
    still = GaugeMetricFamily(
        "talksplat_stage_longest_still_seconds", "Longest time without progress.", labels=stages
    )
    workers = GaugeMetricFamily("talksplat_workers", "Workers heard of lately.", labels=services)
    slots = GaugeMetricFamily("talksplat_worker_slots", "What they can run.", labels=services)
    busy = GaugeMetricFamily("talksplat_worker_slots_busy", "What they run.", labels=services)
    demand = GaugeMetricFamily(
        "talksplat_demand", "Stages ready or under way: what autoscaling reads.", labels=services
    )
    families: list[Metric] = [queued, running, oldest, still, workers, slots, busy, demand]
    if state is not None:
        for (stage, queue_class), load in sorted(state.stages.items()):
            queued.add_metric([stage, queue_class], load.queued)
            running.add_metric([stage, queue_class], load.running)
            oldest.add_metric([stage, queue_class], load.oldest_queued_seconds)
            still.add_metric([stage, queue_class], load.longest_still_seconds)
        for service, service_load in sorted(state.services.items()):
            workers.add_metric([service], service_load.workers)
            slots.add_metric([service], service_load.slots)
            busy.add_metric([service], service_load.busy)
        for service, n in sorted(state.demand.items()):
            demand.add_metric([service], n)
    for name, text, value in (
        ("outbox_unsent", "Messages not yet confirmed by the broker.", "outbox_unsent"),
        ("outbox_oldest_age_seconds", "Age of the oldest of them.", "outbox_oldest_seconds"),
        ("webhook_deliveries_due", "Deliveries whose time has come.", "webhooks_due"),
        ("webhook_oldest_due_seconds", "How late the oldest is.", "webhooks_overdue_seconds"),
        ("engine_state_timestamp_seconds", "When the database was read.", "read_at"),
    ):
        family = GaugeMetricFamily(f"talksplat_{name}", text)
        if state is not None:
            family.add_metric([], getattr(state, value))
        families.append(family)
    return families + _heartbeat(state.heartbeat if state else None)


def _heartbeat(heartbeat: Heartbeat | None) -> list[Metric]:
    success = GaugeMetricFamily(
        "talksplat_heartbeat_last_success_timestamp_seconds", "When a heartbeat last succeeded."
    )
    took = GaugeMetricFamily("talksplat_heartbeat_duration_seconds", "How long that one took.")
    is_open = GaugeMetricFamily("talksplat_heartbeat_open_seconds", "Age of the one under way.")
    if heartbeat is not None:
        is_open.add_metric([], heartbeat.open_seconds)
        if heartbeat.succeeded_at is not None:
            success.add_metric([], heartbeat.succeeded_at)
            took.add_metric([], heartbeat.seconds)
    return [success, took, is_open]
