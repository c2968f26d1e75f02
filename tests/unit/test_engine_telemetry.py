"""The engine's threads as metrics show them."""

import threading

from prometheus_client import CollectorRegistry

from api.jobs.engine import Engine, Round
from shared.errors import Unavailable
from shared.observability.gateway_telemetry import GatewayTelemetry


def test_rounds_are_counted_with_what_stopped_them() -> None:
    """Duration and time of those that went well, codes of those that did not."""
    registry = CollectorRegistry()
    well, failed = threading.Event(), threading.Event()

    def go() -> int:
        well.set()
        return 0

    def fail() -> int:
        failed.set()
        raise Unavailable("database_unavailable", "away")

    engine = Engine(
        [Round("send", 0.01, go), Round("reap", 0.01, fail)], GatewayTelemetry(registry)
    )
    well.wait(10)
    failed.wait(10)
    engine.stop()

    def value(name: str, **labels: str) -> float:
        return registry.get_sample_value(f"talksplat_engine_loop_{name}", labels) or 0

    assert value("duration_seconds_count", loop="send") >= 1
    assert value("last_success_timestamp_seconds", loop="send") > 0
    assert 1 <= value("failures_total", loop="reap", code="database_unavailable")
    assert 0 == value("duration_seconds_count", loop="reap")
