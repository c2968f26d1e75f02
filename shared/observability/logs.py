"""Structured logs: one JSON object per line, with the fields that are bound around it.

The standard library's logging, not structlog: Celery, kombu, SQLAlchemy and uvicorn write through
it too, so one formatter gives every line of a process the same fields and the same redaction.
"""

import contextvars
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TextIO

from shared.errors import InvalidInput
from shared.observability.redaction import Field, redact_field, redact_text

LEVELS = ("debug", "info", "warning", "error")
_FIELDS = "talksplat_fields"
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OWN = frozenset({"time", "level", "event", "logger", "process", "exception"})
_QUIET = ("alembic", "httpcore", "httpx", "urllib3", "amqp", "kombu", "uvicorn.access")
"""Libraries that tell every request; ours are counted and logged by ourselves."""

_bound: contextvars.ContextVar[Mapping[str, Field]] = contextvars.ContextVar(
    "talksplat_bound_fields", default=MappingProxyType({})
)


def configure_logs(
    process: str, *, level: str = "info", is_json: bool = True, stream: TextIO | None = None
) -> None:
    """Send every log line of this process to ``stream`` (standard error) in one form.

    Args:
        process: Name of the deployable, such as ``gateway`` or ``worker-trainer``.
        level: One of ``LEVELS``; libraries that tell every request are kept at ``warning``.
        is_json: One object per line for collectors; otherwise ``key=value`` for people.
        stream: Where to write.

    Raises:
        InvalidInput: ``bad_log_level``.
    """
    if level not in LEVELS:
        raise InvalidInput("bad_log_level", f"log level {level!r}; choose one of {LEVELS}")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter(process, is_json=is_json))
    root = logging.getLogger()
    for previous in list(root.handlers):
        root.removeHandler(previous)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "celery"):
        logger = logging.getLogger(name)
        logger.handlers.clear()  # theirs would write the line a second time, in another form
        logger.propagate = True


@contextmanager
def bound_fields(**fields: Field) -> Iterator[None]:
    """Add ``fields`` to every line logged inside the block by this thread or task.

    Typically ``job_id``, ``stage``, ``attempt``, ``trace_id``, ``request_id``, ``tenant_id``.
    """
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def log_event(
    logger: logging.Logger, event: str, *, level: int = logging.INFO, **fields: Field
) -> None:
    """Log that ``event`` happened (snake_case, past tense), with its fields."""
    logger.log(level, event, extra={_FIELDS: fields}, stacklevel=2)


def log_failure(logger: logging.Logger, event: str, error: BaseException, **fields: Field) -> None:
    """Log an error that nobody expected, with its traceback."""
    told = {"error": type(error).__name__, **fields}
    logger.error(event, exc_info=error, extra={_FIELDS: told}, stacklevel=2)


class LineFormatter(logging.Formatter):
    """Writes one record as one line; what looks like a secret is left out."""

    def __init__(self, process: str, *, is_json: bool) -> None:
        super().__init__()
        self._process = process
        self._is_json = is_json

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        line: dict[str, Field] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "event": redact_text(record.getMessage()),
            "logger": record.name,
            "process": self._process,
        }
        fields = {**_bound.get(), **_extra(record), **getattr(record, _FIELDS, {})}
        line |= {
            f"{name}_" if name in _OWN else name: redact_field(name, value)
            for name, value in fields.items()
        }
        if record.exc_info:
            line["exception"] = redact_text(self.formatException(record.exc_info))
        if self._is_json:
            return json.dumps(line, default=str, ensure_ascii=True)
        return _for_people(line)


def _extra(record: logging.LogRecord) -> dict[str, Field]:
    """Plain values that were given as ``extra=``, the standard library's way."""
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD and isinstance(value, str | int | float | bool | None)
    }


def _timestamp(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _for_people(line: Mapping[str, Field]) -> str:
    said = f"{line['time']} {line['level']:<7} {_one_line(line['event'])}"
    rest = [
        f"{name}={_one_line(value)}"
        for name, value in line.items()
        if name not in {"time", "level", "event", "logger", "process", "exception"}
    ]
    trace = f"\n{line['exception']}" if "exception" in line else ""
    return " ".join([said, *rest]) + trace


def _one_line(value: Field) -> str:
    """Text of strangers must not begin a line of its own or steer a terminal."""
    text = str(value)
    return text if text.isprintable() else json.dumps(text)
