"""backup and restore: database plus store."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from services.embedded.commands.words import JsonOption
from services.embedded.operating import database_url
from services.embedded.terminal import open_terminal, print_json, progress_bar
from shared.settings import read_settings, require_setting

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from shared.object_store import Store

Place = Annotated[
    str, typer.Argument(help="file:///folder or s3://ACCESS:SECRET@host:port/bucket.")
]


def backup(to: Place, as_json: JsonOption = False) -> None:
    """Back up database and store; the platform may run meanwhile.

    Into the same place again it copies only what is new, and removes what was deleted since. Needs
    TALKSPLAT_DATABASE_URL and TALKSPLAT_STORE_URL.

    \b
    talksplat backup file:///backups/talksplat
    """
    from services.embedded.backup import back_up
    from shared.object_store import open_store

    terminal = open_terminal(is_json=as_json)
    with _opened() as (database, store), progress_bar(terminal, "backup") as progress:
        made = back_up(database, store, open_store(to), datetime.now(UTC), progress)
    told = f"{made.n_rows} rows, {made.n_objects} objects, {made.n_bytes / 1e9:.2f} GB"
    if as_json:
        print_json(terminal, made.model_dump(mode="json"))
    else:
        terminal.results.print(told, highlight=False)


def restore(source: Place, as_json: JsonOption = False) -> None:
    """Restore a backup into an empty, migrated database and its store; no gateway may run.

    \b
    talksplat migrate
    talksplat restore file:///backups/talksplat
    """
    from services.embedded.backup import restore as restore_backup
    from shared.object_store import open_store

    terminal = open_terminal(is_json=as_json)
    with _opened() as (database, store), progress_bar(terminal, "restore") as progress:
        done = restore_backup(open_store(source), database, store, datetime.now(UTC), progress)
    if as_json:
        about = {"rows": done.n_rows, "stages_begun_again": done.n_stages_begun_again}
        print_json(terminal, done.manifest.model_dump(mode="json") | about)
    else:
        made_at = f"{done.manifest.created_at:%Y-%m-%d %H:%M} UTC"
        told = f"{done.n_rows} rows and {done.manifest.n_objects} objects of {made_at}"
        terminal.results.print(told, highlight=False)


@contextmanager
def _opened() -> "Iterator[tuple[Engine, Store]]":
    from api.db.session import open_database
    from shared.object_store import open_store

    store = open_store(require_setting(read_settings(os.environ), "store_url"))
    database = open_database(database_url(), pool_size=2)
    try:
        yield database, store
    finally:
        database.dispose()
