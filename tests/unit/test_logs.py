"""Log lines: one JSON object each, with bound fields and without secrets."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.observability.logs import (
    LineFormatter,
    bound_fields,
    configure_logs,
    log_event,
    log_failure,
)
from shared.observability.redaction import MASK, MAX_TEXT, redact_text

_LOGGER = logging.getLogger("tests.logs")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where this test's log lines go."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(LineFormatter("gateway", is_json=True))
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False
    yield written
    _LOGGER.removeHandler(handler)
    _LOGGER.propagate = True


@pytest.fixture
def kept_root() -> Iterator[None]:
    """Give the root logger its handlers back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _connect(url: str) -> None:
    raise ConnectionError(f"{url} refused")


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_object_with_its_fields(stream: io.StringIO) -> None:
    """Name, level and process stand beside the event's own fields."""
    log_event(_LOGGER, "stage_succeeded", stage="train", seconds=1.5)

    (line,) = _lines(stream)
    assert line.pop("time").endswith("Z")
    assert {
        "level": "info",
        "event": "stage_succeeded",
        "logger": "tests.logs",
        "process": "gateway",
        "stage": "train",
        "seconds": 1.5,
    } == line


def test_bound_fields_hold_inside_their_block_only(stream: io.StringIO) -> None:
    """An inner block adds to the outer one and takes nothing with it."""
    with bound_fields(job_id="j1", stage="train"):
        with bound_fields(attempt=2, stage="render"):
            log_event(_LOGGER, "inner")
        log_event(_LOGGER, "outer")
    log_event(_LOGGER, "after")

    told = [
        {key: line.get(key) for key in ("job_id", "stage", "attempt")} for line in _lines(stream)
    ]
    assert [
        {"job_id": "j1", "stage": "render", "attempt": 2},
        {"job_id": "j1", "stage": "train", "attempt": None},
        {"job_id": None, "stage": None, "attempt": None},
    ] == told


def test_extra_values_are_fields_too(stream: io.StringIO) -> None:
    """Of libraries that log the standard way; what is no plain value stays out."""
    _LOGGER.info("task received", extra={"queue": "batch", "event": "x", "data": {"a": object()}})

    (line,) = _lines(stream)
    assert ("batch", "x", "task received") == (line["queue"], line["event_"], line["event"])
    assert "data" not in line


def test_text_of_strangers_stays_on_its_line(stream: io.StringIO) -> None:
    """A line break in a field forges no second line."""
    log_event(_LOGGER, "failed", message='bad\n{"event":"forged"}\u2028')

    assert 1 == len(stream.getvalue().splitlines())


def test_a_field_cannot_take_the_place_of_the_line_s_own(stream: io.StringIO) -> None:
    """It is renamed instead."""
    log_event(_LOGGER, "real", time="never", process="other")

    (line,) = _lines(stream)
    assert ("gateway", "never", "other") == (line["process"], line["time_"], line["process_"])


def test_an_unexpected_error_has_its_traceback(stream: io.StringIO) -> None:
    """In one field, its secrets masked."""
    with pytest.raises(ConnectionError) as caught:
        _connect("amqp://app:hunter2@broker:5672//")
    log_failure(_LOGGER, "loop_failed", caught.value, loop="outbox")

    (line,) = _lines(stream)
    assert "Traceback" in line["exception"]
    assert ("ConnectionError", "outbox") == (line["error"], line["loop"])
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:hunter2@db/x",
        "s3://KEY:hunter2@host:9000/bucket?secure=0",
        "PUT https://s3/b/k?X-Amz-Expires=900&X-Amz-Signature=hunter2",
        "Authorization: Bearer hunter2hunter2",
        "secret is whsec_hunter2==",
        f"key ts_hunter2{'x' * 36} is unknown",
        "https://gateway/v1/upload?token=hunter2&x=1",
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    """The rest of the text remains."""
    told = redact_text(text)

    assert "hunter2" not in told
    assert MASK in told


@pytest.mark.parametrize("name", ["password", "api_key", "Authorization", "webhook_secret"])
def test_a_field_named_like_a_secret_is_masked(stream: io.StringIO, name: str) -> None:
    """Whatever it looks like."""
    with bound_fields(**{name: "hunter2"}):
        log_event(_LOGGER, "configured")

    assert MASK == _lines(stream)[0][name]


def test_long_text_is_cut() -> None:
    """A line stays readable, and says how much there was."""
    told = redact_text("x" * 1_000_000)

    assert told.endswith("(1000000 characters)")
    assert len(told) < MAX_TEXT + 50


def test_hostile_text_is_read_in_linear_time() -> None:
    """Patterns do not run away."""
    assert redact_text("://" + "a:" * 500_000).startswith("://a:")


@pytest.mark.usefixtures("kept_root")
def test_libraries_write_through_the_same_formatter() -> None:
    """A warning of any library is an object with our bound fields."""
    written = io.StringIO()
    configure_logs("worker-trainer", stream=written)

    with bound_fields(job_id="j1"):
        logging.getLogger("celery").warning("lost %s", "connection")
        logging.getLogger("urllib3").info("GET /secret")

    (line,) = _lines(written)
    assert ("lost connection", "j1", "celery") == (line["event"], line["job_id"], line["logger"])


@pytest.mark.usefixtures("kept_root")
def test_lines_for_people_are_plain_and_steer_no_terminal() -> None:
    """Key and value, escapes shown."""
    written = io.StringIO()
    configure_logs("gateway", stream=written, is_json=False)

    log_event(logging.getLogger("x"), "job_failed", code="no_face", message="\x1b[2Jgone\n")

    line = written.getvalue()
    assert line.endswith(r'job_failed code=no_face message="\u001b[2Jgone\n"' + "\n")


def test_an_unknown_level_is_refused() -> None:
    """The message lists what there is."""
    with pytest.raises(InvalidInput, match="choose one of"):
        configure_logs("gateway", level="loud")
