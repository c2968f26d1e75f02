"""How many messages wait in a queue."""

from shared.messaging.connection import broker_errors, open_connection
from shared.messaging.routes import event_queue


def count_waiting_events(broker_url: str) -> int:
    """Events that no gateway has taken yet.

    Raises:
        Unavailable: ``broker_unavailable``.
    """
    with broker_errors(), open_connection(broker_url) as link:
        queue = event_queue()(link.default_channel)
        queue.queue_declare()
        return int(queue.queue_declare(passive=True).message_count)
