"""How operators' commands reach the platform's database; the gateway may be down meanwhile."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.errors import InvalidInput
from shared.settings import read_settings

if TYPE_CHECKING:
    from api.accounts import Making
    from api.db.unit_of_work import UnitOfWork


def database_url() -> str:
    """Where the gateway's database is.

    Raises:
        InvalidInput: ``missing_setting``.
    """
    url = read_settings(os.environ).database_url
    if url is None:
        raise InvalidInput(
            "missing_setting", "set TALKSPLAT_DATABASE_URL to the gateway's database"
        )
    return url


@contextmanager
def operator_work() -> "Iterator[tuple[UnitOfWork, Making]]":
    """An operator's transaction, which sees every tenant.

    Raises:
        InvalidInput: ``missing_setting``; ``bad_database_url``.
        Unavailable: ``database_unavailable``.
    """
    from api.accounts import Making
    from api.db.session import engine_work, open_database
    from api.gateway import draw_id

    database = open_database(database_url(), pool_size=1)
    try:
        with engine_work(database) as work:
            yield work, Making(datetime.now(UTC), draw_id, secrets.token_bytes)
    finally:
        database.dispose()
