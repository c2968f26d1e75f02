"""Pages of what a tenant has: uploads, avatars, videos, jobs, deletions, newest first.

Each page is one index scan: ``(tenant_id, created_at, id)`` backwards from the cut.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from api.db import tables
from api.db.records import Avatar, Cut, Deletion, ResourceStatus, Upload, UploadStatus, Video
from api.db.unit_of_work import UnitOfWork


class StoredJob(NamedTuple):
    """A job as ``api.jobs.job.dump_job`` wrote it, and how often it has changed."""

    state: Mapping[str, Any]
    version: int
    updated_at: datetime


def list_uploads(work: UnitOfWork, after: Cut | None, n_rows: int) -> list[Upload]:
    """A page of uploads."""
    rows = _page(work, tables.uploads, after, n_rows)
    return [upload_of(row) for row in rows]


def find_upload(work: UnitOfWork, upload_id: str) -> Upload | None:
    """One upload."""
    row = _one(work, tables.uploads, upload_id)
    return upload_of(row) if row is not None else None


def list_avatars(
    work: UnitOfWork, after: Cut | None, n_rows: int, *, status: str | None = None
) -> list[Avatar]:
    """A page of avatars."""
    columns = tables.avatars.c
    where = [] if status is None else [columns.status == status]
    return [avatar_of(row) for row in _page(work, tables.avatars, after, n_rows, *where)]


def find_avatar(work: UnitOfWork, avatar_id: str) -> Avatar | None:
    """One avatar."""
    row = _one(work, tables.avatars, avatar_id)
    return avatar_of(row) if row is not None else None


def list_videos(
    work: UnitOfWork,
    after: Cut | None,
    n_rows: int,
    *,
    status: str | None = None,
    avatar_id: str | None = None,
) -> list[Video]:
    """A page of videos."""
    columns = tables.videos.c
    where = [] if status is None else [columns.status == status]
    if avatar_id is not None:
        where.append(columns.avatar_id == avatar_id)
    return [video_of(row) for row in _page(work, tables.videos, after, n_rows, *where)]


def find_video(work: UnitOfWork, video_id: str) -> Video | None:
    """One video."""
    row = _one(work, tables.videos, video_id)
    return video_of(row) if row is not None else None


def list_jobs(
    work: UnitOfWork,
    after: Cut | None,
    n_rows: int,
    *,
    status: str | None = None,
    kind: str | None = None,
) -> list[StoredJob]:
    """A page of jobs."""
    columns = tables.jobs.c
    where = [] if status is None else [columns.status == status]
    if kind is not None:
        where.append(columns.kind == kind)
    return [stored_job_of(row) for row in _page(work, tables.jobs, after, n_rows, *where)]


def find_job(work: UnitOfWork, job_id: str) -> StoredJob | None:
    """One job."""
    row = _one(work, tables.jobs, job_id)
    return stored_job_of(row) if row is not None else None


def read_versions(work: UnitOfWork, job_ids: Collection[str]) -> dict[str, int]:
    """Versions of some jobs; those that are gone are left out."""
    columns = tables.jobs.c
    query = sa.select(columns.id, columns.version).where(
        work.owned(tables.jobs), columns.id.in_(job_ids)
    )
    return {row.id: row.version for row in work.connection.execute(query)}


def list_deletions(work: UnitOfWork, after: Cut | None, n_rows: int) -> list[Deletion]:
    """A page of receipts."""
    return [deletion_of(row) for row in _page(work, tables.deletions, after, n_rows)]


def find_deletion(work: UnitOfWork, deletion_id: str) -> Deletion | None:
    """One receipt."""
    row = _one(work, tables.deletions, deletion_id)
    return deletion_of(row) if row is not None else None


def is_after(table: sa.Table, cut: Cut) -> sa.ColumnElement[bool]:
    """Condition that a row comes on a later page than ``cut``, newest first."""
    place = (table.c.created_at, table.c.id)
    values = zip(cut, place, strict=True)
    return sa.tuple_(*place) < sa.tuple_(
        *(sa.literal(value, column.type) for value, column in values)
    )


def upload_of(row: Any) -> Upload:  # noqa: ANN401 - a row of SQLAlchemy has no type of its own
    """An upload's row as a value."""
    return Upload(
        upload_id=row.id,
        tenant_id=row.tenant_id,
        purpose=row.purpose,
        file_name=row.file_name,
        content_type=row.content_type,
        n_bytes=row.n_bytes,
        sha256=row.sha256,
        status=UploadStatus(row.status),
        job_id=row.job_id,
        facts=row.facts,
        failure=row.failure,
        created_at=row.created_at,
        expires_at=row.expires_at,
        completed_at=row.completed_at,
    )


def avatar_of(row: Any) -> Avatar:  # noqa: ANN401 - as above
    """An avatar's row as a value."""
    return Avatar(
        avatar_id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        labels=row.labels,
        status=ResourceStatus(row.status),
        capture_upload_id=row.capture_upload_id,
        consent_id=row.consent_id,
        job_id=row.job_id,
        options=row.options,
        facts=row.facts,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def video_of(row: Any) -> Video:  # noqa: ANN401 - as above
    """A video's row as a value."""
    return Video(
        video_id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        labels=row.labels,
        status=ResourceStatus(row.status),
        avatar_id=row.avatar_id,
        speech_upload_id=row.speech_upload_id,
        job_id=row.job_id,
        options=row.options,
        facts=row.facts,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def stored_job_of(row: Any) -> StoredJob:  # noqa: ANN401 - as above
    """A job's row as a value."""
    return StoredJob(row.state, row.version, row.updated_at)


def deletion_of(row: Any) -> Deletion:  # noqa: ANN401 - as above
    """A receipt's row as a value."""
    return Deletion(
        deletion_id=row.id,
        tenant_id=row.tenant_id,
        subject_kind=row.subject_kind,
        subject_id=row.subject_id,
        reason=row.reason,
        removed=tuple(row.removed),
        n_objects=row.n_objects,
        n_bytes=row.n_bytes,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def _one(work: UnitOfWork, table: sa.Table, row_id: str) -> Any:  # noqa: ANN401 - as above
    query = sa.select(table).where(work.owned(table), table.c.id == row_id)
    return work.connection.execute(query).one_or_none()


def _page(
    work: UnitOfWork,
    table: sa.Table,
    after: Cut | None,
    n_rows: int,
    *where: sa.ColumnElement[bool],
) -> list[Any]:
    columns = table.c
    query = sa.select(table).where(work.owned(table), *where)
    if after is not None:
        query = query.where(is_after(table, after))
    query = query.order_by(columns.created_at.desc(), columns.id.desc()).limit(n_rows)
    return list(work.connection.execute(query))
