"""The Celery application: the form that commands have on the wire, and the worker's settings."""

from typing import Any

from celery import Celery

from shared.messaging.connection import HEARTBEAT_SECONDS
from shared.messaging.routes import DEFAULT, stage_queues

RUN_STAGE = "talksplat.run_stage"
"""Name of the only task; what runs is said by the command's ``entry``."""


def create_app(broker_url: str, service: str) -> Celery:
    """Application for the workers of one service; nothing is connected yet."""
    app = Celery("talksplat", broker=broker_url, set_as_current=False)
    app.conf.update(_settings(), task_queues=stage_queues(service))
    return app


def task_message(task_id: str, command: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Body and headers of Celery's protocol 2 that order one stage.

    Written here instead of through an application, so that the gateway needs no Celery of its own.
    """
    headers = {
        "lang": "py",
        "task": RUN_STAGE,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": task_id,
        "kwargsrepr": "{}",
        "ignore_result": True,
    }
    links = dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))
    body: tuple[list[Any], dict[str, Any], dict[str, Any]] = ([command], {}, links)
    return body, headers


def command_of(body: Any) -> Any:  # noqa: ANN401 - whatever came
    """The command inside a task's body, unchecked; None where there is none."""
    try:
        return body[0][0]
    except (IndexError, KeyError, TypeError):
        return None


def _settings() -> dict[str, Any]:
    """Late acknowledgement, one message at a time, and none of Celery's own chatter."""
    return {
        "accept_content": ["json"],
        "broker_connection_max_retries": None,
        "broker_connection_retry_on_startup": True,
        "broker_connection_timeout": 4,
        "broker_heartbeat": HEARTBEAT_SECONDS,
        "broker_transport_options": {"confirm_publish": True},
        "enable_utc": True,
        "result_backend": None,
        "task_acks_late": True,
        "task_acks_on_failure_or_timeout": False,
        "task_create_missing_queues": False,
        "task_default_exchange": DEFAULT.name,
        "task_default_queue_type": "quorum",
        "task_ignore_result": True,
        "task_reject_on_worker_lost": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_detect_quorum_queues": True,
        "worker_enable_prefetch_count_reduction": False,
        "worker_enable_remote_control": False,
        "worker_hijack_root_logger": False,
        "worker_prefetch_multiplier": 1,
        "worker_redirect_stdouts": False,
        "worker_send_task_events": False,
    }
