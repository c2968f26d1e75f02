"""Around every request: its trace, its log fields, its telemetry, and the end of every error."""

import logging
import time
from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import internal_problem
from api.http.rate_limits import rate_headers
from shared.observability.logs import bound_fields, log_event, log_failure
from shared.observability.trace import HEADER, TraceContext, continue_trace

_STATE, _TRACE = "state", "talksplat_trace"
STANDINGS = "talksplat_standings"
"""Where the rates that a request was counted against stand in its state."""
UNMATCHED = "unmatched"
_CLIENT_LEFT = 499
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestTelemetry(Protocol):
    """Counts requests."""

    def request_started(self) -> None:
        """A request came in."""

    def request_finished(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """It was answered; ``route`` is a template, never a path with ids."""


class RequestContext:
    """ASGI middleware; the only place beside ``stage_runner`` that catches every error."""

    def __init__(self, app: ASGIApp, telemetry: RequestTelemetry, logger: logging.Logger) -> None:
        self._app = app
        self._telemetry = telemetry
        self._logger = logger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = continue_trace(_header(scope, HEADER))
        scope.setdefault(_STATE, {})[_TRACE] = trace
        answer = _Answer(send, trace, scope[_STATE])
        self._telemetry.request_started()
        started = time.perf_counter()
        with bound_fields(trace_id=trace.trace_id, request_id=trace.trace_id):
            try:
                await self._app(scope, receive, answer.send)
            except ClientDisconnect:
                answer.status = answer.status or _CLIENT_LEFT
            except Exception as error:  # noqa: BLE001 - the end of every error of a request
                log_failure(self._logger, "request_failed", error, path=scope["path"])
                if not answer.status:
                    problem = internal_problem(scope["path"], trace.trace_id)
                    await problem(scope, receive, answer.send)
            self._tell(scope, answer.status or _CLIENT_LEFT, time.perf_counter() - started)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", UNMATCHED)
        self._telemetry.request_finished(
            route=route, method=scope["method"], status=status, seconds=seconds
        )
        if scope["path"] not in _QUIET:
            log_event(
                self._logger,
                "request_answered",
                level=logging.DEBUG,
                method=scope["method"],
                route=route,
                status=status,
                seconds=round(seconds, 4),
            )


def trace_of(request: Request) -> TraceContext:
    """Trace that this request is a part of."""
    trace: TraceContext = request.scope[_STATE][_TRACE]
    return trace


class _Answer:
    """Sends on what the application answers, with the headers that every answer has."""

    def __init__(self, send: Send, trace: TraceContext, state: Mapping[str, Any]) -> None:
        self._send = send
        self._trace = trace
        self._state = state
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[HEADER] = self._trace.header
            headers["X-Request-Id"] = self._trace.trace_id
            headers["X-Content-Type-Options"] = "nosniff"
            for name, value in rate_headers(self._state.get(STANDINGS, [])).items():
                headers.setdefault(name, value)
        await self._send(message)


def _header(scope: MutableMapping[str, Any], name: str) -> str | None:
    wanted = name.encode()
    found = [value for key, value in scope["headers"] if key == wanted]
    return found[0].decode("latin-1") if len(found) == 1 else None
