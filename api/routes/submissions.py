"""Requests that must be done once, and answers that wait for a job."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import anyio
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.db.listings import StoredJob, find_job
from api.db.unit_of_work import UnitOfWork
from api.dependencies import Call
from api.http.answers import NO_STORE
from api.http.idempotency import Answer, Claim, find_answer, fingerprint, keep_answer, read_key
from api.ids import missing
from api.jobs.job import TERMINAL_JOB, JobStatus
from api.schemas.model import JobId

Do = Callable[[UnitOfWork], Answer]
OpenWork = Callable[[], AbstractContextManager[UnitOfWork]]


def claim_of(request: Request, call: Call, body: BaseModel | None) -> Claim:
    """What an ``Idempotency-Key`` names: this tenant, this address, this body.

    Raises:
        Refused: ``idempotency_key_missing``; ``bad_idempotency_key``.
    """
    key = read_key(request.headers.get("idempotency-key"))
    meant: Mapping[str, Any] = body.model_dump(mode="json") if body else {}
    route = f"{request.method} {request.url.path}"
    return Claim(call.principal.tenant_id, route, key, fingerprint(meant))


def do_once(call: Call, claim: Claim, do: Do, open_work: OpenWork | None = None) -> Answer:
    """Answer as the first time, or do it now and keep the answer in the same transaction.

    Raises:
        Refused: ``request_in_progress``; ``idempotency_key_reused``.
    """
    now = call.parts.now()
    with call.parts.keys_in_flight.hold(claim), (open_work or call.work)() as work:
        first = find_answer(work, claim, now)
        if first is not None:
            return first
        answer = do(work)
        keep_answer(work, claim, answer, now)
    call.parts.wake_engine()
    return answer


def answered(answer: Answer, *, waited: int = 0) -> Response:
    """An answer, replayed or not."""
    headers = {**NO_STORE, **answer.headers}
    if answer.is_replayed:
        headers["Idempotent-Replayed"] = "true"
    if waited and not answer.is_replayed:
        headers["Preference-Applied"] = f"wait={waited}"
    return Response(answer.body, answer.status, headers, media_type="application/json")


async def wait_for_end(call: Call, job_id: str, seconds: int) -> None:
    """Return when the job has ended or time is up; holds no thread and no connection meanwhile.

    Raises:
        InvalidInput: ``not_found``.
        Refused: ``too_many_streams_open``.
    """
    parts = call.parts
    deadline = parts.monotonic() + seconds
    with parts.streams.hold(call.principal.tenant_id, parts.settings.streams_per_tenant):
        while (left := deadline - parts.monotonic()) > 0 and not parts.watcher.is_closing:
            stored = await call.in_thread(read_job, call, job_id)
            if JobStatus(stored.state["status"]) in TERMINAL_JOB:
                return
            await parts.watcher.changed(job_id, stored.version, left)
            await anyio.lowlevel.checkpoint()


def read_job(call: Call, job_id: JobId) -> StoredJob:
    """A job of the caller's tenant.

    Raises:
        InvalidInput: ``not_found``.
    """
    with call.work(is_read_only=True) as work:
        stored = find_job(work, job_id)
    if stored is None:
        raise missing("job", job_id)
    return stored
