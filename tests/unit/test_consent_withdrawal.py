"""What happens when a person takes a consent back, or when it ends. Over SQLite."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from api.consent import Action, ConsentRefused
from api.consent_records import (
    NewConsent,
    consented_work,
    list_uses,
    record_consent,
    use_consent,
    use_consent_again,
)
from api.consent_withdrawal import Revoked, revoke_consent, stop_unconsented
from api.db import resources, tables
from api.db.jobs import get_job
from api.db.listings import find_avatar, find_deletion, find_video
from api.db.migrate import migrate_database
from api.db.records import Quotas, ResourceStatus, Tenant, Upload, UploadStatus, Video
from api.db.session import engine_work, open_database, tenant_work
from api.db.tenants import add_tenant
from api.jobs.apply import apply_event, origin_at
from api.jobs.collector import remove_objects
from api.jobs.job import JobStatus
from api.jobs.signals import Dispatch
from api.jobs.use_cases import NewAvatar, delete_avatar, new_job, submit_avatar, submit_job
from shared.object_stores.memory import MemoryStore
from tests.job_worlds import started

_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_END = _NOW + timedelta(days=30)
_ORIGIN = origin_at(_NOW)


class Made:
    """Ids of an avatar that is being made and a video that is queued, under one consent."""

    def __init__(self, database: Engine) -> None:
        with tenant_work(database, "ten_a") as work:
            capture = _upload()
            resources.insert_upload(work, capture)
            terms = NewConsent(
                subject="Ada", scope=("avatar", "video"), expires_at=_END, statement="I allow it."
            )
            consent = record_consent(
                work, terms, capture, now=_NOW, new_id=lambda _kind: _ORIGIN.new_id("con")
            )
            avatar, avatar_job = submit_avatar(
                work, NewAvatar(name="Ada", capture_upload_id=capture.upload_id,
                                consent_id=consent.consent_id), _ORIGIN,
            )  # fmt: skip
            use_consent(
                work,
                consent.consent_id,
                Action.create_avatar,
                avatar.avatar_id,
                _NOW,
                capture_sha256=capture.sha256,
            )
            video_id = _ORIGIN.new_id("vid")
            inputs = {"avatar": "a/", "motion_model": "m/", "speech": "s"}
            video_job = new_job(
                "create_video", "ten_a", video_id, _ORIGIN, inputs=inputs, options={}
            )
            submit_job(work, video_job, _NOW)
            resources.insert_video(work, _video(video_id, avatar.avatar_id, video_job.job_id))
        self.consent_id, self.capture_id = consent.consent_id, capture.upload_id
        self.avatar_id, self.video_id = avatar.avatar_id, video_id
        self.job_ids = {str(avatar_job.job_id), str(video_job.job_id)}


def _upload() -> Upload:
    return Upload(
        upload_id=_ORIGIN.new_id("upl"),
        tenant_id="ten_a",
        purpose="capture",
        file_name="",
        content_type="video/mp4",
        n_bytes=1000,
        sha256="a" * 64,
        status=UploadStatus.ready,
        job_id=None,
        facts={"duration": 10.0, "has_audio": True},
        failure=None,
        created_at=_NOW,
        expires_at=_END,
        completed_at=_NOW,
    )


def _video(video_id: str, avatar_id: str, job_id: str) -> Video:
    return Video(
        video_id=video_id,
        tenant_id="ten_a",
        name="hello",
        labels={},
        status=ResourceStatus.pending,
        avatar_id=avatar_id,
        speech_upload_id="upl_speech",
        job_id=job_id,
        options={},
        facts={},
        version=1,
        created_at=_NOW,
        updated_at=_NOW,
    )


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    """Migrated, with one tenant."""
    url = f"sqlite:///{tmp_path / 'talksplat.db'}"
    migrate_database(url)
    database = open_database(url)
    tenant = Tenant(
        tenant_id="ten_a",
        name="a",
        weight=1.0,
        quotas=Quotas(),
        created_at=_NOW,
        disabled_at=None,
    )
    with engine_work(database) as work:
        add_tenant(work, tenant)
    yield database
    database.dispose()


def _revoke(database: Engine, made: Made, *, is_purge: bool = False) -> Revoked:
    with tenant_work(database, "ten_a") as work:
        return revoke_consent(work, made.consent_id, "asked", _ORIGIN, is_purge=is_purge)


def _statuses(database: Engine, made: Made) -> set[JobStatus]:
    with engine_work(database) as work:
        found = [get_job(work, job_id) for job_id in made.job_ids]
    return {job.status for job in found if job}


def test_a_revocation_stops_everything_at_once(database: Engine) -> None:
    """The avatar in the making and the queued video; each stop is written down."""
    made = Made(database)

    revoked = _revoke(database, made)

    assert made.job_ids == set(revoked.stopped_jobs)
    assert {JobStatus.canceled} == _statuses(database, made)
    with tenant_work(database, "ten_a") as work:
        uses = list_uses(work, made.consent_id)
        told = work.connection.execute(
            sa.select(tables.job_events.c.data).where(
                tables.job_events.c.type == "job.consent_ended"
            )
        ).scalars()
        codes = [data["code"] for data in told]
    revoked_uses = {(made.avatar_id, "consent_revoked"), (made.video_id, "consent_revoked")}
    assert revoked_uses | {(made.avatar_id, "")} == {(u.resource_id, u.detail) for u in uses}
    assert ["consent_revoked", "consent_revoked"] == codes


def test_a_job_that_is_ending_is_stopped_once(database: Engine) -> None:
    """Its worker may take seconds; the rounds meanwhile add nothing."""
    made = Made(database)
    job_id = min(made.job_ids)
    with engine_work(database) as work:
        job = get_job(work, job_id)
        assert job
        stage = job.stages[0].name
        apply_event(work, job_id, Dispatch(stage), _ORIGIN)
        job = get_job(work, job_id)
        assert job
        apply_event(work, job_id, started(job, stage), _ORIGIN)

    first = _revoke(database, made)
    again = stop_unconsented(database, _NOW)

    assert (2, 0) == (len(first.stopped_jobs), again)
    assert {JobStatus.canceled, JobStatus.canceling} == _statuses(database, made)


def test_after_a_revocation_nothing_new_is_allowed(database: Engine) -> None:
    """And the refusal is on record."""
    made = Made(database)
    _revoke(database, made)

    with (
        pytest.raises(ConsentRefused) as refused,
        consented_work(database, "ten_a") as work,
    ):
        use_consent(work, made.consent_id, Action.create_video, "vid_new", _NOW)
    with tenant_work(database, "ten_a") as work:
        newest = list_uses(work, made.consent_id)[0]
    assert ("consent_revoked", "vid_new", False) == (
        refused.value.code,
        newest.resource_id,
        newest.is_allowed,
    )


def test_a_job_is_not_tried_again_without_consent(database: Engine) -> None:
    """It is asked again, and both answers are written down."""
    made = Made(database)
    job_id = min(made.job_ids)
    with consented_work(database, "ten_a") as work:
        use_consent_again(work, job_id, _NOW)
    _revoke(database, made)

    with (
        pytest.raises(ConsentRefused) as refused,
        consented_work(database, "ten_a") as work,
    ):
        use_consent_again(work, job_id, _NOW)
    assert "consent_revoked" == refused.value.code


def test_a_purge_removes_what_was_made_and_gives_a_receipt(database: Engine) -> None:
    """Avatar, video and capture go; the consent, its revocation and uses stay."""
    made = Made(database)

    revoked = _revoke(database, made, is_purge=True)

    (receipt,) = revoked.deletions
    assert {"avatar", "video", "upload"} <= {one.partition(":")[0] for one in receipt.removed}
    assert ("consent_revoked", made.avatar_id) == (receipt.reason, receipt.subject_id)
    with tenant_work(database, "ten_a") as work:
        assert find_avatar(work, made.avatar_id) is None
        assert find_video(work, made.video_id) is None
        actions = [use.action for use in list_uses(work, made.consent_id)]
    assert "purge" in actions
    with engine_work(database) as work:
        kept = work.connection.execute(sa.select(tables.consent_revocations)).one()
    assert (made.consent_id, True, _NOW) == (kept.consent_id, kept.is_purge, kept.revoked_at)


def test_the_receipt_of_a_purge_says_how_much_and_when(database: Engine) -> None:
    """Once the collector has been there: every object, every byte, the moment of the last."""
    made, store = Made(database), MemoryStore()
    for job_id in made.job_ids:
        store.put_bytes(f"tenants/ten_a/jobs/{job_id}/train/1/avatar.bin", b"x" * 500)
    store.put_bytes(f"tenants/ten_a/uploads/{made.capture_id}", b"x" * 1000)
    store.put_bytes("tenants/ten_a/uploads/other", b"x")
    (receipt,) = _revoke(database, made, is_purge=True).deletions

    later = _NOW + timedelta(hours=1)
    while remove_objects(database, store, later):
        pass

    with tenant_work(database, "ten_a") as work:
        final = find_deletion(work, receipt.deletion_id)
    assert final
    assert (3, 2000, later) == (final.n_objects, final.n_bytes, final.finished_at)
    assert ["tenants/ten_a/uploads/other"] == [one.key for one in store.list_objects("")]


def test_a_purge_can_follow_a_revocation(database: Engine) -> None:
    """Asking twice is no mistake; the first moment and reason stay."""
    made = Made(database)
    first = _revoke(database, made)

    again = _revoke(database, made, is_purge=True)

    assert (first.consent.revoked_at, ()) == (again.consent.revoked_at, again.stopped_jobs)
    assert [1, 0] == [len(again.deletions), len(_revoke(database, made, is_purge=True).deletions)]


def test_a_purge_finds_what_outlived_its_avatar(database: Engine) -> None:
    """A video and a capture that were kept when the avatar was deleted."""
    made = Made(database)
    with tenant_work(database, "ten_a") as work:
        use_consent(work, made.consent_id, Action.create_video, made.video_id, _NOW)
        delete_avatar(work, made.avatar_id, _ORIGIN)

    revoked = _revoke(database, made, is_purge=True)

    assert {("video", made.video_id), ("upload", made.capture_id)} == {
        (receipt.subject_kind, receipt.subject_id) for receipt in revoked.deletions
    }


def test_queued_jobs_stop_when_their_consent_ends(database: Engine) -> None:
    """One round of the engine's loop, at the very moment."""
    made = Made(database)

    stopped = [stop_unconsented(database, moment) for moment in (_NOW, _END, _END)]

    assert [0, 2, 0] == stopped
    assert {JobStatus.canceled} == _statuses(database, made)
