"""Migrated PostgreSQL databases for tests: one is migrated, the others are copies."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import Engine

from api.db.migrate import migrate_database
from api.db.session import open_database

LOGIN, PASSWORD = "talksplat_test_gateway", "gateway:pass/word%40"


def login_url(owner_url: str) -> str:
    """How the gateway logs in to the database of ``owner_url``."""
    url = make_url(owner_url).set(username=LOGIN, password=PASSWORD)
    return url.render_as_string(hide_password=False)


def migrate_template(owner_url: str) -> str:
    """Migrate the database of ``owner_url`` and return the gateway's URL."""
    migrate_database(login_url(owner_url), owner_url)
    return login_url(owner_url)


@contextmanager
def copied_database(owner_url: str) -> Iterator[Engine]:
    """A copy of a migrated database, opened as the gateway; dropped afterwards."""
    template = make_url(owner_url)
    name = f"talksplat_test_{secrets.token_hex(4)}"
    owner = create_engine(
        template.set(drivername="postgresql+psycopg2", database="postgres"),
        isolation_level="AUTOCOMMIT",
    )
    with owner.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template.database}"'))
    copy = template.set(database=name).render_as_string(hide_password=False)
    database = open_database(login_url(copy))
    try:
        yield database
    finally:
        database.dispose()
        with owner.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        owner.dispose()
