"""How commands talk: progress bars and errors on stderr, results on stdout."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from shared.progress import Progress as ReportProgress

_LOG_EVERY = 0.25


class Terminal(NamedTuple):
    """Where a command writes, and whether programs read it."""

    results: Console
    notes: Console
    is_json: bool


def open_terminal(*, is_json: bool) -> Terminal:
    """Results on stdout, everything else on stderr."""
    return Terminal(
        Console(file=sys.stdout, soft_wrap=True),
        Console(file=sys.stderr, stderr=True),
        is_json,
    )


@contextmanager
def progress_bar(terminal: Terminal, title: str) -> Iterator[ReportProgress]:
    """A bar on a terminal; a line for each quarter where stderr is a file."""
    if terminal.notes.is_terminal:
        with _rich_bar(terminal.notes, title) as report:
            yield report
    else:
        yield _line_log(terminal.notes, title)


def print_json(terminal: Terminal, value: object) -> None:
    """One JSON document for programs."""
    terminal.results.print_json(json.dumps(value), highlight=False)


def print_table(console: Console, title: str, header: list[str], rows: list[list[str]]) -> None:
    """A plain table for people."""
    table = Table(*header, title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
    console.print()


@contextmanager
def _rich_bar(console: Console, title: str) -> Iterator[ReportProgress]:
    columns = (
        TextColumn("{task.description:<20}"),
        BarColumn(bar_width=32),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[message]}"),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(title, total=1.0, message="")

        def report(fraction: float, message: str) -> None:
            bars.update(task, completed=fraction, message=message)

        yield report
        bars.update(task, completed=1.0, message="")


def _line_log(console: Console, title: str) -> ReportProgress:
    started = time.monotonic()
    reached = -1

    def report(fraction: float, message: str) -> None:
        nonlocal reached
        quarter = int(fraction / _LOG_EVERY)
        if quarter > reached:
            reached = quarter
            seconds = time.monotonic() - started
            text = f"{title}: {fraction:4.0%} {seconds:6.1f} s  {message}"
            console.print(text, highlight=False, markup=False)

    return report
