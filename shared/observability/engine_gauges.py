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


class ServiceLoad(NamedTuple):
    """Workers of one service that were heard of lately."""

    workers: int
    slots: int
    busy: int


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
    workers = GaugeMetricFamily("talksplat_workers", "Workers heard of lately.", labels=services)
    slots = GaugeMetricFamily("talksplat_worker_slots", "What they can run.", labels=services)
    busy = GaugeMetricFamily("talksplat_worker_slots_busy", "What they run.", labels=services)
    demand = GaugeMetricFamily(
        "talksplat_demand", "Stages ready or under way: what autoscaling reads.", labels=services
    )
    families: list[Metric] = [queued, running, oldest, workers, slots, busy, demand]
    if state is not None:
        for (stage, queue_class), load in sorted(state.stages.items()):
            queued.add_metric([stage, queue_class], load.queued)
            running.add_metric([stage, queue_class], load.running)
            oldest.add_metric([stage, queue_class], load.oldest_queued_seconds)
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
    return families
