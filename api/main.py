"""The gateway's HTTP application, made of the parts it is given."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio
from fastapi import FastAPI

from api.dependencies import Parts
from api.http.error_handlers import add_error_handlers
from api.http.openapi import describe
from api.http.request_context import RequestContext
from api.routes import (
    account,
    avatars,
    consents,
    jobs,
    keys,
    operations,
    store,
    tenants,
    uploads,
    videos,
    webhooks,
)
from shared.store_links import link_secret

logger = logging.getLogger(__name__)
_ROUTERS = (uploads, avatars, videos, jobs, consents, webhooks, account, tenants, keys, operations)


def make_app(parts: Parts) -> FastAPI:
    """Put the application together; it opens nothing and starts nothing but the job watcher."""
    app = FastAPI(
        title="Talksplat",
        version=version("talksplat"),
        lifespan=_watch_jobs,
        docs_url="/docs",
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.parts = parts
    add_error_handlers(app)
    for module in _ROUTERS:
        app.include_router(module.router)
    if link_secret(parts.store) is not None:
        app.include_router(store.router)
    app.openapi = _describer(app)  # type: ignore[method-assign] # as FastAPI's manual has it
    app.add_middleware(RequestContext, telemetry=parts.telemetry, logger=logger)
    return app


@asynccontextmanager
async def _watch_jobs(app: FastAPI) -> AsyncIterator[None]:
    """Keep the watcher running for as long as requests are served."""
    parts: Parts = app.state.parts
    async with anyio.create_task_group() as group:
        group.start_soon(parts.watcher.run)
        yield
        group.cancel_scope.cancel()


def _describer(app: FastAPI) -> Callable[[], dict[str, Any]]:
    return lambda: describe(app, app.version)
