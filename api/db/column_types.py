"""Columns that mean the same in PostgreSQL and in SQLite."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect

JSON_VALUE = sa.JSON().with_variant(JSONB(), "postgresql")
"""Any JSON."""
IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A number that the database gives out; SQLite does so for INTEGER only."""


class UtcTime(sa.types.TypeDecorator[datetime]):
    """A moment, with its zone in Python, in UTC in the database."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a moment without a zone; SQLite stores UTC without one."""
        if value is None:
            return None
        assert value.tzinfo is not None, "moments carry their zone"
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ANN401
        """Give the zone back."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if dialect.name == "sqlite" else moment.astimezone(UTC)
