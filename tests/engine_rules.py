"""What the engine promises on any database; subclasses bring one.

The class is not collected by itself: its name does not begin with Test.
"""

from collections import Counter

import pytest

from api.db import tables
from api.db.ready_stages import queue_position
from api.db.session import engine_work, tenant_work
from api.jobs import use_cases
from api.jobs.collector import Ages, forget_old_rows
from api.jobs.dispatcher import dispatch_ready
from api.jobs.job import JobStatus, StageStatus
from api.jobs.outbox import send_letters
from api.jobs.plan import StageSpec
from shared.contracts.command import CancelStage
from shared.contracts.event import StageEvent
from shared.errors import InvalidInput, Unavailable
from tests.engine_world import World
from tests.job_worlds import canceled, failed, progress, seconds, started, succeeded

ONE = (StageSpec(name="only", service="renderer", entry="test.run", inputs={}),)


class EngineRules:
    """Rules of ``api/jobs`` and ``api/db``."""

    def test_a_job_runs_to_its_end(self, world: World) -> None:
        """Through database, outbox and events; nothing is left over, everything is accounted."""
        tenant = world.add_tenant("a")
        job = world.submit(tenant)
        world.workers()
        done = world.run_everything()

        assert ["a", "b", "c", "d"] == sorted(command.stage for command in done)
        assert JobStatus.succeeded is world.job(job.job_id).status
        assert (0, 4 * 300) == world.standing(tenant)
        assert [] == world.rows(tables.ready_stages, job_id=job.job_id)
        assert [] == world.rows(tables.outbox, tenant_id=tenant)
        assert 4 == len(world.rows(tables.attempts, job_id=job.job_id, status="succeeded"))
        used = world.rows(tables.usage, tenant_id=tenant)
        assert {"preprocess", "trainer", "audio2motion", "renderer"} == {
            row["service"] for row in used
        }
        assert 8.0 == sum(row["compute_seconds"] for row in used)

    def test_the_log_counts_without_gaps(self, world: World) -> None:
        """From queued to succeeded, as a stream will tell it."""
        job = world.submit(world.add_tenant("a"), ONE)
        world.workers()
        world.run_everything()
        log = world.log(job)

        assert ["job.queued", "job.running", "job.succeeded"] == [line.type for line in log]
        assert [1, 2, 3] == [line.sequence for line in log]
        assert ["queued", "running", "succeeded"] == [line.data["status"] for line in log]

    def test_no_more_is_sent_than_workers_can_take(self, world: World) -> None:
        """Living slots; one where nobody lives, so that a worker that starts finds something."""
        tenant = world.add_tenant("a")
        for _ in range(5):
            world.submit(tenant, ONE)
        nobody = len(world.send())
        world.workers(slots=3, services=["renderer"])

        assert (1, 2) == (nobody, len(world.send()))

    def test_a_worker_that_said_good_bye_gets_nothing_more(self, world: World) -> None:
        """Nor one that was silent for a while; late reports do not bring it back."""
        tenant = world.add_tenant("a")
        for _ in range(9):
            world.submit(tenant, ONE)
        world.workers(slots=2, services=["renderer"])
        world.send()
        world.pass_time(1)
        world.workers(slots=0, services=["renderer"])
        world.now -= seconds(1)
        world.workers(slots=8, services=["renderer"])

        assert [] == world.send()

    def test_commands_survive_a_broker_that_is_away(self, world: World) -> None:
        """They wait in the outbox."""
        job = world.submit(world.add_tenant("a"), ONE)
        world.broker.is_away = True
        dispatch_ready(world.database, world.now)
        with pytest.raises(Unavailable):
            send_letters(world.database, world.broker)
        world.broker.is_away = False

        assert 1 == send_letters(world.database, world.broker)
        assert job.job_id == world.broker.sent[0].job_id

    def test_a_crash_after_sending_sends_again_and_harms_nothing(self, world: World) -> None:
        """Killed between the broker's confirmation and the commit."""
        job = world.submit(world.add_tenant("a"), ONE)
        dispatch_ready(world.database, world.now)
        world.broker.crash_after = 1
        with pytest.raises(KeyboardInterrupt):
            send_letters(world.database, world.broker)
        send_letters(world.database, world.broker)
        first, second = world.broker.sent
        world.work_off([first])
        world.work_off([second])

        assert first == second
        assert JobStatus.succeeded is world.job(job.job_id).status
        assert 1 == len(world.rows(tables.attempts, job_id=job.job_id))

    def test_repeated_batches_change_nothing(self, world: World) -> None:
        """Not even the row's version."""
        job = world.submit(world.add_tenant("a"), ONE)
        world.send()
        job = world.job(job.job_id)
        batch: list[StageEvent] = [
            started(job, "only"),
            progress(job, "only", 0.5),
            succeeded(job, "only"),
        ]
        world.report(*batch)
        (before,) = world.rows(tables.jobs, id=job.job_id)
        n_lines = len(world.log(job))
        world.pass_time(5)
        world.report(*batch)
        world.report(*reversed(batch))

        assert [before] == world.rows(tables.jobs, id=job.job_id)
        assert n_lines == len(world.log(job))

    def test_a_lost_worker_is_noticed_and_its_stage_runs_again(self, world: World) -> None:
        """Within two minutes, with a new attempt."""
        job = world.submit(world.add_tenant("a"), ONE)
        world.send()
        world.report(started(world.job(job.job_id), "only"))
        world.pass_time(65)
        n_lost = world.reap()
        world.pass_time(2)
        (again,) = world.send()

        assert (1, 2) == (n_lost, again.attempt)
        assert [("worker_lost")] == [
            line.data["code"] for line in world.log(job) if line.type == "job.retrying"
        ]

    def test_events_that_wait_are_read_before_anything_is_reaped(self, world: World) -> None:
        """A gateway that was away finds heartbeats in the queue."""
        job = world.submit(world.add_tenant("a"), ONE)
        world.send()
        world.report(started(world.job(job.job_id), "only"))
        world.pass_time(3600)
        world.broker.n_waiting = 7
        while_waiting = world.reap()
        world.broker.is_away = True
        while_away = world.reap()
        world.broker.is_away, world.broker.n_waiting = False, 0
        world.report(progress(world.job(job.job_id), "only", 0.5, sequence=9))

        assert (0, 0, 0) == (while_waiting, while_away, world.reap())
        assert StageStatus.running is world.stage(job, "only").status

    def test_a_command_without_any_worker_simply_waits(self, world: World) -> None:
        """It is sent again only while an idle worker does not take it up; that costs nothing."""
        job = world.submit(world.add_tenant("a"), ONE)
        world.send()
        world.pass_time(600)
        without = world.reap()
        world.workers(slots=1, busy=1)
        while_busy = world.reap()
        world.workers(slots=2, busy=1)
        world.pass_time(4)
        world.workers(slots=2, busy=1)

        assert (0, 0, 1) == (without, while_busy, world.reap())
        assert (2, 0) == (world.send()[0].attempt, world.stage(job, "only").n_spent)

    def test_a_stalled_stage_is_shown(self, world: World) -> None:
        """It lives and does not get on, for a minute and a half."""
        job = world.submit(world.add_tenant("a"), ONE)
        world.send()
        job = world.job(job.job_id)
        world.report(started(job, "only"))
        seen = []
        for sequence in range(1, 8):
            world.pass_time(18)
            world.report(progress(job, "only", 0.0, sequence=sequence))
            world.reap()
            seen.append(world.stage(job, "only").is_stalled)

        assert [False] * 6 + [True] == seen
        assert "job.stalled" == world.log(job)[-1].type

    def test_a_worker_that_missed_the_order_is_told_again(self, world: World) -> None:
        """Whoever reports a canceled attempt is told to stop, each time."""
        tenant = world.add_tenant("a")
        job = world.submit(tenant, ONE)
        world.send()
        sent = world.job(job.job_id)
        with tenant_work(world.database, tenant) as work:
            use_cases.cancel_job(work, job.job_id, world.now)
        world.report(started(sent, "only"))
        world.report(progress(sent, "only", 0.2))

        assert [CancelStage(job_id=job.job_id, stage="only", attempt=1)] * 2 == (
            world.broker.canceled
        )

    def test_canceling_frees_the_worker_and_removes_what_was_made(self, world: World) -> None:
        """Outputs of finished stages too; the account is settled."""
        tenant = world.add_tenant("a")
        job = world.submit(tenant)
        world.workers()
        world.work_off(world.send())
        world.send()
        world.report(started(world.job(job.job_id), "b"), started(world.job(job.job_id), "c"))
        world.store.put_bytes(f"tenants/{tenant}/jobs/{job.job_id}/a/1/manifest.json", b"{}")
        with tenant_work(world.database, tenant) as work:
            canceling = use_cases.cancel_job(work, job.job_id, world.now)
        world.send()
        told = {(each.stage, each.attempt) for each in world.broker.canceled}
        current = world.job(job.job_id)
        world.report(canceled(current, "b"), canceled(current, "c"))
        world.remove()

        assert JobStatus.canceling is canceling.status
        assert {("b", 1), ("c", 1)} == told
        assert JobStatus.canceled is world.job(job.job_id).status
        assert [] == list(world.store.list_objects(""))
        assert (0, 0) == world.standing(tenant)

    def test_a_finished_job_cannot_be_canceled(self, world: World) -> None:
        """And says so; an unknown one is not found."""
        tenant = world.add_tenant("a")
        job = world.submit(tenant, ONE)
        world.run_everything()

        with tenant_work(world.database, tenant) as work:
            with pytest.raises(InvalidInput) as finished:
                use_cases.cancel_job(work, job.job_id, world.now)
            with pytest.raises(InvalidInput) as unknown:
                use_cases.cancel_job(work, "job_0", world.now)
        assert ("job_finished", "not_found") == (finished.value.code, unknown.value.code)

    def test_a_failed_job_goes_on_where_it_failed(self, world: World) -> None:
        """Retry keeps finished stages and checkpoints, and takes a place again."""
        tenant = world.add_tenant("a")
        job = world.submit(tenant)
        world.workers()
        world.work_off(world.send())
        world.send()
        world.report(failed(world.job(job.job_id), "b", is_retryable=False))
        kept = f"tenants/{tenant}/jobs/{job.job_id}/b/checkpoints/"
        to_be_removed = world.rows(tables.removals, prefix=kept)
        after_failure = world.standing(tenant)[0]
        with tenant_work(world.database, tenant) as work:
            again = use_cases.retry_job(work, job.job_id, world.now)
        commands = world.run_everything()

        assert 1 == len(to_be_removed)
        assert [] == world.rows(tables.removals, prefix=kept, counted_bytes=1)
        assert (0, JobStatus.queued) == (after_failure, again.status)
        assert ["b", "c", "d"] == sorted(command.stage for command in commands)
        assert JobStatus.succeeded is world.job(job.job_id).status
        assert 0 == world.standing(tenant)[0]

    def test_only_failed_jobs_are_retried(self, world: World) -> None:
        """Others say why not."""
        tenant = world.add_tenant("a")
        job = world.submit(tenant, ONE)

        with (
            tenant_work(world.database, tenant) as work,
            pytest.raises(InvalidInput) as refused,
        ):
            use_cases.retry_job(work, job.job_id, world.now)
        assert "job_not_retryable" == refused.value.code

    def test_another_tenant_s_single_job_waits_one_turn(self, world: World) -> None:
        """Behind a thousand, at one worker."""
        many, one = world.add_tenant("many"), world.add_tenant("one")
        for _ in range(40):
            world.submit(many, ONE)
        world.workers(services=["renderer"])
        for _ in range(3):
            world.work_off(world.send())
        running = world.send()
        world.submit(one, ONE)
        world.work_off(running)

        assert [one] == [command.tenant_id for command in world.send()]

    def test_weights_are_kept_from_round_to_round(self, world: World) -> None:
        """Virtual times are stored."""
        heavy, light = world.add_tenant("heavy", weight=3.0), world.add_tenant("light")
        for _ in range(20):
            world.submit(heavy, ONE)
            world.submit(light, ONE)
        world.workers(services=["renderer"])
        served: Counter[str] = Counter()
        for _ in range(16):
            commands = world.send()
            served.update(command.tenant_id for command in commands)
            world.work_off(commands)

        assert 12 == pytest.approx(served[heavy], abs=1)

    def test_a_tenant_has_no_more_jobs_under_way_than_allowed(self, world: World) -> None:
        """The others wait; begun jobs go on."""
        tenant = world.add_tenant("a", max_running_jobs=2)
        for _ in range(4):
            world.submit(tenant)
        world.workers(slots=10)
        first = world.send()
        world.work_off(first)
        second = world.send()

        assert 2 == len({command.job_id for command in first})
        assert ["b", "b", "c", "c"] == sorted(command.stage for command in second)
        assert {command.job_id for command in first} == {command.job_id for command in second}

    @pytest.mark.parametrize(
        ("quotas", "code"),
        [
            ({"max_open_jobs": 1}, "quota_open_jobs"),
            ({"max_compute_seconds": 1.0}, "quota_compute_seconds"),
            ({"max_stored_bytes": 300}, "quota_stored_bytes"),
        ],
    )
    def test_quotas_refuse_and_say_which(
        self, world: World, quotas: dict[str, float], code: str
    ) -> None:
        """Open jobs, compute of the month, stored bytes."""
        tenant = world.add_tenant("a", **quotas)
        world.submit(tenant, ONE)
        if code != "quota_open_jobs":
            world.run_everything()

        with pytest.raises(InvalidInput) as refused:
            world.submit(tenant, ONE)
        assert code == refused.value.code

    def test_places_in_the_queue_are_counted_per_tenant(self, world: World) -> None:
        """From one, by age."""
        tenant, other = world.add_tenant("a"), world.add_tenant("b")
        jobs = []
        for _ in range(3):
            world.submit(other, ONE)
            jobs.append(world.submit(tenant, ONE))
            world.pass_time(1)

        with tenant_work(world.database, tenant, is_read_only=True) as work:
            assert [1, 2, 3] == [queue_position(work, job) for job in jobs]
            assert 2 == queue_position(work, jobs[2], longest=2)

    def test_another_tenant_s_job_is_not_there(self, world: World) -> None:
        """Reading, canceling and retrying answer as if it did not exist."""
        mine, theirs = world.add_tenant("mine"), world.add_tenant("theirs")
        job = world.submit(theirs, ONE)

        with tenant_work(world.database, mine) as work:
            for ask in (use_cases.cancel_job, use_cases.retry_job):
                with pytest.raises(InvalidInput, match="there is no job"):
                    ask(work, job.job_id, world.now)
        assert JobStatus.queued is world.job(job.job_id).status

    def test_old_rows_are_forgotten(self, world: World) -> None:
        """Logs and attempts of long ago; the job stays."""
        job = world.submit(world.add_tenant("a"), ONE)
        world.workers()
        world.run_everything()
        world.pass_time(40 * 24 * 3600)
        n_gone = forget_old_rows(world.database, world.now, Ages())

        assert n_gone >= 3 + 1 + 5
        assert ([], []) == (world.log(job), world.rows(tables.attempts, job_id=job.job_id))
        assert JobStatus.succeeded is world.job(job.job_id).status

    def test_an_error_takes_everything_back(self, world: World) -> None:
        """A transaction is all or nothing."""
        tenant = world.add_tenant("a")
        job = world.make_job(tenant, ONE)

        def submit_and_crash() -> None:
            with engine_work(world.database) as work:
                use_cases.submit_job(work, job, world.now)
                raise KeyError

        with pytest.raises(KeyError):
            submit_and_crash()

        assert [] == world.rows(tables.jobs, tenant_id=tenant)
        assert (0, 0) == world.standing(tenant)
