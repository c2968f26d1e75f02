"""Connections to the broker, ``amqp://`` or ``memory://``, and what its errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from amqp.exceptions import AMQPError, MessageNacked
from kombu import Connection
from kombu.exceptions import KombuError, OperationalError

from shared.errors import InvalidInput, Unavailable

CONNECT_SECONDS = 4.0
HEARTBEAT_SECONDS = 10
"""A peer that is silent for twice as long is gone."""
MEMORY_POLL_SECONDS = 0.05
"""How often the memory broker looks for messages."""
_ERRORS = (AMQPError, KombuError, OperationalError, MessageNacked, OSError)
"""OSError covers refused connections, resets and time-outs."""


def open_connection(broker_url: str, *, heartbeat: int = 0) -> Connection:
    """A connection that is made when it is first used.

    Args:
        broker_url: ``amqp://user:password@host:port/vhost``, ``amqps://`` or ``memory://``.
        heartbeat: Seconds; 0 for a connection that nobody watches while it is idle.

    Raises:
        InvalidInput: ``bad_broker_url``; the message keeps the password.
    """
    scheme = urlsplit(broker_url).scheme
    if scheme not in {"amqp", "amqps", "memory"}:
        raise InvalidInput(
            "bad_broker_url",
            f"the broker's URL begins with {scheme!r}, expected amqp, amqps or memory",
        )
    options = (
        {"polling_interval": MEMORY_POLL_SECONDS}
        if scheme == "memory"
        else {"confirm_publish": True, "max_retries": 0}
    )
    return Connection(
        broker_url,
        heartbeat=0 if scheme == "memory" else heartbeat,
        connect_timeout=CONNECT_SECONDS,
        transport_options=options,
    )


@contextmanager
def broker_errors() -> Iterator[None]:
    """Turn the client's errors into ours.

    Raises:
        Unavailable: ``broker_unavailable``.
    """
    try:
        yield
    except _ERRORS as error:
        raise Unavailable(
            "broker_unavailable", f"the broker cannot be reached or refuses: {error!r}"
        ) from error


def check_broker(broker_url: str) -> None:
    """Prove that the broker answers.

    Raises:
        Unavailable: ``broker_unavailable``.
    """
    with broker_errors(), open_connection(broker_url) as connection:
        connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
        connection.default_channel  # noqa: B018 - opens it
