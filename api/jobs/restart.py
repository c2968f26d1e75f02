"""What the one-process platform does before it starts: its workers and messages are all gone.

A gateway with a broker of its own never does this: there, workers go on while gateways restart.
"""

from datetime import datetime, timedelta

from sqlalchemy.engine import Engine

from api.db import attempts, outbox, workers
from api.db.session import engine_work
from api.jobs.apply import apply_event, origin_at
from api.jobs.signals import WorkersGone


def begin_again(database: Engine, now: datetime) -> int:
    """Make every stage ready again that was sent to a worker; returns how many.

    A stage with checkpoints goes on from its last one. No attempt is spent: it was not the stage
    that failed. To be called while nothing else uses the database.

    Raises:
        Unavailable: ``database_unavailable``.
    """
    with engine_work(database) as work:
        outbox.forget_all(work)  # orders of attempts that end below; if not now, at the next start
        workers.forget_workers(work, now + timedelta(days=1))  # clocks may have been set back
        interrupted = attempts.open_attempts(work)
    for each in interrupted:
        with engine_work(database) as work:
            apply_event(work, each.job_id, WorkersGone(each.stage, each.attempt), origin_at(now))
    return len(interrupted)
