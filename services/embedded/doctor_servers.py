"""What the doctor says of the servers that settings name: database, broker and store.

Each is tried as the product uses it. One that is not named is not looked at.
"""

import secrets
from collections.abc import Callable

import sqlalchemy as sa

from api.db.migrate import check_database
from api.db.session import open_database
from services.embedded.finding import Finding
from shared.errors import PlatformError
from shared.messaging.connection import broker_errors, check_broker, open_connection
from shared.object_store import open_store
from shared.settings import Settings

_ADVICE = {
    "bad_database_url": "set TALKSPLAT_DATABASE_URL",
    "bad_broker_url": "set TALKSPLAT_BROKER_URL",
    "bad_store_url": "set TALKSPLAT_STORE_URL",
    "database_unavailable": "is the server there, and do host, user and password fit?",
    "broker_unavailable": "is RabbitMQ there, and do host, user, password and vhost fit?",
    "store_unavailable": "is the server there? The gateway makes the bucket when it starts",
}
_QUEUE_LIMITS_SINCE = (3, 12)
"""RabbitMQ knows a consumer's time limit per queue since then."""


def examine_servers(settings: Settings, *, needs_database: bool) -> list[Finding]:
    """Look at each server that is named; workers have no database."""
    named = [
        ("broker", settings.broker_url, _look_at_broker),
        ("store", settings.store_url, _look_at_store),
    ]
    if needs_database:
        named.insert(0, ("database", settings.database_url, _look_at_database))
    return [_look(subject, url, look) for subject, url, look in named]


def _look(subject: str, url: str | None, look: Callable[[str], str]) -> Finding:
    if url is None:
        text = f"TALKSPLAT_{subject.upper()}_URL is not set; talksplat serve needs none"
        return Finding(subject, is_well=True, text=text)
    try:
        return Finding(subject, is_well=True, text=look(url))
    except PlatformError as error:
        advice = _ADVICE.get(error.code)
        text = f"{error.message}; {advice}" if advice else error.message
        return Finding(subject, is_well=False, text=text)


def _look_at_database(url: str) -> str:
    database = open_database(url, pool_size=1)
    try:
        check_database(database)
        with database.connect() as connection:
            version = ".".join(map(str, connection.dialect.server_version_info or ()))
            kind = connection.dialect.name
            n_free = _free_connections(connection)
    finally:
        database.dispose()
    return f"{kind} {version}, migrated{n_free}"


def _free_connections(connection: sa.Connection) -> str:
    if connection.dialect.name != "postgresql":
        return ""
    query = sa.text(
        "SELECT current_setting('max_connections')::int, count(*) FROM pg_stat_activity"
    )
    most, used = connection.execute(query).one()
    return f", {used} of {most} connections in use"


def _look_at_broker(url: str) -> str:
    check_broker(url)
    if url.startswith("memory"):
        return "in memory"
    with broker_errors(), open_connection(url) as connection:
        about = connection.ensure_connection(max_retries=1).connection.server_properties
    version = str(about.get("version", "unknown"))
    text = f"{about.get('product', 'broker')} {version}"
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < _QUEUE_LIMITS_SINCE:
        text += "; set consumer_timeout in its configuration above the longest training"
    return text


def _look_at_store(url: str) -> str:
    """Write, read and remove a small object."""
    store = open_store(url)
    store.check()
    key, body = f"doctor/{secrets.token_hex(8)}", secrets.token_bytes(1000)
    store.put_bytes(key, body)
    try:
        is_same = store.get_bytes(key, max_bytes=len(body)) == body
    finally:
        store.delete(key)
    assert is_same, "a store gives back what was put"
    return "an object was written, read and removed"
