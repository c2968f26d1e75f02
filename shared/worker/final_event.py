"""Keeps the event that ended an attempt beside its outputs, so that it can be sent again."""

from shared.contracts.artifact import MANIFEST
from shared.contracts.command import RunStage
from shared.contracts.event import EVENT, StageSucceeded
from shared.object_store import Store
from shared.worker.stopping import Stop
from shared.worker.transfer import FINAL_EVENT, MAX_SMALL_BYTES, patiently


def keep_final_event(store: Store, command: RunStage, event: StageSucceeded, stop: Stop) -> None:
    """Store the event; the manifest comes after it."""
    body = event.model_dump_json().encode()
    patiently(lambda: store.put_bytes(command.output_prefix + FINAL_EVENT, body), stop)


def earlier_end(store: Store, command: RunStage, stop: Stop) -> StageSucceeded | None:
    """The event of an earlier run of this very attempt that has finished, or None."""
    return patiently(lambda: read_earlier_end(store, command), stop)


def read_earlier_end(store: Store, command: RunStage) -> StageSucceeded | None:
    """``earlier_end`` without waiting for a store that is away."""
    prefix = command.output_prefix
    if not store.exists(prefix + MANIFEST):
        return None
    body = store.get_bytes(prefix + FINAL_EVENT, max_bytes=MAX_SMALL_BYTES)
    event = EVENT.validate_json(body)
    return event if isinstance(event, StageSucceeded) else None
