"""Sends a tiny job through everything now and then: database, broker, workers, store, and back.

Several gateways may send them: the tenant that they run under may have one open job, and the row
lock of that quota lets only one gateway through.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from api.accounts import Making, create_tenant
from api.db.heartbeats import (
    HEARTBEAT_TENANT,
    forget_heartbeats,
    heartbeat_tenant,
    newest_heartbeat,
)
from api.db.records import Quotas
from api.db.session import engine_work, tenant_work
from api.jobs.apply import Origin
from api.jobs.use_cases import new_job, submit_job
from shared.errors import InvalidInput
from shared.object_store import Store

KIND = "heartbeat"
KEPT = timedelta(days=1)
"""What is told of a heartbeat is forgotten so long after its end."""
_PROBE = b"talksplat heartbeat\n"
_QUOTAS = Quotas(max_running_jobs=1, max_open_jobs=1)


class Beating(NamedTuple):
    """How often, through whom, and what it takes."""

    database: Engine
    store: Store
    every: timedelta
    services: Sequence[str]
    new_id: Callable[[str], str]
    random_bytes: Callable[[int], bytes]


def send_heartbeat(beating: Beating, now: datetime) -> int:
    """Submit a heartbeat if one is due and none is under way; returns how many, 0 or 1.

    Raises:
        Unavailable: database or store do not answer.
    """
    try:
        tenant_id, newest = _tidy(beating, now)
    except sa.exc.IntegrityError:  # another gateway was faster with the first one
        return 0
    if newest is not None and newest + beating.every > now:
        return 0
    probe = f"tenants/{tenant_id}/heartbeat/probe"
    beating.store.put_bytes(probe, _PROBE)
    job = new_job(
        KIND,
        tenant_id,
        KIND,
        Origin(now, beating.new_id),
        inputs={"probe": probe},
        options={f"beat_{service}": {} for service in beating.services},
    )
    try:
        with tenant_work(beating.database, tenant_id) as work:
            submit_job(work, job, now)
    except InvalidInput as error:
        if error.code == "quota_open_jobs":  # one is under way, or another gateway was faster
            return 0
        raise
    return 1


def _tidy(beating: Beating, now: datetime) -> tuple[str, datetime | None]:
    """Id of the tenant, made if there is none, and when the newest heartbeat was submitted."""
    with engine_work(beating.database) as work:
        tenant_id = heartbeat_tenant(work)
        if tenant_id is None:
            making = Making(now, beating.new_id, beating.random_bytes)
            tenant_id = create_tenant(work, HEARTBEAT_TENANT, making, quotas=_QUOTAS).tenant_id
        newest = newest_heartbeat(work, tenant_id)
        forget_heartbeats(work, tenant_id, now - KEPT)
    return tenant_id, newest
