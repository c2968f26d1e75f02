"""Probes and telemetry; without a key, for the inside of a cluster."""

from collections.abc import Callable

import anyio
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from api.db.migrate import check_database
from api.dependencies import parts_of
from api.http.answers import json_answer
from shared.errors import Unavailable

router = APIRouter(tags=["operations"])
_READY_SECONDS = 5.0


class Health(BaseModel):
    """Whether the process lives."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: str = "ok"
    """Always ``ok``: a process that does not live does not answer."""


class Readiness(BaseModel):
    """Whether requests can be served."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: str
    """``ok`` or ``unavailable``."""
    parts: dict[str, str]
    """``ok``, or what is wrong, of ``database``, ``broker`` and ``store``."""


@router.get("/healthz", response_model=Health, operation_id="getHealth")
async def get_health() -> Response:
    """Liveness: the process answers."""
    return json_answer(Health())


@router.get(
    "/readyz",
    response_model=Readiness,
    operation_id="getReadiness",
    responses={503: {"model": Readiness, "description": "Something needed is away."}},
)
async def get_readiness(request: Request) -> Response:
    """Readiness: database, broker and store answer."""
    parts = parts_of(request)
    checks: dict[str, Callable[[], None]] = {
        "database": lambda: check_database(parts.database),
        "broker": parts.check_broker,
        "store": parts.store.check,
    }
    found: dict[str, str] = {}

    async def check(name: str) -> None:
        found[name] = "does not answer in time"
        with anyio.move_on_after(_READY_SECONDS):
            found[name] = await anyio.to_thread.run_sync(
                _outcome, checks[name], abandon_on_cancel=True
            )

    async with anyio.create_task_group() as group:
        for name in checks:
            group.start_soon(check, name)
    is_ready = set(found.values()) == {"ok"}
    body = Readiness(
        status="ok" if is_ready else "unavailable", parts={name: found[name] for name in checks}
    )
    return json_answer(body, 200 if is_ready else 503)


@router.get(
    "/metrics",
    response_class=Response,
    operation_id="getMetrics",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics(request: Request) -> Response:
    """Telemetry for Prometheus."""
    text = await anyio.to_thread.run_sync(generate_latest, parts_of(request).registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _outcome(check: Callable[[], None]) -> str:
    try:
        check()
    except Unavailable as error:
        return error.code
    return "ok"
