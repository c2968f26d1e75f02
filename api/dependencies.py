"""The parts a gateway is made of, and what a route gets to know of its request."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Annotated, ParamSpec, TypeVar

import anyio
from anyio import CapacityLimiter
from fastapi import Depends, Request
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from api.catalog import Catalog
from api.db.api_keys import KeyOwner, find_key_by_secret, touch_key
from api.db.records import KeyScope
from api.db.session import engine_work, tenant_work
from api.db.unit_of_work import UnitOfWork
from api.http.idempotency import KeysInFlight
from api.http.job_watcher import JobWatcher
from api.http.rate_limits import Policy, RateLimiter, Standing
from api.http.request_context import STANDINGS, trace_of
from api.http.streams import OpenStreams
from api.jobs.use_cases import Origin
from api.settings import GatewaySettings
from api.tokens import KeyCache, Principal, check_owner, check_scope, digest_of, read_bearer
from api.webhooks.address import AddressRules
from shared.object_store import Store
from shared.observability.gateway_telemetry import GatewayTelemetry
from shared.observability.readiness import Readiness

P = ParamSpec("P")
T = TypeVar("T")
_TOUCH_SECONDS = 60.0
_COMPUTE_ROUTES = frozenset({"create_avatar", "create_video", "retry_job", "complete_upload"})


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the composition root hands to the application."""

    settings: GatewaySettings
    database: Engine
    store: Store
    readiness: Readiness
    """Tries database, broker and store."""
    is_alive: Callable[[], bool]
    """Whether the engine's threads of this process go on."""
    wake_engine: Callable[[], None]
    """Tells the engine's threads of this process to look at once."""
    catalog: Catalog
    telemetry: GatewayTelemetry
    registry: CollectorRegistry
    watcher: JobWatcher
    webhook_rules: AddressRules
    now: Callable[[], datetime]
    """UTC."""
    monotonic: Callable[[], float]
    """Seconds."""
    new_id: Callable[[str], str]
    """Draws an id of a kind (``api/ids.py``)."""
    random_bytes: Callable[[int], bytes]
    keys_in_flight: KeysInFlight = field(default_factory=KeysInFlight)
    key_cache: KeyCache = field(default_factory=KeyCache)
    limiter: RateLimiter = field(default_factory=RateLimiter)
    streams: OpenStreams = field(default_factory=OpenStreams)

    @property
    def policies(self) -> tuple[Policy, Policy]:
        """What is counted: every request, and those that cost compute."""
        settings = self.settings
        return (
            Policy("requests", settings.requests_per_minute, 60),
            Policy("submissions", settings.submissions_per_minute, 60),
        )


@dataclass(frozen=True, kw_only=True)
class Call:
    """An authenticated request, as routes see it."""

    parts: Parts
    principal: Principal
    traceparent: str
    address: str
    """Where users reach the gateway, without a slash at the end."""
    path: str
    threads: CapacityLimiter

    @property
    def origin(self) -> Origin:
        """When and in which trace this is asked, and where ids come from."""
        return Origin(self.parts.now(), self.parts.new_id, self.traceparent)

    @contextmanager
    def work(self, *, is_read_only: bool = False) -> Iterator[UnitOfWork]:
        """Transaction that sees the caller's tenant only."""
        with tenant_work(
            self.parts.database, self.principal.tenant_id, is_read_only=is_read_only
        ) as work:
            yield work

    @contextmanager
    def operator_work(self, *, is_read_only: bool = False) -> Iterator[UnitOfWork]:
        """Transaction that sees every tenant; for operators' routes only."""
        check_scope(self.principal, KeyScope.operator)
        with engine_work(self.parts.database, is_read_only=is_read_only) as work:
            yield work

    async def in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what talks to the database or the store; never more at once than connections."""
        return await anyio.to_thread.run_sync(
            partial(function, *args, **kwargs), limiter=self.threads
        )


def parts_of(request: Request) -> Parts:
    """Parts of the application that this request came to."""
    parts: Parts = request.app.state.parts
    return parts


def threads_of(request: Request) -> CapacityLimiter:
    """How many requests may talk to the database at once; the others wait without a thread."""
    state = request.app.state
    if not hasattr(state, "threads"):
        state.threads = CapacityLimiter(parts_of(request).settings.database_connections)
    limiter: CapacityLimiter = state.threads
    return limiter


def address_of(request: Request) -> str:
    """Where users reach the gateway: as the operator says, or as this request came in."""
    return parts_of(request).settings.public_url or str(request.base_url).rstrip("/")


async def member_call(request: Request) -> Call:
    """A request with a good key, counted against its tenant's rate."""
    parts, threads = parts_of(request), threads_of(request)
    secret_sha256 = digest_of(read_bearer(request.headers.get("authorization")))
    owner = parts.key_cache.find(secret_sha256, parts.monotonic())
    if owner is None:
        owner = await anyio.to_thread.run_sync(_look_up, parts, secret_sha256, limiter=threads)
    principal = check_owner(owner, parts.now())
    standings = _count(parts, principal, request)
    setattr(request.state, STANDINGS, standings)
    return Call(
        parts=parts,
        principal=principal,
        traceparent=trace_of(request).header,
        address=address_of(request),
        path=request.url.path,
        threads=threads,
    )


async def admin_call(call: Annotated[Call, Depends(member_call)]) -> Call:
    """A request with a key that may manage its tenant's keys."""
    check_scope(call.principal, KeyScope.admin)
    return call


async def operator_call(call: Annotated[Call, Depends(member_call)]) -> Call:
    """A request with a key that may manage tenants."""
    check_scope(call.principal, KeyScope.operator)
    return call


MemberCall = Annotated[Call, Depends(member_call)]
AdminCall = Annotated[Call, Depends(admin_call)]
OperatorCall = Annotated[Call, Depends(operator_call)]


def _count(parts: Parts, principal: Principal, request: Request) -> list[Standing]:
    requests, submissions = parts.policies
    now = parts.monotonic()
    standings = [parts.limiter.take(principal.tenant_id, requests, now)]
    if getattr(request.scope.get("route"), "name", "") in _COMPUTE_ROUTES:
        standings.append(parts.limiter.take(principal.tenant_id, submissions, now))
    return standings


def _look_up(parts: Parts, secret_sha256: str) -> KeyOwner | None:
    now = parts.now()
    with engine_work(parts.database, is_read_only=True) as work:
        owner = find_key_by_secret(work, secret_sha256)
    if owner is None:
        return None
    seen = owner.key.last_used_at
    if seen is None or (now - seen).total_seconds() > _TOUCH_SECONDS:
        with engine_work(parts.database) as work:
            touch_key(work, owner.key.key_id, now)
    parts.key_cache.remember(secret_sha256, owner, parts.monotonic())
    return owner
