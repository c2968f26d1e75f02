"""What a gateway does again and again beside the engine's own rounds."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.engine import Engine

from api.consent_withdrawal import stop_unconsented
from api.db.engine_state import read_engine_state
from api.db.session import engine_work
from api.jobs.engine import Round
from api.webhooks.sender import Sender, send_next
from shared.observability.gateway_telemetry import GatewayTelemetry

N_SENDERS = 4
"""Webhooks that one gateway attempts at once."""
_SEND_SECONDS = 1.0
_CONSENT_SECONDS = 5.0
_STATE_SECONDS = 5.0


def gateway_rounds(sender: Sender) -> list[Round]:
    """Webhook senders, the watch over consents, and the reading behind the gauges.

    Pass them to ``start_engine``. ``sender`` names database, clock and telemetry for all of them.
    """
    database, now = sender.database, sender.now

    def watch_consents() -> int:
        return stop_unconsented(database, now())

    return [
        *(
            Round(f"webhooks_{number}", _SEND_SECONDS, lambda: int(send_next(sender)))
            for number in range(N_SENDERS)
        ),
        Round("consents", _CONSENT_SECONDS, watch_consents),
        Round("state", _STATE_SECONDS, lambda: show_state(database, sender.telemetry, now)),
    ]


def show_state(database: Engine, telemetry: GatewayTelemetry, now: Callable[[], datetime]) -> int:
    """Read demand and backlogs into the gauges; 0, so that a pause follows.

    Raises:
        Unavailable: the database is away; the gauges keep their last reading and its time.
    """
    with engine_work(database, is_read_only=True) as work:
        telemetry.set_engine_state(read_engine_state(work, now()))
    return 0
