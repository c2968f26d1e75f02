"""Backup and restore of database plus store, into any other store.

The database comes first, from one snapshot; objects are copied after it, so that nothing it names
is missing but what was deleted meanwhile. A backup into the same place again copies only what is
new, and removes what was deleted since: deletions reach backups. ``backup.json`` is written last.
"""

import gzip
import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy.engine import Engine

from api.db.dump import read_rows, revision_of, write_rows
from api.jobs.restart import begin_again
from shared.errors import InvalidInput
from shared.object_store import ObjectInfo, Store
from shared.observability.logs import log_event
from shared.progress import Progress

MANIFEST, DATABASE, OBJECTS = "backup.json", "database.jsonl.gz", "objects/"
_MAX_MANIFEST = 1 << 20
_MAX_OBJECT = 1 << 40
_log = logging.getLogger(__name__)


class BackupManifest(BaseModel):
    """What a backup holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    revision: str
    """Of the database's schema; a restore needs the same."""
    created_at: datetime
    """When it was begun, UTC."""
    database_sha256: str
    """Of the compressed rows."""
    n_rows: int
    """Of all tables."""
    n_objects: int
    """In the store, copied in this backup or before."""
    n_bytes: int
    """Of these objects."""


class Restored(NamedTuple):
    """What came back."""

    manifest: BackupManifest
    n_rows: int
    n_stages_begun_again: int
    """Attempts that were under way when the backup was made."""


def back_up(
    database: Engine, store: Store, target: Store, now: datetime, progress: Progress
) -> BackupManifest:
    """Write a backup into ``target``; everything may go on meanwhile.

    Raises:
        Unavailable: database or one of the stores do not answer; an earlier backup there is then
            no longer whole, and says so when it is restored.
    """
    target.prepare()
    target.delete(MANIFEST)
    revision = revision_of(database)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / DATABASE
        n_rows = _write_lines(path, read_rows(database))
        progress(0.1, f"{n_rows} rows")
        target.put_file(DATABASE, path)
        digest = _sha256(path)
        found = _mirror(store, target, Path(folder), progress)
    manifest = BackupManifest(
        revision=revision,
        created_at=now,
        database_sha256=digest,
        n_rows=n_rows,
        n_objects=len(found),
        n_bytes=sum(info.size for info in found),
    )
    target.put_bytes(MANIFEST, manifest.model_dump_json(indent=2).encode())
    progress(1.0, "written")
    return manifest


def restore(
    source: Store, database: Engine, store: Store, now: datetime, progress: Progress
) -> Restored:
    """Fill an empty, migrated database and its store from a backup; no gateway runs meanwhile.

    What was under way when the backup was made is begun again. Doing it again after it broke off
    copies what is missing.

    Raises:
        InvalidInput: ``bad_backup``; ``backup_of_other_version``; ``database_not_empty``.
        Unavailable: database or one of the stores do not answer.
    """
    manifest = read_backup(source)
    revision = revision_of(database)
    if revision != manifest.revision:
        raise InvalidInput(
            "backup_of_other_version",
            f"the backup has revision {manifest.revision}, the database {revision}: restore with "
            "the version that made it, then upgrade",
        )
    store.prepare()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / DATABASE
        source.get_file(DATABASE, path, max_bytes=_MAX_OBJECT)
        if _sha256(path) != manifest.database_sha256:
            raise InvalidInput("bad_backup", "the backup's rows are not those it was made with")
        objects = list(source.list_objects(OBJECTS))
        for number, info in enumerate(objects):
            _copy(source, info, store, info.key.removeprefix(OBJECTS), Path(folder))
            progress(0.9 * (number + 1) / len(objects), "objects")
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            counts = write_rows(database, lines)
    n_again = begin_again(database, now)
    progress(1.0, "restored")
    return Restored(manifest, sum(counts.values()), n_again)


def read_backup(source: Store) -> BackupManifest:
    """What a backup says it holds.

    Raises:
        InvalidInput: ``bad_backup`` there is none, or it was not finished.
    """
    if not source.exists(MANIFEST):
        raise InvalidInput("bad_backup", f"there is no {MANIFEST}: no backup, or an unfinished one")
    try:
        body = json.loads(source.get_bytes(MANIFEST, max_bytes=_MAX_MANIFEST))
        return BackupManifest.model_validate(body)
    except (ValueError, ValidationError) as error:
        raise InvalidInput("bad_backup", f"{MANIFEST} cannot be read: {error}") from error


def _mirror(store: Store, target: Store, folder: Path, progress: Progress) -> list[ObjectInfo]:
    """Make the target's objects those of the store; what it has by key and size stays.

    Keys are never written with other bytes, but for checkpoints, which change their size or name.
    """
    there = {info.key.removeprefix(OBJECTS): info for info in target.list_objects(OBJECTS)}
    found: list[ObjectInfo] = []
    wanted = list(store.list_objects(""))
    for number, info in enumerate(wanted):
        old = there.pop(info.key, None)
        is_same = old is not None and old.size == info.size and old.modified_at >= info.modified_at
        if is_same or _copy(store, info, target, OBJECTS + info.key, folder):
            found.append(info)
        progress(0.1 + 0.85 * (number + 1) / len(wanted), "objects")
    for key in there:
        target.delete(OBJECTS + key)
    return found


def _copy(source: Store, info: ObjectInfo, target: Store, key: str, folder: Path) -> bool:
    """Copy an object; False where it was deleted meanwhile."""
    path = folder / "object"
    try:
        source.get_file(info.key, path, max_bytes=_MAX_OBJECT)
    except InvalidInput as error:
        if error.code != "object_not_found":
            raise
        log_event(_log, "object_gone", key=info.key)
        return False
    target.put_file(key, path)
    return True


def _write_lines(path: Path, lines: Iterator[str]) -> int:
    n = 0
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=6) as out:
        for line in lines:
            out.write(line + "\n")
            n += 1
    return n


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
