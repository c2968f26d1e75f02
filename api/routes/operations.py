"""Probes and telemetry; without a key, for the inside of a cluster."""

import anyio
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from api.dependencies import parts_of
from api.http.answers import json_answer

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    """Whether the process lives."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: str
    """``ok``, or ``failed`` when the process should be started again."""


class ReadinessBody(BaseModel):
    """Whether requests can be served."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: str
    """``ok`` or ``unavailable``."""
    checks: dict[str, str]
    """``ok``, or what is wrong, of ``database``, ``broker``, ``store`` and ``engine``."""


@router.get(
    "/healthz",
    response_model=Health,
    operation_id="getHealth",
    responses={503: {"model": Health, "description": "A thread of the engine has ended."}},
)
async def get_health(request: Request) -> Response:
    """Liveness: the process answers, and its engine goes on."""
    is_alive = parts_of(request).is_alive()
    return json_answer(Health(status="ok" if is_alive else "failed"), 200 if is_alive else 503)


@router.get(
    "/readyz",
    response_model=ReadinessBody,
    operation_id="getReadiness",
    responses={503: {"model": ReadinessBody, "description": "Something needed is away."}},
)
async def get_readiness(request: Request) -> Response:
    """Readiness: database, broker and store answer."""
    report = await anyio.to_thread.run_sync(parts_of(request).readiness.report)
    body = ReadinessBody(
        status="ok" if report.is_ready else "unavailable", checks=dict(report.checks)
    )
    return json_answer(body, 200 if report.is_ready else 503)


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
