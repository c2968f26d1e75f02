"""What a worker does with one message: run it, or say why not."""

import logging
from typing import Any

from pydantic import ValidationError

from shared.contracts.command import COMMAND, RunStage
from shared.errors import Unavailable
from shared.observability.logs import log_event
from shared.worker.stage_runner import Worker, run_stage
from shared.worker.stopping import StageStopped

_log = logging.getLogger(__name__)


class HandBackError(Exception):
    """The command shall go to another worker."""


class NoCommandError(Exception):
    """The message is no command that these workers understand; people shall look at it."""


def obey(worker: Worker, said: Any) -> None:  # noqa: ANN401 - whatever came
    """Run the command in ``said`` to its final event.

    Raises:
        HandBackError: it was not run to its end here; the message goes back.
        NoCommandError: the message goes to the dead.
    """
    try:
        command = COMMAND.validate_python(said)
    except ValidationError as error:
        log_event(_log, "command_malformed", level=logging.ERROR, reason=str(error)[:500])
        raise NoCommandError from error
    if not isinstance(command, RunStage):
        log_event(_log, "command_misplaced", level=logging.ERROR, type=command.type)
        raise NoCommandError
    try:
        run_stage(worker, command)
    except (StageStopped, Unavailable) as error:
        log_event(_log, "command_handed_back", level=logging.WARNING, reason=str(error))
        raise HandBackError from error
