"""jobs: operators look at jobs of all tenants and move them, in the database itself."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from services.embedded.commands.words import JsonOption
from services.embedded.operating import operator_work
from services.embedded.terminal import open_terminal, print_json, print_table

if TYPE_CHECKING:
    from api.db.unit_of_work import UnitOfWork
    from api.jobs.job import Job, Stage

Status = Literal["queued", "running", "succeeded", "failed", "canceling", "canceled"]
JobIds = Annotated[list[str], typer.Argument(metavar="JOB_ID...")]
app = typer.Typer(help="List, show, cancel, retry and requeue jobs.", no_args_is_help=True)


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Of one tenant: its id or name.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only those.")] = None,
    kind: Annotated[str | None, typer.Option(help="create_avatar, create_video, ...")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first.

    \b
    talksplat jobs list --status failed
    talksplat jobs list --tenant acme --kind create_video --json
    """
    from api.db.listings import list_jobs
    from api.jobs.job import parse_job

    with operator_work() as (work, _making):
        if tenant is not None:
            work = work._replace(tenant_id=_tenant_id(work, tenant))  # noqa: PLW2901 - narrowed
        found = [
            parse_job(stored.state)
            for stored in list_jobs(work, None, limit, status=status, kind=kind)
        ]
    rows = [_row(job) for job in found]
    terminal = open_terminal(is_json=as_json)
    if as_json:
        print_json(terminal, rows)
        return
    header = ["job_id", "kind", "status", "stage", "progress", "code", "created_at"]
    table = [[str(row[name]) for name in header] for row in rows]
    print_table(terminal.results, "jobs", header, table)


@app.command()
def show(
    job_id: Annotated[str, typer.Argument(metavar="JOB_ID")], as_json: JsonOption = False
) -> None:
    """Show a job's stages: attempts, workers, since when nothing has moved, and what went wrong."""
    from api.db.jobs import get_job
    from api.ids import missing

    with operator_work() as (work, making):
        job = get_job(work, job_id)
    if job is None:
        raise missing("job", job_id)
    stages = [_stage_row(stage, making.now) for stage in job.stages]
    terminal = open_terminal(is_json=as_json)
    about = _row(job) | {"tenant_id": job.tenant_id, "resource_id": job.resource_id}
    if as_json:
        print_json(terminal, about | {"stages": stages})
        return
    print_table(terminal.results, job_id, ["", ""], [[k, str(v)] for k, v in about.items()])
    header = list(stages[0]) if stages else []
    table = [[str(stage[name]) for name in header] for stage in stages]
    print_table(terminal.results, "stages", header, table)


@app.command()
def cancel(job_ids: JobIds, as_json: JsonOption = False) -> None:
    """Stop jobs; what their workers are at is stopped too."""
    from api.jobs.use_cases import cancel_job

    _each(job_ids, cancel_job, as_json=as_json)


@app.command()
def retry(job_ids: JobIds, as_json: JsonOption = False) -> None:
    """Run the unfinished stages of failed jobs again; finished ones keep what they made."""
    from api.jobs.use_cases import retry_job

    def retry_one(work: "UnitOfWork", job_id: str, now: datetime) -> "Job":
        """In the name of its tenant, whose quotas count."""
        from api.db.jobs import get_job

        job = get_job(work, job_id)
        owner = job.tenant_id if job else None
        return retry_job(work._replace(tenant_id=owner), job_id, now)

    _each(job_ids, retry_one, as_json=as_json)


@app.command()
def requeue(job_ids: JobIds, as_json: JsonOption = False) -> None:
    """Give up the attempts under way and send others, where their workers are known to be gone.

    Otherwise the gateway finds out by itself within about a minute. No attempt is spent; a worker
    that lives after all is told to stop.
    """
    from api.jobs.use_cases import requeue_job

    def requeue_one(work: "UnitOfWork", job_id: str, now: datetime) -> "Job":
        return requeue_job(work, job_id, now)[0]

    _each(job_ids, requeue_one, as_json=as_json)


def _each(job_ids: list[str], change: Any, *, as_json: bool) -> None:  # noqa: ANN401
    """Change jobs one by one, each in a transaction of its own; shows them afterwards."""
    rows = []
    for job_id in job_ids:
        with operator_work() as (work, making):
            rows.append(_row(change(work, job_id, making.now)))
    terminal = open_terminal(is_json=as_json)
    if as_json:
        print_json(terminal, rows)
    else:
        table = [[str(row["job_id"]), str(row["status"])] for row in rows]
        print_table(terminal.results, "jobs", ["job_id", "status"], table)


def _tenant_id(work: "UnitOfWork", text: str) -> str:
    from api.db.tenants import find_tenant, find_tenant_named
    from api.ids import missing

    found = find_tenant(work, text) or find_tenant_named(work, text)
    if found is None:
        raise missing("ten", text)
    return found.tenant_id


def _row(job: "Job") -> dict[str, Any]:
    from api.jobs.job import TERMINAL_STAGE

    stage = next((s for s in job.stages if s.status not in TERMINAL_STAGE), None)
    if job.failure is not None:
        stage = job.stage(job.failure.stage)
    return {
        "job_id": job.job_id,
        "kind": job.kind,
        "status": job.status.value,
        "stage": stage.name if stage else "",
        "progress": round(stage.progress, 3) if stage else 1.0,
        "code": job.failure.code if job.failure else "",
        "message": job.failure.message if job.failure else "",
        "created_at": job.created_at.astimezone(UTC).isoformat(timespec="seconds"),
    }


def _stage_row(stage: "Stage", now: datetime) -> dict[str, Any]:
    failure = stage.last_failure
    still = (now - stage.progressed_at).total_seconds() if stage.progressed_at else None
    is_open = stage.worker_id is not None and stage.lease_until is not None
    return {
        "stage": stage.name,
        "service": stage.spec.service,
        "status": stage.status.value,
        "attempt": stage.attempt,
        "spent": stage.n_spent,
        "progress": round(stage.progress, 3),
        "message": stage.message,
        "worker": stage.worker_id or "",
        "still_seconds": round(still) if still is not None and is_open else "",
        "failure": f"{failure.code}: {failure.message}" if failure else "",
    }
