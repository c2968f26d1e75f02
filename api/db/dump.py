"""The whole database as lines of JSON, and back: the same for PostgreSQL and SQLite.

One line per row, ``["table", {column: value}]``, parents before children, from one snapshot. What
belongs to running processes is left out.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from api.db.column_types import UtcTime
from api.db.migrate import current_revision
from api.db.session import engine_work
from api.db.tables import metadata, outbox, tenants, workers
from api.db.unit_of_work import UnitOfWork
from shared.errors import InvalidInput

_LEFT_OUT = {workers.name, outbox.name}
TABLES = [table for table in metadata.sorted_tables if table.name not in _LEFT_OUT]
_AT_ONCE = 500


def read_rows(database: Engine) -> Iterator[str]:
    """Lines of all rows, as they were when the first was read.

    Raises:
        Unavailable: ``database_unavailable``.
    """
    with engine_work(_snapshot(database), is_read_only=True) as work:
        if work.is_postgresql:
            work.connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        for table in TABLES:
            query = sa.select(table).order_by(*table.primary_key.columns)
            streamed = work.connection.execution_options(yield_per=_AT_ONCE)
            for row in streamed.execute(query).mappings():
                values = {name: _plain(value) for name, value in row.items()}
                yield json.dumps([table.name, values], separators=(",", ":"))


def write_rows(database: Engine, lines: Iterable[str]) -> dict[str, int]:
    """Fill an empty database; all or nothing. Returns how many rows each table got.

    Raises:
        InvalidInput: ``database_not_empty``; ``bad_backup`` a line is not one of ``read_rows``.
        Unavailable: ``database_unavailable``.
    """
    counts: dict[str, int] = {}
    with engine_work(database) as work:
        if work.connection.execute(sa.select(tenants.c.id).limit(1)).first():
            raise InvalidInput(
                "database_not_empty",
                "there are tenants in the database already; restore into an empty one",
            )
        for name, rows in groupby(map(_parse, lines), key=lambda pair: pair[0]):
            table = metadata.tables[name]
            while chunk := [_typed(table, row) for _name, row in islice(rows, _AT_ONCE)]:
                work.connection.execute(sa.insert(table), chunk)
                counts[name] = counts.get(name, 0) + len(chunk)
        if work.is_postgresql:
            for table in TABLES:
                _advance(work, table)
    return counts


def revision_of(database: Engine) -> str:
    """Revision of the schema, of which a dump is.

    Raises:
        Unavailable: ``database_unavailable``.
    """
    with engine_work(database, is_read_only=True) as work:
        return current_revision(work.connection) or ""


def _snapshot(database: Engine) -> Engine:
    if database.dialect.name != "postgresql":
        return database  # SQLite reads from the snapshot of its transaction anyway
    return database.execution_options(isolation_level="REPEATABLE READ")


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a column
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _parse(line: str) -> tuple[str, dict[str, Any]]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise _unreadable(line) from error
    match found:
        case [str(name), dict(row)] if name in metadata.tables:
            if set(row) <= set(metadata.tables[name].c.keys()):
                return name, row
    raise _unreadable(line)


def _unreadable(line: str) -> InvalidInput:
    return InvalidInput("bad_backup", f"a line of the backup cannot be read: {line[:60]!r}")


def _typed(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value)
        if value is not None and isinstance(table.c[name].type, UtcTime)
        else value
        for name, value in row.items()
    }


def _advance(work: UnitOfWork, table: sa.Table) -> None:
    """Let the table's sequence go on after what was restored; the engine may only draw from it."""
    column = table.autoincrement_column
    if column is None:
        return
    sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
    newest = work.connection.execute(sa.select(sa.func.max(column))).scalar() or 0
    drawn = work.connection.execute(sa.select(sa.func.nextval(sequence))).scalar_one()
    if drawn < newest:
        numbers = sa.func.generate_series(1, newest - drawn).table_valued("n")
        draw = sa.select(sa.func.max(sa.func.nextval(sequence))).select_from(numbers)
        work.connection.execute(draw)
