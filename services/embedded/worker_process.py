"""What every worker of this process has: store, publisher, metrics, and its companion."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from shared.messaging.connection import check_broker
from shared.messaging.publisher import Publisher
from shared.object_store import open_store
from shared.observability.metrics_server import serve_metrics
from shared.observability.readiness import Readiness
from shared.observability.worker_telemetry import GpuCollector, WorkerTelemetry, read_gpu_memory
from shared.settings import Settings, require_setting
from shared.worker.companion import Presence, keep_company
from shared.worker.stage_entry import service_modules
from shared.worker.stage_runner import Worker
from shared.worker.stopping import Runs
from shared.worker.workspace import remove_abandoned


@contextmanager
def open_worker(
    settings: Settings, worker_id: str, service: str, modules: tuple[str, ...] = ()
) -> Iterator[Worker]:
    """Everything that a worker process needs, for as long as the block runs.

    Raises:
        InvalidInput: ``bad_setting``, ``bad_store_url``.
    """
    broker_url = require_setting(settings, "broker_url")
    store = open_store(require_setting(settings, "store_url"))
    registry = CollectorRegistry()
    registry.register(GpuCollector(read_gpu_memory))
    settings.work_dir.mkdir(parents=True, exist_ok=True)
    remove_abandoned(settings.work_dir)
    publisher = Publisher(broker_url)
    worker = Worker(
        worker_id=worker_id,
        service=service,
        modules=modules or service_modules(service),
        store=store,
        send=publisher.send_event,
        runs=Runs(),
        work_dir=settings.work_dir,
        telemetry=WorkerTelemetry(registry),
    )
    with ExitStack() as stack:
        stack.callback(publisher.close)
        stack.enter_context(_companion(broker_url, worker))
        if settings.metrics_port:
            checks = {"broker": lambda: check_broker(broker_url), "store": store.check}
            stack.enter_context(
                serve_metrics(
                    registry,
                    host="0.0.0.0",  # noqa: S104 - Prometheus comes from outside
                    port=settings.metrics_port,
                    is_alive=lambda: True,
                    readiness=Readiness(checks).report,
                )
            )
        yield worker


@contextmanager
def _companion(broker_url: str, worker: Worker) -> Iterator[None]:
    stop = threading.Event()
    presence = Presence(
        worker.worker_id, worker.service, worker.runs, worker.send, lambda: datetime.now(UTC)
    )
    thread = threading.Thread(target=keep_company, args=(broker_url, presence, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
