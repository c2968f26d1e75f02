"""``talksplat worker``: runs the stages of one service."""

import os
import secrets
import signal
import socket
import threading
from types import FrameType
from typing import Annotated, Literal

import typer

from services.embedded.commands.words import JsonOption
from shared.settings import Settings, read_settings, require_setting

Service = Literal["preprocess", "trainer", "audio2motion", "renderer", "evaluator"]


def worker(
    service: Annotated[Service, typer.Argument(help="Whose stages it runs.")],
    one: Annotated[
        bool, typer.Option("--one", help="Run one attempt and leave, for jobs of a cluster.")
    ] = False,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds that --one waits for something to do.")
    ] = 30.0,
    entries: Annotated[
        list[str] | None,
        typer.Option(help="Python module with other entries, instead of the service's own."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run stages from the queue, one at a time, until SIGTERM.

    Needs TALKSPLAT_BROKER_URL and TALKSPLAT_STORE_URL, and no database. Stopped, it lets a stage
    end for TALKSPLAT_WORKER_GRACE_SECONDS and then hands it back; --json logs one object per line.
    With --one it exits with 0 after one attempt, however that ended, or when nothing came.

    \b
    talksplat worker trainer
    talksplat worker renderer --one
    """
    from shared.observability.logs import configure_logs

    configure_logs(f"worker-{service}", is_json=as_json)
    settings = read_settings(os.environ)
    modules = tuple(entries or ())
    if one:
        _work_once(settings, service, modules, patience)
    else:
        _work(settings, service, modules)


def _work(settings: Settings, service: Service, modules: tuple[str, ...]) -> None:
    from services.embedded.worker_process import open_worker
    from shared.worker.celery_worker import run_celery_worker

    broker_url = require_setting(settings, "broker_url")
    with open_worker(settings, worker_id(service), service, modules) as worker:
        run_celery_worker(broker_url, worker, grace_seconds=settings.worker_grace_seconds)


def _work_once(
    settings: Settings, service: Service, modules: tuple[str, ...], patience: float
) -> None:
    from services.embedded.worker_process import open_worker
    from shared.worker.loop import Leaving, work_once

    broker_url = require_setting(settings, "broker_url")
    leaving = Leaving(threading.Event(), threading.Event())

    def leave(_number: int, _frame: FrameType | None) -> None:
        leaving.idle.set()
        timer = threading.Timer(settings.worker_grace_seconds, leaving.busy.set)
        timer.daemon = True  # a stage that has ended by itself is not waited for
        timer.start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    with open_worker(settings, worker_id(service), service, modules) as worker:
        work_once(broker_url, worker, leaving, patience_seconds=patience)


def worker_id(service: str) -> str:
    """Name of one start of one worker: service, machine, and something random."""
    machine = "".join(c if c.isalnum() and c.isascii() else "-" for c in socket.gethostname())
    return f"{service}-{machine[:30]}-{secrets.token_hex(4)}"
