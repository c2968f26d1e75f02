"""Prometheus series: the names and labels that dashboards rely on, and values that stay few."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from shared.observability.engine_gauges import EngineState, Heartbeat, ServiceLoad, StageLoad
from shared.observability.gateway_telemetry import GatewayTelemetry
from shared.observability.labels import MAX_VALUES, OTHER, KnownNames, method_label, status_class
from shared.observability.worker_telemetry import GpuCollector, GpuMemory, WorkerTelemetry

_LABELS = {
    "code",
    "direction",
    "gpu",
    "kind",
    "le",
    "loop",
    "method",
    "outcome",
    "queue_class",
    "reason",
    "route",
    "score",
    "service",
    "sign",
    "stage",
    "status",
    "status_class",
}
"""Every label there may be. A tenant, job, worker or other id is none of them."""
_BASE_UNITS = ("_seconds", "_bytes", "_frames", "_total")


@pytest.fixture
def registry() -> CollectorRegistry:
    """One process that is gateway and worker at once, with something in every series."""
    registry = CollectorRegistry()
    gateway, worker = GatewayTelemetry(registry), WorkerTelemetry(registry)
    registry.register(GpuCollector(lambda: [GpuMemory(0, 5, 10)]))
    gateway.request_started()
    gateway.request_finished(route="/v1/jobs/{job_id}", method="GET", status=200, seconds=0.01)
    gateway.stage_started("train", "batch", 3.0)
    gateway.stage_succeeded("render", seconds=10.0, at=1e9, n_frames=250)
    gateway.stage_failed("preprocess", "no_face", seconds=2.0)
    gateway.stage_canceled("train", seconds=2.0)
    gateway.stage_retried("train")
    gateway.lease_expired("train")
    gateway.job_finished("create_avatar", "failed")
    gateway.video_scored("create_avatar", {"psnr": 30.0, "opening_corr": -0.25})
    gateway.loop_ran("outbox", seconds=0.01, at=1e9)
    gateway.loop_failed("outbox", "database_unavailable")
    gateway.webhook_tried("retry", seconds=1.0)
    gateway.webhook_disabled("gone")
    gateway.set_engine_state(
        EngineState(
            read_at=1e9,
            stages={("train", "batch"): StageLoad(3, 1, 12.5, 40.0)},
            services={"trainer": ServiceLoad(2, 2, 1)},
            outbox_unsent=4,
            outbox_oldest_seconds=0.5,
            webhooks_due=6,
            webhooks_overdue_seconds=7.0,
            demand={"trainer": 4, "renderer": 0},
            heartbeat=Heartbeat(1e9, 4.0, 2.0),
        )
    )
    worker.stage_started("render")
    worker.stage_finished("render", "succeeded", seconds=5.0, at=1e9)
    worker.frames_done("render", 250, seconds=2.5)
    worker.moved("upload", 1_000, seconds=0.1)
    worker.child_killed("canceled")
    worker.set_events_unsent(2)
    return registry


def _families(registry: CollectorRegistry) -> Iterator[Metric]:
    return iter(registry.collect())


def test_only_known_labels_are_used(registry: CollectorRegistry) -> None:
    """No id of a tenant, job, worker or request can be one."""
    used = {label for family in _families(registry) for one in family.samples for label in one[1]}

    assert _LABELS == used


def test_names_have_our_prefix_and_base_units(registry: CollectorRegistry) -> None:
    """Times are seconds, sizes are bytes."""
    for family in _families(registry):
        assert family.name.startswith("talksplat_")
        assert not family.name.endswith(("_ms", "_milliseconds", "_kb", "_mb", "_percent"))
        if family.type == "histogram":
            assert family.name.endswith(_BASE_UNITS)


def test_every_series_explains_itself(registry: CollectorRegistry) -> None:
    """The help text is a sentence."""
    assert [] == [f.name for f in _families(registry) if not f.documentation.endswith(".")]


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        (
            "talksplat_http_requests_total",
            {"route": "/v1/jobs/{job_id}", "method": "GET", "status_class": "2xx"},
            1,
        ),
        ("talksplat_http_requests_in_flight", {}, 0),
        ("talksplat_stages_queued", {"stage": "train", "queue_class": "batch"}, 3),
        ("talksplat_stages_running", {"stage": "train", "queue_class": "batch"}, 1),
        ("talksplat_stage_wait_seconds_sum", {"stage": "train", "queue_class": "batch"}, 3),
        ("talksplat_stage_failures_total", {"stage": "preprocess", "code": "no_face"}, 1),
        ("talksplat_stage_last_success_timestamp_seconds", {"stage": "render"}, 1e9),
        ("talksplat_stage_frames_per_second", {"stage": "render"}, 25),
        (
            "talksplat_stage_longest_still_seconds",
            {"stage": "train", "queue_class": "batch"},
            40,
        ),
        ("talksplat_scores_total", {"kind": "create_avatar", "score": "psnr"}, 1),
        (
            "talksplat_score_points_total",
            {"kind": "create_avatar", "score": "opening_corr", "sign": "negative"},
            0.25,
        ),
        ("talksplat_heartbeat_last_success_timestamp_seconds", {}, 1e9),
        ("talksplat_heartbeat_open_seconds", {}, 2),
        ("talksplat_outbox_oldest_age_seconds", {}, 0.5),
        ("talksplat_webhook_deliveries_due", {}, 6),
        ("talksplat_worker_slots_busy", {"service": "trainer"}, 1),
        ("talksplat_demand", {"service": "trainer"}, 4),
        ("talksplat_demand", {"service": "renderer"}, 0),
        ("talksplat_worker_stages_running", {"stage": "render"}, 0),
        ("talksplat_worker_frames_per_second", {"stage": "render"}, 100),
        ("talksplat_gpu_memory_used_bytes", {"gpu": "0"}, 5),
    ],
)
def test_what_happened_is_shown(
    registry: CollectorRegistry, name: str, labels: dict[str, str], value: float
) -> None:
    """Each under the name that docs/operations.md gives it."""
    assert value == registry.get_sample_value(name, labels)


def test_a_stage_that_is_gone_disappears(registry: CollectorRegistry) -> None:
    """A reading replaces the one before as a whole."""
    telemetry = GatewayTelemetry(registry := CollectorRegistry())
    empty = EngineState(0, {}, {}, 0, 0, 0, 0, {})
    telemetry.set_engine_state(empty._replace(stages={("train", "batch"): StageLoad(1, 0, 1)}))

    telemetry.set_engine_state(empty)

    labels = {"stage": "train", "queue_class": "batch"}
    assert registry.get_sample_value("talksplat_stages_queued", labels) is None


def test_names_from_outside_make_no_more_than_so_many_series() -> None:
    """Whatever workers send as code or stage."""
    registry = CollectorRegistry()
    telemetry = GatewayTelemetry(registry)

    for number in range(10 * MAX_VALUES):
        telemetry.stage_failed(f"stage_{number}", f"code_{number}", seconds=1)
        telemetry.request_finished(
            route=f"/{number}", method=f"M{number}", status=200 + number, seconds=0
        )

    n_series = {
        family.name: len({tuple(one[1].values()) for one in family.samples if "le" not in one[1]})
        for family in registry.collect()
    }
    assert max(n_series.values()) <= (MAX_VALUES + 1) * 6


@pytest.mark.parametrize("name", ["", "Train", "x" * 65, "a b", "tenant/1", "ten\n"])
def test_a_malformed_name_is_other(name: str) -> None:
    """Names of ours are short, lower case and plain."""
    assert OTHER == KnownNames().label(name)


def test_requests_are_told_apart_by_class_and_known_methods() -> None:
    """Anything else is one series."""
    assert ["2xx", "4xx", "other", "other"] == [status_class(s) for s in (204, 499, 99, 600)]
    assert ["GET", "other"] == [method_label(m) for m in ("GET", "get")]
