"""Serves an application until the process is asked to end."""

import signal

import uvicorn
from fastapi import FastAPI

_GRACE_SECONDS = 10
"""Open streams are cut off after this; their clients go on elsewhere with Last-Event-ID."""
_BACKLOG = 2048


def serve_http(app: FastAPI, host: str, port: int) -> None:
    """Answer requests until SIGINT or SIGTERM; requests under way are finished."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn takes the signal, ends in peace, and raises it again for whoever was there before.
        signal.signal(number, lambda _number, _frame: None)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    uvicorn.Server(config).run()
