"""Queues and exchanges: their names, and how they are declared.

Every queue survives the broker and is replicated where the broker is (quorum). One that is declared
here is never changed, only followed by one of another name: RabbitMQ refuses a second declaration
that differs.
"""

from typing import Literal

from kombu import Exchange, Queue

SERVICES = ("preprocess", "trainer", "audio2motion", "renderer", "evaluator")
"""Folders of ``services/`` that have workers."""
QUEUE_CLASSES = ("interactive", "batch")
QueueClass = Literal["interactive", "batch"]
"""Whether somebody is waiting. A worker looks into the first queue first."""

DELIVERY_LIMIT = 5
"""A command that was handed back so often goes to the dead: its attempt then loses its lease."""
EVENT_DELIVERY_LIMIT = 1_000_000
"""Events are never given up because the gateway is restarted."""
CONSUMER_TIMEOUT_MS = 26 * 3600 * 1000
"""A worker may hold a command for so long: the longest deadline, a day, and some. RabbitMQ takes
this argument from 3.12 on; older ones need ``consumer_timeout`` in their configuration."""
CONTROL_EXPIRES_MS = 60_000

DEFAULT = Exchange("")
"""The broker's own: delivers to the queue that the routing key names."""
CONTROL = Exchange("talksplat.control", type="fanout", durable=True)
"""Reaches every worker that runs now."""
DEAD = Queue(
    "talksplat.dead",
    DEFAULT,
    routing_key="talksplat.dead",
    durable=True,
    queue_arguments={"x-queue-type": "quorum"},
)
"""What could not be delivered, for people to look at."""


def queue_name(service: str, queue_class: QueueClass) -> str:
    """Such as ``talksplat.trainer.batch``."""
    return f"talksplat.{service}.{queue_class}"


def stage_queue(service: str, queue_class: QueueClass) -> Queue:
    """Where commands wait for a service's workers."""
    return _quorum_queue(
        queue_name(service, queue_class),
        {"x-delivery-limit": DELIVERY_LIMIT, "x-consumer-timeout": CONSUMER_TIMEOUT_MS},
    )


def stage_queues(service: str) -> list[Queue]:
    """Both queues of a service, the more urgent one first."""
    return [stage_queue(service, "interactive"), stage_queue(service, "batch")]


def event_queue() -> Queue:
    """Where events wait for the gateway."""
    return _quorum_queue("talksplat.events", {"x-delivery-limit": EVENT_DELIVERY_LIMIT})


def control_queue(worker_id: str) -> Queue:
    """A worker's own ear for what is said to all; goes with its connection."""
    return Queue(
        f"talksplat.control.{worker_id}",
        CONTROL,
        durable=False,
        exclusive=True,
        auto_delete=True,
        message_ttl=CONTROL_EXPIRES_MS / 1000,
    )


def _quorum_queue(name: str, arguments: dict[str, int]) -> Queue:
    return Queue(
        name,
        DEFAULT,
        routing_key=name,
        durable=True,
        queue_arguments={
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": DEAD.name,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",  # what at-least-once asks for
            **arguments,
        },
    )
