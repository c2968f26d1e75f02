"""What is left when all is over: every job done once, every result right, nothing forgotten."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from api.db import tables
from api.db.session import engine_work
from api.jobs.collector import remove_objects
from api.jobs.job import Job, Stage, output_prefix, parse_job
from shared.object_store import Store
from shared.worker.transfer import FINAL_EVENT
from tests.burn_stage import N_FILES, burn
from tests.load.site import Site

_MANIFEST = "manifest.json"
_LONG = timedelta(days=8)
"""After it everything that is to be removed is due."""


def read_jobs(site: Site) -> list[Job]:
    """All jobs."""
    with engine_work(site.database, is_read_only=True) as work:
        states = work.connection.execute(sa.select(tables.jobs.c.state)).scalars()
        return [parse_job(state) for state in states]


def count_jobs(site: Site) -> dict[str, int]:
    """Jobs by status."""
    columns = tables.jobs.c
    query = sa.select(columns.status, sa.func.count()).group_by(columns.status)
    with engine_work(site.database, is_read_only=True) as work:
        return dict(work.connection.execute(query).all())


def count_stages_done(site: Site) -> int:
    """Attempts that were accepted."""
    query = sa.select(sa.func.count()).where(tables.attempts.c.status == "succeeded")
    with engine_work(site.database, is_read_only=True) as work:
        return work.connection.execute(query).scalar_one()


def count_rows(site: Site, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    """Rows of a table."""
    with engine_work(site.database, is_read_only=True) as work:
        query = sa.select(sa.func.count()).select_from(table).where(*where)
        return work.connection.execute(query).scalar_one()


def count_attempts(site: Site) -> Counter[str]:
    """Attempts by what became of them; ``ready`` had to be made again."""
    query = sa.select(tables.attempts.c.status, sa.func.count())
    with engine_work(site.database, is_read_only=True) as work:
        rows = work.connection.execute(query.group_by(tables.attempts.c.status))
        return Counter(dict(rows.all()))


def find_faults(site: Site, jobs: Sequence[Job]) -> list[str]:
    """Every way in which the books do not balance; empty when each stage counted once."""
    return [
        *_faults_of_attempts(site, jobs),
        *_faults_of_logs(site, jobs),
        *_faults_of_accounts(site, jobs),
        *(
            f"{n} rows are left in {table.name}"
            for table in (tables.outbox, tables.ready_stages)
            if (n := count_rows(site, table))
        ),
    ]


def find_damage(store: Store, jobs: Sequence[Job], folder: Path) -> list[str]:
    """Accepted results that are not what their input makes; each is computed again here."""
    faults: list[str] = []
    for job in jobs:
        root = folder / job.job_id
        for stage in job.stages:
            faults += _damage(store, job, stage, root)
        shutil.rmtree(root)
    return faults


def find_litter(site: Site, jobs: Sequence[Job]) -> list[str]:
    """Objects that nobody accepted and that the collector would never remove."""
    later = datetime.now(UTC) + _LONG
    while remove_objects(site.database, site.store, later):
        pass
    kept = {stage.output.prefix for job in jobs for stage in job.stages if stage.output}
    return [
        info.key
        for job in jobs
        for info in site.store.list_objects(f"tenants/{job.tenant_id}/jobs/{job.job_id}/")
        if info.key.rpartition("/")[0] + "/" not in kept
    ]


def _faults_of_attempts(site: Site, jobs: Sequence[Job]) -> list[str]:
    columns = tables.attempts.c
    query = sa.select(columns.job_id, columns.stage, columns.attempt, columns.status)
    accepted: dict[tuple[str, str], list[int]] = {}
    faults: list[str] = []
    with engine_work(site.database, is_read_only=True) as work:
        for job_id, stage, attempt, status in work.connection.execute(query):
            if status == "succeeded":
                accepted.setdefault((job_id, stage), []).append(attempt)
            elif status in {"dispatched", "running", "canceling"}:
                faults.append(f"{job_id} {stage} {attempt} is still {status}")
    for job in jobs:
        for each in job.stages:
            found = accepted.get((job.job_id, each.name), [])
            if found != [each.attempt]:
                faults.append(f"{job.job_id} {each.name}: accepted {found}, at {each.attempt}")
            elif each.output is None or each.output.prefix != output_prefix(
                job, each.name, each.attempt
            ):
                faults.append(f"{job.job_id} {each.name}: the output is another attempt's")
    return faults


def _faults_of_logs(site: Site, jobs: Sequence[Job]) -> list[str]:
    columns = tables.job_events.c
    query = sa.select(columns.job_id, columns.sequence, columns.type)
    logs: dict[str, list[tuple[int, str]]] = {}
    with engine_work(site.database, is_read_only=True) as work:
        for job_id, sequence, kind in work.connection.execute(query):
            logs.setdefault(job_id, []).append((sequence, kind))
    faults = []
    for job in jobs:
        log = sorted(logs.get(job.job_id, []))
        kinds = Counter(kind for _, kind in log)
        is_whole = [number for number, _ in log] == list(range(1, len(log) + 1))
        is_once = kinds["job.queued"] == kinds["job.succeeded"] == 1
        if not (is_whole and is_once and log[-1][1] == "job.succeeded"):
            faults.append(f"{job.job_id}: its log says {dict(kinds)}")
    return faults


def _faults_of_accounts(site: Site, jobs: Sequence[Job]) -> list[str]:
    """A result that counted twice would have been charged twice."""
    stages, stored = Counter[str](), Counter[str]()
    for job in jobs:
        stages[job.tenant_id] += len(job.stages)
        stored[job.tenant_id] += sum(each.output.n_bytes for each in job.stages if each.output)
    usage, standing = tables.usage.c, tables.tenant_usage.c
    charged = sa.select(usage.tenant_id, sa.func.sum(usage.n_stages)).group_by(usage.tenant_id)
    account = sa.select(standing.tenant_id, standing.n_open_jobs, standing.stored_bytes)
    faults = []
    with engine_work(site.database, is_read_only=True) as work:
        for tenant_id, n in work.connection.execute(charged):
            if n != stages[tenant_id]:
                faults.append(f"{tenant_id}: {n} stages charged, {stages[tenant_id]} done")
        for tenant_id, n_open, n_bytes in work.connection.execute(account):
            if (n_open, n_bytes) != (0, stored[tenant_id]):
                faults.append(f"{tenant_id}: {n_open} jobs open, {n_bytes} bytes on its account")
    return faults


def _damage(store: Store, job: Job, stage: Stage, root: Path) -> list[str]:
    """Fetch one result and compare it with its manifest and with what its inputs make."""
    if stage.output is None:
        return [f"{job.job_id} {stage.name}: no output"]
    fetched = root / "fetched" / stage.name
    _fetch(store, stage.output.prefix, fetched)
    problem = _unlike_its_manifest(fetched, stage) or _unlike_its_inputs(store, job, stage, root)
    return [f"{job.job_id} {stage.name}: {problem}"] if problem else []


def _unlike_its_manifest(fetched: Path, stage: Stage) -> str:
    assert stage.output is not None
    found = {path.name: path.read_bytes() for path in fetched.iterdir()}
    manifest = found.pop(_MANIFEST, b"{}")
    if hashlib.sha256(manifest).hexdigest() != stage.output.manifest_sha256:
        return "the manifest is not the accepted one"
    files: Mapping[str, str] = json.loads(manifest)["files"]
    digests = {name: hashlib.sha256(body).hexdigest() for name, body in found.items()}
    if digests != files or len(files) != N_FILES:
        return f"files {sorted(found)} are not what the manifest says"
    return ""


def _unlike_its_inputs(store: Store, job: Job, stage: Stage, root: Path) -> str:
    """Make the result again."""
    assert stage.output is not None
    inputs, made = root / "inputs" / stage.name, root / "made" / stage.name
    for folder in (inputs, made):
        folder.mkdir(parents=True)
    for path, source in stage.spec.inputs.items():
        kind, _, name = source.partition(":")
        if kind == "stage":
            shutil.copytree(root / "fetched" / name, inputs / path)
        else:
            (inputs / path).write_bytes(store.get_bytes(job.inputs[name], max_bytes=1 << 20))
    options: dict[str, Any] = {**job.options[stage.name], "seconds": 0.0}
    facts = burn(inputs, options, made, lambda _fraction, _message: None)
    found, expected = (
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (root / "fetched" / stage.name, made)
    )
    if found != expected or facts["digest"] != stage.output.facts["digest"]:
        return "it is not what its inputs make"
    return ""


def _fetch(store: Store, prefix: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    for info in store.list_objects(prefix):
        name = info.key.removeprefix(prefix)
        if name != FINAL_EVENT:
            (folder / name).write_bytes(store.get_bytes(info.key, max_bytes=1 << 20))
