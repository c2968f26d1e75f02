"""Prometheus series of a worker: what it runs, moves and waits for, and its GPUs.

They carry ``worker`` in their names, so that one process can be gateway and worker at once.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.observability.labels import KnownNames

Outcome = Literal["succeeded", "failed", "canceled", "lost"]
Direction = Literal["download", "upload"]

_STAGE_BUCKETS = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)


class WorkerTelemetry:
    """One per process and service; in ``serve`` the services share it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # They would double the number of series, and nobody reads them.
        disable_created_metrics()  # type: ignore[no-untyped-call] # of prometheus_client
        self._stages, self._names = KnownNames(), KnownNames()
        self._seconds = Histogram(
            "talksplat_worker_stage_duration_seconds",
            "One run of a stage, fetching and storing included.",
            ["stage", "outcome"],
            buckets=_STAGE_BUCKETS,
            registry=registry,
        )
        self._running = Gauge(
            "talksplat_worker_stages_running", "Stages being run.", ["stage"], registry=registry
        )
        self._success = Gauge(
            "talksplat_worker_stage_last_success_timestamp_seconds",
            "When a run last succeeded.",
            ["stage"],
            registry=registry,
        )
        self._frames = Counter(
            "talksplat_worker_frames", "Frames worked on.", ["stage"], registry=registry
        )
        self._frame_rate = Gauge(
            "talksplat_worker_frames_per_second",
            "Of the run that succeeded last.",
            ["stage"],
            registry=registry,
        )
        self._moved = Counter(
            "talksplat_worker_store_bytes",
            "Bytes moved from (download) and to (upload) the object store.",
            ["direction"],
            registry=registry,
        )
        self._moving = Counter(
            "talksplat_worker_store_seconds",
            "Time spent moving them.",
            ["direction"],
            registry=registry,
        )
        self._kills = Counter(
            "talksplat_worker_child_kills",
            "Children killed; reason canceled, lease, deadline, memory or shutdown.",
            ["reason"],
            registry=registry,
        )
        self._unsent = Gauge(
            "talksplat_worker_events_unsent",
            "Events that the broker has not confirmed.",
            registry=registry,
        )

    def stage_started(self, stage: str) -> None:
        """``stage_finished`` follows, whatever happens."""
        self._running.labels(self._stages.label(stage)).inc()

    def stage_finished(self, stage: str, outcome: Outcome, *, seconds: float, at: float) -> None:
        """A run ended ``at`` seconds since 1970."""
        stage = self._stages.label(stage)
        self._running.labels(stage).dec()
        self._seconds.labels(stage, outcome).observe(seconds)
        if outcome == "succeeded":
            self._success.labels(stage).set(at)

    def frames_done(self, stage: str, n_frames: float, *, seconds: float) -> None:
        """A run worked on ``n_frames`` frames in ``seconds`` seconds."""
        stage = self._stages.label(stage)
        self._frames.labels(stage).inc(n_frames)
        if seconds > 0:
            self._frame_rate.labels(stage).set(n_frames / seconds)

    def moved(self, direction: Direction, n_bytes: int, *, seconds: float) -> None:
        """Bytes came from or went to the object store."""
        self._moved.labels(direction).inc(n_bytes)
        self._moving.labels(direction).inc(seconds)

    def child_killed(self, reason: str) -> None:
        """A child had to be killed."""
        self._kills.labels(self._names.label(reason)).inc()

    def set_events_unsent(self, n_events: int) -> None:
        """Events waiting for the broker."""
        self._unsent.set(n_events)


class GpuMemory(NamedTuple):
    """One GPU of this machine."""

    number: int
    used_bytes: int
    total_bytes: int


class GpuCollector(Collector):
    """Asks the driver at every scrape; shows nothing where there is no GPU."""

    def __init__(self, read: Callable[[], list[GpuMemory]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Both families, empty."""
        return _gpu_families([])

    def collect(self) -> Iterable[Metric]:
        """Both families, one series per GPU."""
        return _gpu_families(self._read())


def read_gpu_memory() -> list[GpuMemory]:
    """Memory of every GPU that the driver shows; none without a driver or its library.

    NVML counts all processes, the stage's child too, and does not start CUDA in this one.
    """
    try:
        import pynvml  # noqa: PLC0415 - of the extra [gpu]
    except ModuleNotFoundError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_read_one(pynvml, number) for number in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def _read_one(nvml: Any, number: int) -> GpuMemory:  # noqa: ANN401 - an untyped library
    memory = nvml.nvmlDeviceGetMemoryInfo(nvml.nvmlDeviceGetHandleByIndex(number))
    return GpuMemory(number, int(memory.used), int(memory.total))


def _gpu_families(gpus: list[GpuMemory]) -> list[Metric]:
    used = GaugeMetricFamily("talksplat_gpu_memory_used_bytes", "By all.", labels=("gpu",))
    total = GaugeMetricFamily("talksplat_gpu_memory_total_bytes", "There is.", labels=("gpu",))
    for gpu in gpus:
        used.add_metric([str(gpu.number)], gpu.used_bytes)
        total.add_metric([str(gpu.number)], gpu.total_bytes)
    return [used, total]
