"""Readiness: every need is tried, in time, however one of them hangs."""

import threading

from shared.observability.readiness import OK, Readiness


def test_ready_when_every_check_returns() -> None:
    """Whatever they return."""
    report = Readiness({"database": lambda: 1, "store": lambda: None}).report()

    assert (True, {"database": OK, "store": OK}) == (report.is_ready, report.checks)


def test_a_failing_check_is_named_without_its_message() -> None:
    """Messages of drivers hold addresses and passwords."""

    def fail() -> None:
        raise ConnectionError("amqp://app:hunter2@broker refused")

    report = Readiness({"broker": fail, "store": lambda: None}).report()

    assert not report.is_ready
    assert {"broker": "failed: ConnectionError", "store": OK} == report.checks


def test_a_hanging_check_is_reported_and_not_started_again() -> None:
    """Probes come every few seconds; threads must not pile up."""
    release, started = threading.Event(), []

    def hang() -> None:
        started.append(1)
        release.wait(10)

    readiness = Readiness({"broker": hang}, timeout_seconds=0.05)
    told = [readiness.report().checks["broker"] for _ in range(3)]
    release.set()

    assert (["no answer in time"] * 3, 1) == (told, len(started))


def test_a_check_that_hung_is_tried_again_once_it_has_ended() -> None:
    """The process becomes ready by itself."""
    release, ended = threading.Event(), threading.Event()

    def hang_once() -> None:
        if not ended.is_set():
            release.wait(10)
            ended.set()

    readiness = Readiness({"broker": hang_once}, timeout_seconds=0.05)
    before = readiness.report().is_ready
    release.set()
    ended.wait(10)
    after = [readiness.report().is_ready for _ in range(3)]

    assert (False, True) == (before, after[-1])
