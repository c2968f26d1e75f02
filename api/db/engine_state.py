"""What the database says about demand, workers and backlogs, for the gateway's metrics."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from api.db.heartbeats import read_heartbeat
from api.db.tables import attempts, outbox, ready_stages, webhook_deliveries, webhooks, workers
from api.db.unit_of_work import UnitOfWork
from shared.messaging.routes import SERVICES
from shared.observability.engine_gauges import EngineState, ServiceLoad, StageLoad

ALIVE = timedelta(seconds=20)
"""A worker reports every 5 s."""


def read_engine_state(work: UnitOfWork, now: datetime) -> EngineState:
    """One reading, over partial indexes: its cost grows with what is open, not with what was."""
    unsent, oldest_unsent = _count_and_oldest(work, outbox.c.created_at, outbox)
    is_due = sa.and_(webhook_deliveries.c.next_try_at <= now, webhooks.c.disabled_at.is_(None))
    due, oldest_due = _count_and_oldest(
        work,
        webhook_deliveries.c.next_try_at,
        webhook_deliveries.join(webhooks, webhooks.c.id == webhook_deliveries.c.webhook_id),
        is_due,
    )
    stages, demand = _stages(work, now)
    return EngineState(
        read_at=now.timestamp(),
        stages=stages,
        services=_services(work, now),
        outbox_unsent=unsent,
        outbox_oldest_seconds=_age(oldest_unsent, now),
        webhooks_due=due,
        webhooks_overdue_seconds=_age(oldest_due, now),
        demand=demand,
        heartbeat=read_heartbeat(work, now),
    )


def _stages(
    work: UnitOfWork, now: datetime
) -> tuple[dict[tuple[str, str], StageLoad], dict[str, int]]:
    """Loads by stage and class, and demand by service."""
    ready, open_ = ready_stages.c, attempts.c
    queued = sa.select(
        ready.service,
        ready.stage,
        ready.queue_class,
        sa.func.count(),
        sa.func.min(ready.queued_at, type_=ready.queued_at.type),
    ).group_by(ready.service, ready.stage, ready.queue_class)
    moved = sa.func.coalesce(open_.progressed_at, open_.started_at)
    running = (
        sa.select(
            open_.service,
            open_.stage,
            open_.queue_class,
            sa.func.count(),
            sa.func.min(moved, type_=open_.started_at.type),
        )
        .where(open_.closed_at.is_(None))
        .group_by(open_.service, open_.stage, open_.queue_class)
    )
    loads: dict[tuple[str, str], StageLoad] = {}
    demand = dict.fromkeys(SERVICES, 0)
    for service, stage, queue_class, n, oldest in work.connection.execute(queued):
        loads[stage, queue_class] = StageLoad(n, 0, _age(oldest, now))
        demand[service] = demand.get(service, 0) + n
    for service, stage, queue_class, n, moved_at in work.connection.execute(running):
        load = loads.get((stage, queue_class), StageLoad(0, 0, 0.0))
        still = _age(moved_at, now)
        loads[stage, queue_class] = load._replace(running=n, longest_still_seconds=still)
        demand[service] = demand.get(service, 0) + n
    return loads, demand


def _services(work: UnitOfWork, now: datetime) -> dict[str, ServiceLoad]:
    query = (
        sa.select(
            workers.c.service,
            sa.func.count(),
            sa.func.sum(workers.c.slots),
            sa.func.sum(workers.c.busy),
        )
        .where(workers.c.seen_at >= now - ALIVE, workers.c.slots > 0)
        .group_by(workers.c.service)
    )
    return {
        service: ServiceLoad(n, int(slots), int(busy))
        for service, n, slots, busy in work.connection.execute(query)
    }


def _count_and_oldest(
    work: UnitOfWork,
    moment: sa.Column[Any],
    source: sa.FromClause,
    *where: sa.ColumnElement[bool],
) -> tuple[int, datetime | None]:
    oldest = sa.func.min(moment, type_=moment.type)
    row = work.connection.execute(
        sa.select(sa.func.count(), oldest).select_from(source).where(*where)
    ).one()
    return int(row[0]), row[1]


def _age(moment: datetime | None, now: datetime) -> float:
    return max((now - moment).total_seconds(), 0.0) if moment is not None else 0.0
