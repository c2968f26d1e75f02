"""Statements that PostgreSQL and SQLite spell alike but SQLAlchemy keeps per dialect."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from api.db.unit_of_work import UnitOfWork


def upsert(
    work: UnitOfWork,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    changes: Mapping[str, Any] | None = None,
) -> int:
    """Insert ``rows``; where the primary key exists, apply ``changes`` or, without, do nothing.

    Returns:
        The number of rows inserted or changed.
    """
    insert = postgresql.insert(table) if work.is_postgresql else sqlite.insert(table)
    key = list(table.primary_key.columns.keys())
    many = insert.values([dict(row) for row in rows])
    ready = (
        many.on_conflict_do_update(index_elements=key, set_=dict(changes))
        if changes
        else many.on_conflict_do_nothing(index_elements=key)
    )
    return work.connection.execute(ready).rowcount


def newest_first(
    query: sa.Select[Any], table: sa.Table, cut: tuple[Any, str] | None, limit: int
) -> sa.Select[Any]:
    """One page of ``query``, newest first, after the row where the last page ended."""
    if cut is not None:
        created_at, row_id = cut
        place = sa.tuple_(table.c.created_at, table.c.id)
        limits = sa.tuple_(
            sa.literal(created_at, table.c.created_at.type), sa.literal(row_id, table.c.id.type)
        )
        query = query.where(place < limits)
    return query.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit)
