"""Prometheus series of a gateway: requests, stages, jobs, engine loops, webhooks.

``docs/operations.md`` explains each. Several gateways may run: counters and histograms are summed
over them; what ``EngineState`` says is read from the database, so there take the maximum.
"""

from collections.abc import Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from shared.observability.engine_gauges import EngineState, EngineStateCollector
from shared.observability.labels import KnownNames, method_label, status_class

UNMATCHED_ROUTE = "unmatched"
"""Route label of a request that no route answers."""

_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STAGE_BUCKETS = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)
_WAIT_BUCKETS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400)
_WEBHOOK_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)


class GatewayTelemetry:
    """One per process. Names of routes, stages and codes come in as they are known to the code."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # They would double the number of series, and nobody reads them.
        disable_created_metrics()  # type: ignore[no-untyped-call] # of prometheus_client
        self._routes, self._stages, self._codes = (
            KnownRoutes(),
            KnownNames(),
            KnownNames(),
        )
        self._names, self._scores_named = KnownNames(), KnownNames()
        self._requests = Counter(
            "talksplat_http_requests",
            "Requests answered.",
            ["route", "method", "status_class"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "talksplat_http_request_duration_seconds",
            "From the first byte of a request to the first of its answer.",
            ["route", "method"],
            buckets=_REQUEST_BUCKETS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "talksplat_http_requests_in_flight", "Requests being answered.", registry=registry
        )
        self._stage_wait = Histogram(
            "talksplat_stage_wait_seconds",
            "From ready to taken up by a worker.",
            ["stage", "queue_class"],
            buckets=_WAIT_BUCKETS,
            registry=registry,
        )
        self._stage_seconds = Histogram(
            "talksplat_stage_duration_seconds",
            "From taken up to the end of an attempt.",
            ["stage", "outcome"],
            buckets=_STAGE_BUCKETS,
            registry=registry,
        )
        self._stage_success = Gauge(
            "talksplat_stage_last_success_timestamp_seconds",
            "When an attempt last succeeded.",
            ["stage"],
            registry=registry,
        )
        self._stage_failures = Counter(
            "talksplat_stage_failures",
            "Attempts that failed.",
            ["stage", "code"],
            registry=registry,
        )
        self._stage_retries = Counter(
            "talksplat_stage_retries", "Attempts after the first.", ["stage"], registry=registry
        )
        self._lease_expiries = Counter(
            "talksplat_stage_lease_expiries",
            "Attempts lost because nothing was heard of them.",
            ["stage"],
            registry=registry,
        )
        self._frames = Counter(
            "talksplat_stage_frames", "Frames worked on.", ["stage"], registry=registry
        )
        self._frame_rate = Gauge(
            "talksplat_stage_frames_per_second",
            "Of the attempt that succeeded last.",
            ["stage"],
            registry=registry,
        )
        self._jobs = Counter(
            "talksplat_jobs_finished", "Jobs that ended.", ["kind", "status"], registry=registry
        )
        self._jobs_broken = Counter(
            "talksplat_jobs_broken",
            "Jobs that failed for a reason that is not the request's.",
            ["kind"],
            registry=registry,
        )
        self._scores = Counter(
            "talksplat_scores", "Scores of videos.", ["kind", "score"], registry=registry
        )
        self._score_points = Counter(
            "talksplat_score_points",
            "Sum of their values; those below zero count apart, because a counter cannot fall.",
            ["kind", "score", "sign"],
            registry=registry,
        )
        self._loop_runs = Histogram(
            "talksplat_engine_loop_duration_seconds",
            "One round of a loop.",
            ["loop"],
            buckets=_REQUEST_BUCKETS,
            registry=registry,
        )
        self._loop_success = Gauge(
            "talksplat_engine_loop_last_success_timestamp_seconds",
            "When a round last ended well.",
            ["loop"],
            registry=registry,
        )
        self._loop_failures = Counter(
            "talksplat_engine_loop_failures",
            "Rounds that failed.",
            ["loop", "code"],
            registry=registry,
        )
        self._webhook_seconds = Histogram(
            "talksplat_webhook_try_duration_seconds",
            "One attempt to deliver; outcome delivered, retry, failed or gone.",
            ["outcome"],
            buckets=_WEBHOOK_BUCKETS,
            registry=registry,
        )
        self._webhooks_disabled = Counter(
            "talksplat_webhooks_disabled",
            "Webhooks given up; reason gone or failing.",
            ["reason"],
            registry=registry,
        )
        self._engine_state = EngineStateCollector()
        registry.register(self._engine_state)

    def request_started(self) -> None:
        """A request came in; ``request_finished`` follows."""
        self._in_flight.inc()

    def request_finished(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """``route`` is the template (``/v1/jobs/{job_id}``), or ``UNMATCHED_ROUTE``."""
        route, method = self._routes.label(route), method_label(method)
        self._in_flight.dec()
        self._requests.labels(route, method, status_class(status)).inc()
        self._request_seconds.labels(route, method).observe(seconds)

    def stage_started(self, stage: str, queue_class: str, waited_seconds: float) -> None:
        """A worker took an attempt up."""
        labels = self._stages.label(stage), self._names.label(queue_class)
        self._stage_wait.labels(*labels).observe(max(waited_seconds, 0.0))

    def stage_succeeded(
        self, stage: str, *, seconds: float, at: float, n_frames: float = 0
    ) -> None:
        """An attempt's result was accepted ``at`` seconds since 1970."""
        stage = self._stages.label(stage)
        self._stage_seconds.labels(stage, "succeeded").observe(seconds)
        self._stage_success.labels(stage).set(at)
        if n_frames > 0:
            self._frames.labels(stage).inc(n_frames)
            if seconds > 0:
                self._frame_rate.labels(stage).set(n_frames / seconds)

    def stage_failed(self, stage: str, code: str, *, seconds: float) -> None:
        """An attempt failed, whether or not another follows."""
        stage = self._stages.label(stage)
        self._stage_seconds.labels(stage, "failed").observe(seconds)
        self._stage_failures.labels(stage, self._codes.label(code)).inc()

    def stage_canceled(self, stage: str, *, seconds: float) -> None:
        """An attempt was stopped on request."""
        self._stage_seconds.labels(self._stages.label(stage), "canceled").observe(seconds)

    def stage_retried(self, stage: str) -> None:
        """Another attempt was sent."""
        self._stage_retries.labels(self._stages.label(stage)).inc()

    def lease_expired(self, stage: str) -> None:
        """An attempt was given up."""
        self._lease_expiries.labels(self._stages.label(stage)).inc()

    def job_finished(self, kind: str, status: str, *, is_broken: bool = False) -> None:
        """A job reached its end; ``is_broken`` if it failed though the request was good."""
        kind = self._names.label(kind)
        self._jobs.labels(kind, self._names.label(status)).inc()
        self._jobs_broken.labels(kind).inc(int(is_broken))

    def video_scored(self, kind: str, scores: Mapping[str, float]) -> None:
        """A video of a job of ``kind`` was scored; their means show whether quality drops."""
        kind = self._names.label(kind)
        for name, value in scores.items():
            score = self._scores_named.label(name)
            self._scores.labels(kind, score).inc()
            self._score_points.labels(kind, score, "positive").inc(max(value, 0.0))
            self._score_points.labels(kind, score, "negative").inc(max(-value, 0.0))

    def loop_ran(self, loop: str, *, seconds: float, at: float) -> None:
        """A round of an engine loop ended well."""
        loop = self._names.label(loop)
        self._loop_runs.labels(loop).observe(seconds)
        self._loop_success.labels(loop).set(at)

    def loop_failed(self, loop: str, code: str) -> None:
        """A round of an engine loop failed; it goes on after a pause."""
        self._loop_failures.labels(self._names.label(loop), self._codes.label(code)).inc()

    def webhook_tried(self, outcome: str, *, seconds: float) -> None:
        """A delivery was attempted."""
        self._webhook_seconds.labels(self._names.label(outcome)).observe(seconds)

    def webhook_disabled(self, reason: str) -> None:
        """A webhook was given up."""
        self._webhooks_disabled.labels(self._names.label(reason)).inc()

    def set_engine_state(self, state: EngineState) -> None:
        """Show what was read from the database; call it every few seconds."""
        self._engine_state.state = state


class KnownRoutes(KnownNames):
    """As for names, but a route template has slashes and braces."""

    def label(self, name: str) -> str:
        """``name``, or ``other`` where it is one too many."""
        if name not in self._seen:
            if len(self._seen) >= self._max_values:
                return "other"
            self._seen.add(name)
        return name
