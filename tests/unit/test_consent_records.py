"""Consents in the database: kept, bound, used, and never changed. Over SQLite."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from api.consent import Action, ConsentRefused
from api.consent_records import (
    NewConsent,
    consented_work,
    list_consents,
    list_uses,
    read_consent,
    record_consent,
    stopped_jobs,
    use_consent,
)
from api.db import tables
from api.db.append_only import APPEND_ONLY, append_only_statements
from api.db.consents import insert_revocation, jobs_past_consent, open_jobs_under
from api.db.records import Upload, UploadStatus
from api.db.session import engine_work, open_database, tenant_work
from api.ids import new_id
from shared.errors import InvalidInput
from tests.webhook_world import add_tenants

_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_END = _NOW + timedelta(days=30)
_CAPTURE = Upload(
    upload_id="upl_1",
    tenant_id="ten_a",
    purpose="capture",
    file_name="",
    content_type="video/mp4",
    n_bytes=1,
    sha256="a" * 64,
    status=UploadStatus.ready,
    job_id=None,
    facts={},
    failure=None,
    created_at=_NOW,
    expires_at=_NOW,
    completed_at=None,
)
_NEW = NewConsent(
    subject="Ada", scope=("video", "avatar"), expires_at=_END, statement="I allow it."
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    """Two tenants, and the triggers of the migration."""
    database = open_database(f"sqlite:///{tmp_path / 'talksplat.db'}")
    tables.metadata.create_all(database)
    add_tenants(database)
    with engine_work(database) as work:
        for statement in append_only_statements("sqlite"):
            work.connection.execute(sa.text(statement))
    yield database
    database.dispose()


def _record(database: Engine, new: NewConsent = _NEW) -> str:
    with tenant_work(database, "ten_a") as work:
        kept = record_consent(
            work, new, _CAPTURE, now=_NOW, new_id=lambda _kind: new_id("con", _NOW)
        )
    return kept.consent_id


def _revoke(database: Engine, consent_id: str) -> bool:
    with tenant_work(database, "ten_a") as work:
        consent = read_consent(work, consent_id)
        return insert_revocation(work, consent, "asked", _NOW, is_purge=False)


def _add_video(database: Engine, consent_id: str, job_id: str, *, is_begun: bool) -> None:
    """A video's job, and the avatar with the consent behind it."""
    common = {"tenant_id": "ten_a", "created_at": _NOW, "updated_at": _NOW}
    made = {"name": "", "labels": {}, "status": "pending", "options": {}, "facts": {}}
    job = {"kind": "create_video", "status": "queued", "resource_id": f"vid_{job_id}", "state": {}}
    avatar = {"id": f"ava_{job_id}", "capture_upload_id": "upl_1", "consent_id": consent_id}
    video = {"id": f"vid_{job_id}", "avatar_id": f"ava_{job_id}", "speech_upload_id": "upl_2"}
    with engine_work(database) as work:
        for table, row in (
            (tables.jobs, {"id": job_id, "is_begun": is_begun, **job, **common}),
            (tables.avatars, {**avatar, "job_id": "job_old", **made, **common}),
            (tables.videos, {**video, "job_id": job_id, **made, **common}),
        ):
            work.connection.execute(sa.insert(table).values(row))


def test_a_consent_is_kept_with_its_capture(database: Engine) -> None:
    """Bound to the recording's digest."""
    consent_id = _record(database)

    with tenant_work(database, "ten_a") as work:
        kept = read_consent(work, consent_id)
        listed = list_consents(work, limit=10)
    assert ("Ada", ("avatar", "video"), "a" * 64, _END, None) == (
        kept.subject,
        kept.scope,
        kept.capture_sha256,
        kept.expires_at,
        kept.revoked_at,
    )
    assert [kept] == listed


def test_every_use_is_written_down_allowed_or_refused(database: Engine) -> None:
    """A refusal rolls back what was wanted, not its own record."""
    consent_id = _record(database)
    with consented_work(database, "ten_a") as work:
        use_consent(work, consent_id, Action.create_video, "vid_1", _NOW)
    _revoke(database, consent_id)
    with pytest.raises(ConsentRefused), consented_work(database, "ten_a") as work:
        use_consent(work, consent_id, Action.create_video, "vid_2", _NOW)

    with tenant_work(database, "ten_a") as work:
        uses = list_uses(work, consent_id)
    assert [("vid_2", False, "consent_revoked"), ("vid_1", True, "")] == [
        (use.resource_id, use.is_allowed, use.detail) for use in uses
    ]


def test_a_consent_is_revoked_once(database: Engine) -> None:
    """The first moment and reason stay."""
    consent_id = _record(database)

    assert [True, False] == [_revoke(database, consent_id) for _ in range(2)]
    with tenant_work(database, "ten_a") as work:
        revoked = read_consent(work, consent_id)
    assert (_NOW, "asked") == (revoked.revoked_at, revoked.revoked_reason)


def test_another_tenant_cannot_see_or_use_it(database: Engine) -> None:
    """As if it had never been."""
    consent_id = _record(database)

    for attempt in (
        lambda work: read_consent(work, consent_id),
        lambda work: list_uses(work, consent_id),
        lambda work: use_consent(work, consent_id, Action.create_video, "vid_1", _NOW),
    ):
        with tenant_work(database, "ten_b") as work, pytest.raises(InvalidInput) as refused:
            attempt(work)
        assert "not_found" == refused.value.code
    with tenant_work(database, "ten_b") as work:
        assert [] == list_consents(work, limit=10)


def test_a_revocation_reaches_every_open_job(database: Engine) -> None:
    """Queued and begun; an expiry reaches those not begun."""
    revoked, ending, valid = _record(database), _record(database), _record(database)
    _add_video(database, revoked, "job_1", is_begun=True)
    _add_video(database, revoked, "job_2", is_begun=False)
    _add_video(database, ending, "job_3", is_begun=True)
    _add_video(database, ending, "job_4", is_begun=False)
    _add_video(database, valid, "job_5", is_begun=False)
    _revoke(database, revoked)
    jobs = [f"job_{n}" for n in range(1, 6)]

    with engine_work(database) as work:
        now = [stopped_jobs(work, jobs, moment) for moment in (_NOW, _END)]
        past = {bound.job_id for bound in jobs_past_consent(work, _END, limit=10)}
        under = {bound.job_id for bound in open_jobs_under(work, revoked)}
    # All three consents end at the same moment, so that job_5 is over by then as well.
    assert [{"job_1", "job_2"}, {"job_1", "job_2", "job_4", "job_5"}] == now
    assert {"job_1", "job_2", "job_4", "job_5"} == past
    assert {"job_1", "job_2"} == under


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
def test_evidence_cannot_be_changed(database: Engine, table: str, verb: str) -> None:
    """Not even by the engine."""
    consent_id = _record(database)
    with consented_work(database, "ten_a") as work:
        use_consent(work, consent_id, Action.create_video, "vid_1", _NOW)
    _revoke(database, consent_id)
    column = "consent_id" if table != "consents" else "subject"
    statement = f"UPDATE {table} SET {column} = ''" if verb == "UPDATE" else f"DELETE FROM {table}"  # noqa: S608

    with (
        pytest.raises(sa.exc.IntegrityError, match="append-only"),
        engine_work(database) as work,
    ):
        work.connection.execute(sa.text(statement))


def test_a_consent_video_must_be_the_tenant_s_own(database: Engine) -> None:
    """An id that nobody gave out proves nothing."""
    new = replace(_NEW, statement="", evidence_upload_id=new_id("upl", _NOW))

    with pytest.raises(InvalidInput, match="evidence"):
        _record(database, new)
