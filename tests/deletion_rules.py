"""What happens to uploads, avatars and videos on any database; subclasses bring one.

The class is not collected by itself: its name does not begin with Test.
"""

from datetime import timedelta

import pytest

from api.db import listings, tables
from api.db.records import Avatar, Deletion, ResourceStatus, Upload, UploadStatus, Video
from api.db.session import tenant_work
from api.jobs import use_cases
from api.jobs.collector import expire_uploads, remove_objects
from api.jobs.job import JobStatus
from shared.contracts.command import RunStage
from shared.errors import InvalidInput, Unavailable
from shared.object_store import Removed
from tests.engine_world import World
from tests.job_worlds import failed, started

DIGEST = "ab" * 32


class BrokenStore:
    """Fails at its first deletion."""

    def delete_prefix(self, prefix: str) -> Removed:
        """Never answers."""
        raise Unavailable("store_unavailable", prefix)

    def delete(self, key: str) -> None:
        """Never answers."""
        raise Unavailable("store_unavailable", key)

    def exists(self, key: str) -> bool:
        """Never answers."""
        raise Unavailable("store_unavailable", key)


def _request(world: World, tenant: str, purpose: str = "capture", n_bytes: int = 1000) -> Upload:
    new = use_cases.NewUpload(
        purpose=purpose, content_type="video/mp4", n_bytes=n_bytes, sha256=DIGEST
    )
    with tenant_work(world.database, tenant) as work:
        return use_cases.request_upload(work, new, world.origin)


def _complete(world: World, upload: Upload) -> None:
    with tenant_work(world.database, upload.tenant_id) as work:
        use_cases.complete_upload(work, upload.upload_id, world.origin)


def _ready(world: World, tenant: str, purpose: str = "capture") -> Upload:
    """An upload that was verified."""
    upload = _request(world, tenant, purpose)
    world.store.put_bytes(upload.key, b"x" * 1000)
    _complete(world, upload)
    world.run_everything()
    return _read(world, upload)


def _read(world: World, upload: Upload) -> Upload:
    with tenant_work(world.database, upload.tenant_id, is_read_only=True) as work:
        found = listings.find_upload(work, upload.upload_id)
    assert found is not None
    return found


def _avatar(world: World, capture: Upload) -> Avatar:
    new = use_cases.NewAvatar(
        name="me", capture_upload_id=capture.upload_id, consent_id="con_1", options={}
    )
    with tenant_work(world.database, capture.tenant_id) as work:
        return use_cases.submit_avatar(work, new, world.origin)[0]


def _video(world: World, avatar: Avatar, speech: Upload) -> Video:
    new = use_cases.NewVideo(
        name="hello", avatar_id=avatar.avatar_id, speech_upload_id=speech.upload_id
    )
    with tenant_work(world.database, avatar.tenant_id) as work:
        return use_cases.submit_video(work, new, world.origin)[0]


def _store_outputs(world: World, commands: list[RunStage]) -> None:
    """What workers would have stored."""
    for command in commands:
        world.store.put_bytes(command.output_prefix + "manifest.json", b"{}")


def _receipt(world: World, deletion: Deletion) -> Deletion:
    with tenant_work(world.database, deletion.tenant_id, is_read_only=True) as work:
        found = listings.find_deletion(work, deletion.deletion_id)
    assert found is not None
    return found


class DeletionRules:
    """Rules of ``use_cases``, ``deletions``, ``outcomes`` and ``collector``."""

    def test_an_upload_becomes_ready_once_a_worker_has_seen_it(self, world: World) -> None:
        """Completing it twice asks for one verification."""
        tenant = world.add_tenant("a")
        upload = _request(world, tenant)
        _complete(world, upload)
        _complete(world, upload)
        commands = world.run_everything()

        assert [DIGEST] == [command.options["sha256"] for command in commands]
        assert [upload.key] == [command.inputs["upload"] for command in commands]
        found = _read(world, upload)
        assert (UploadStatus.ready, {"n": 1}) == (found.status, dict(found.facts))

    def test_a_wrong_upload_is_rejected_and_removed(self, world: World) -> None:
        """With the worker's words; the tenant gets its room back."""
        tenant = world.add_tenant("a")
        upload = _request(world, tenant)
        world.store.put_bytes(upload.key, b"wrong")
        _complete(world, upload)
        (command,) = world.send()
        world.report(failed(world.job(command.job_id), "verify", is_retryable=False))
        world.remove()

        found = _read(world, upload)
        assert UploadStatus.rejected is found.status
        assert found.failure == {"code": "no_face", "message": "no face; film again"}
        assert not world.store.exists(upload.key)
        assert 0 == world.standing(tenant)[1]

    def test_an_upload_that_could_not_be_looked_at_waits(self, world: World) -> None:
        """The platform's trouble is not the tenant's: it may be completed again."""
        upload = _request(world, world.add_tenant("a"))
        _complete(world, upload)
        for _ in range(4):
            world.pass_time(400)
            (command,) = world.send()
            world.report(failed(world.job(command.job_id), "verify", is_retryable=True))

        assert UploadStatus.pending is _read(world, upload).status
        assert JobStatus.failed is world.job(command.job_id).status
        _complete(world, upload)
        assert 1 == len(world.send())

    def test_uploads_that_never_came_are_given_up(self, world: World) -> None:
        """What had arrived is removed, the room is given back."""
        tenant = world.add_tenant("a")
        upload = _request(world, tenant)
        world.store.put_bytes(upload.key, b"half")
        world.pass_time(25 * 3600)
        n_expired = expire_uploads(world.database, world.now)
        world.remove()

        assert (1, UploadStatus.expired) == (n_expired, _read(world, upload).status)
        assert not world.store.exists(upload.key)
        assert 0 == world.standing(tenant)[1]
        with pytest.raises(InvalidInput) as refused:
            _complete(world, upload)
        assert "upload_expired" == refused.value.code

    def test_uploads_without_room_are_refused(self, world: World) -> None:
        """Announced bytes count at once."""
        tenant = world.add_tenant("a", max_stored_bytes=1500)
        _request(world, tenant)

        with pytest.raises(InvalidInput) as refused:
            _request(world, tenant)
        assert "quota_stored_bytes" == refused.value.code

    def test_an_avatar_needs_a_ready_capture(self, world: World) -> None:
        """Neither an unverified one, nor a speech, nor another tenant's."""
        tenant, other = world.add_tenant("a"), world.add_tenant("b")
        refusals = []
        for upload in (
            _request(world, tenant),
            _ready(world, tenant, "speech"),
            _ready(world, other),
        ):
            with pytest.raises(InvalidInput) as refused:
                _avatar(world, Upload(**{**vars(upload), "tenant_id": tenant}))
            refusals.append(refused.value.code)

        assert ["upload_not_ready", "wrong_upload_purpose", "not_found"] == refusals

    def test_an_avatar_and_a_video_follow_their_jobs(self, world: World) -> None:
        """Pending, then ready with what the stages reported; the version grows."""
        tenant = world.add_tenant("a")
        avatar = _avatar(world, _ready(world, tenant))
        world.run_everything()
        video = _video(world, avatar, _ready(world, tenant, "speech"))
        commands = world.run_everything()

        with tenant_work(world.database, tenant, is_read_only=True) as work:
            made = listings.find_avatar(work, avatar.avatar_id)
            filmed = listings.find_video(work, video.video_id)
        assert made is not None
        assert filmed is not None
        assert (ResourceStatus.ready, ResourceStatus.ready) == (made.status, filmed.status)
        assert {"preprocess", "train", "fit_motion"} == set(made.facts)
        assert made.version > avatar.version
        prefix = f"tenants/{tenant}/jobs/{avatar.job_id}/"
        assert {
            "avatar": f"{prefix}train/1/",
            "avatar/motion_model": f"{prefix}fit_motion/1/",
            "speech": f"tenants/{tenant}/uploads/{video.speech_upload_id}",
        } == commands[0].inputs

    def test_a_video_needs_a_ready_avatar(self, world: World) -> None:
        """One that is still being made is refused."""
        tenant = world.add_tenant("a")
        capture, speech = _ready(world, tenant), _ready(world, tenant, "speech")
        avatar = _avatar(world, capture)

        with pytest.raises(InvalidInput) as refused:
            _video(world, avatar, speech)
        assert "avatar_not_ready" == refused.value.code

    def test_deleting_an_avatar_removes_its_artifacts_with_a_receipt(self, world: World) -> None:
        """The receipt says what and how much, and when it was done; videos stay."""
        tenant = world.add_tenant("a")
        avatar = _avatar(world, _ready(world, tenant))
        _store_outputs(world, world.run_everything())
        video = _video(world, avatar, _ready(world, tenant, "speech"))
        _store_outputs(world, world.run_everything())
        with tenant_work(world.database, tenant) as work:
            asked = use_cases.delete_avatar(work, avatar.avatar_id, world.origin)
        world.remove()
        done = _receipt(world, asked)

        assert (f"avatar:{avatar.avatar_id}", f"job:{avatar.job_id}") == done.removed
        assert (None, world.now) == (asked.finished_at, done.finished_at)
        assert (3, 3 * len(b"{}")) == (done.n_objects, done.n_bytes)
        assert [] == list(world.store.list_objects(f"tenants/{tenant}/jobs/{avatar.job_id}/"))
        assert [] != list(world.store.list_objects(f"tenants/{tenant}/jobs/{video.job_id}/"))
        assert 2 * 1000 + 3 * 300 == world.standing(tenant)[1]
        with tenant_work(world.database, tenant, is_read_only=True) as work:
            assert listings.find_avatar(work, avatar.avatar_id) is None

    def test_a_purge_takes_videos_and_capture_along(self, world: World) -> None:
        """Nothing of the person is left but the receipt."""
        tenant = world.add_tenant("a")
        avatar = _avatar(world, _ready(world, tenant))
        _store_outputs(world, world.run_everything())
        _video(world, avatar, _ready(world, tenant, "speech"))
        _store_outputs(world, world.run_everything())
        with tenant_work(world.database, tenant) as work:
            asked = use_cases.delete_avatar(
                work, avatar.avatar_id, world.origin, with_videos=True, with_capture=True
            )
        world.remove()

        assert {"avatar", "video", "job", "upload"} == {
            name.split(":")[0] for name in asked.removed
        }
        assert [1000] == [info.size for info in world.store.list_objects("")]  # the speech
        assert (0, 1000) == world.standing(tenant)
        assert _receipt(world, asked).finished_at is not None

    def test_deleting_an_avatar_stops_what_is_made_from_it(self, world: World) -> None:
        """Its own job, and videos under way."""
        tenant = world.add_tenant("a")
        avatar = _avatar(world, _ready(world, tenant))
        world.run_everything()
        video = _video(world, avatar, _ready(world, tenant, "speech"))
        (command,) = world.send()
        world.report(started(world.job(command.job_id), "animate"))
        with tenant_work(world.database, tenant) as work:
            use_cases.delete_avatar(work, avatar.avatar_id, world.origin)
        world.send()

        assert JobStatus.canceling is world.job(video.job_id).status
        assert ["animate"] == [each.stage for each in world.broker.canceled]

    def test_a_collector_that_was_killed_goes_on(self, world: World) -> None:
        """What the store did not confirm is removed later, by anybody."""
        tenant = world.add_tenant("a")
        upload = _ready(world, tenant)
        with tenant_work(world.database, tenant) as work:
            asked = use_cases.delete_upload(work, upload.upload_id, world.origin)
        with pytest.raises(Unavailable):
            remove_objects(world.database, BrokenStore(), world.now)
        unfinished = _receipt(world, asked)
        world.pass_time(601)
        world.remove()

        assert unfinished.finished_at is None
        assert (1, 1000) == (_receipt(world, asked).n_objects, _receipt(world, asked).n_bytes)
        assert not world.store.exists(upload.key)

    def test_an_upload_in_use_stays(self, world: World) -> None:
        """While an avatar is made from it; afterwards it may go."""
        tenant = world.add_tenant("a")
        upload = _ready(world, tenant)
        _avatar(world, upload)
        with (
            tenant_work(world.database, tenant) as work,
            pytest.raises(InvalidInput) as refused,
        ):
            use_cases.delete_upload(work, upload.upload_id, world.origin)
        world.run_everything()
        with tenant_work(world.database, tenant) as work:
            use_cases.delete_upload(work, upload.upload_id, world.origin)

        assert "upload_in_use" == refused.value.code

    def test_a_deleted_avatar_s_job_is_not_made_again(self, world: World) -> None:
        """There is nothing left to make it for."""
        tenant = world.add_tenant("a")
        avatar = _avatar(world, _ready(world, tenant))
        (command,) = world.send()
        world.report(failed(world.job(command.job_id), "preprocess", is_retryable=False))
        with tenant_work(world.database, tenant) as work:
            use_cases.delete_avatar(work, avatar.avatar_id, world.origin)

        with (
            tenant_work(world.database, tenant) as work,
            pytest.raises(InvalidInput) as refused,
        ):
            use_cases.retry_job(work, avatar.job_id, world.now)
        assert "job_not_retryable" == refused.value.code

    def test_foreign_things_cannot_be_deleted(self, world: World) -> None:
        """They are not found, and stay."""
        mine, theirs = world.add_tenant("mine"), world.add_tenant("theirs")
        upload = _ready(world, theirs)
        avatar = _avatar(world, upload)

        with tenant_work(world.database, mine) as work:
            with pytest.raises(InvalidInput, match="there is no avatar"):
                use_cases.delete_avatar(work, avatar.avatar_id, world.origin)
            with pytest.raises(InvalidInput, match="there is no upload"):
                use_cases.delete_upload(work, upload.upload_id, world.origin)
        assert UploadStatus.ready is _read(world, upload).status

    def test_renaming_asks_for_the_version_that_was_read(self, world: World) -> None:
        """Two editors do not overwrite each other."""
        tenant = world.add_tenant("a")
        avatar = _avatar(world, _ready(world, tenant))
        with tenant_work(world.database, tenant) as work:
            renamed = use_cases.rename_avatar(
                work, avatar.avatar_id, {"name": "you"}, world.now, expected_version=1
            )
            with pytest.raises(InvalidInput) as refused:
                use_cases.rename_avatar(
                    work, avatar.avatar_id, {"name": "they"}, world.now, expected_version=1
                )

        assert ("you", 2) == (renamed.name, renamed.version)
        assert "version_conflict" == refused.value.code

    def test_late_leftovers_of_a_canceled_job_are_removed_too(self, world: World) -> None:
        """A worker may have been uploading when it was told to stop."""
        tenant = world.add_tenant("a")
        avatar = _avatar(world, _ready(world, tenant))
        with tenant_work(world.database, tenant) as work:
            use_cases.cancel_job(work, avatar.job_id, world.now)
        world.remove()
        leftover = f"tenants/{tenant}/jobs/{avatar.job_id}/preprocess/1/frame.png"
        world.store.put_bytes(leftover, b"late")
        world.now += timedelta(minutes=11)
        world.remove()

        assert not world.store.exists(leftover)
        assert [] == world.rows(tables.removals, tenant_id=tenant)
