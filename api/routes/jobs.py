"""Jobs: how far they are, as a snapshot or as a stream; cancel and retry."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from api.consent_records import consented_work, use_consent_again
from api.db.listings import StoredJob, find_job, list_jobs
from api.db.ready_stages import queue_position
from api.db.unit_of_work import UnitOfWork
from api.dependencies import Call, MemberCall
from api.http import sse
from api.http.answers import Cursor, Limit, Listing, json_answer, page_of, tagged_answer
from api.http.idempotency import Answer
from api.http.openapi import IDEMPOTENCY_KEY, refusals
from api.http.preferences import wait_seconds
from api.http.strict_json import StrictRoute
from api.ids import missing
from api.jobs.job import JobStatus, parse_job
from api.jobs.measure import measure_event
from api.jobs.signals import CancelRequested
from api.jobs.use_cases import cancel_job, retry_job
from api.routes.job_stream import read_chapter, tell_job
from api.routes.submissions import answered, claim_of, do_once, wait_for_end
from api.schemas.jobs import JobBody
from api.schemas.model import JobId, Page
from api.views.jobs import job_body

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute)
JobKind = Literal["create_avatar", "create_video", "verify_upload"]
Prefer = Annotated[
    str | None, Header(description="`wait=n`: answer after it ended, or after n (60) seconds.")
]


@router.get("", response_model=Page[JobBody], operation_id="listJobs")
async def get_jobs(
    call: MemberCall,
    limit: Limit = 20,
    cursor: Cursor = None,
    status: Annotated[JobStatus | None, Query(description="Only these.")] = None,
    kind: Annotated[JobKind | None, Query(description="Only these.")] = None,
) -> Response:
    """Jobs, newest first; without their place in the queue."""
    listing = Listing("jobs", "job", {"status": status, "kind": kind})
    cut = listing.after(cursor)

    def read() -> Sequence[JobBody]:
        with call.work(is_read_only=True) as work:
            rows = list_jobs(work, cut, limit + 1, status=status, kind=kind)
        return [_body(call, row, None) for row in rows]

    rows = await call.in_thread(read)
    page = page_of(listing, rows, limit, lambda row: (row.created_at, row.job_id), lambda row: row)
    return json_answer(page)


@router.get(
    "/{job_id}",
    response_model=JobBody,
    operation_id="getJob",
    responses={304: {"description": "Unchanged."}},
)
async def get_job(
    request: Request, job_id: JobId, call: MemberCall, prefer: Prefer = None
) -> Response:
    """One job. Poll it with `If-None-Match`, or let the answer wait with `Prefer: wait=n`."""
    seconds = wait_seconds(prefer)
    if seconds:
        await wait_for_end(call, job_id, seconds)
    body = await call.in_thread(_read, call, job_id)
    headers = {"Preference-Applied": f"wait={seconds}"} if seconds else {}
    return tagged_answer(request, body, headers=headers)


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    response_model=JobBody,
    operation_id="cancelJob",
    responses=refusals(404, 409),
)
async def cancel(job_id: JobId, call: MemberCall) -> Response:
    """Stop a job: within seconds its worker is free and what it had made is removed."""

    def stop() -> JobBody:
        now = call.parts.now()
        with call.work() as work:
            job = cancel_job(work, job_id, now)
            told = _read_within(call, work, job_id)
        measure_event(call.parts.telemetry, job, CancelRequested(), now)
        return told

    body = await call.in_thread(stop)
    call.parts.wake_engine()
    return json_answer(body, 202)


@router.post(
    "/{job_id}/retry",
    status_code=202,
    response_model=JobBody,
    operation_id="retryJob",
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
    responses=refusals(400, 404, 409, 422),
)
async def retry(request: Request, job_id: JobId, call: MemberCall) -> Response:
    """Run the unfinished stages of a failed job again; finished ones keep what they made."""
    claim = claim_of(request, call, None)

    def run_again(work: UnitOfWork) -> Answer:
        now = call.parts.now()
        retry_job(work, job_id, now)
        use_consent_again(work, job_id, now)
        body = _read_within(call, work, job_id)
        return Answer(202, {"Location": body.urls.self}, body.model_dump_json())

    open_work = partial(consented_work, call.parts.database, call.principal.tenant_id)
    return answered(await call.in_thread(do_once, call, claim, run_again, open_work))


@router.get(
    "/{job_id}/events",
    response_class=Response,
    operation_id="streamJobEvents",
    responses={
        200: {
            "description": "`id`, `event` and `data` as in JobEventBody; ends with the job.",
            "content": {sse.MEDIA_TYPE: {"schema": {"type": "string"}}},
        },
        204: {"description": "The job has ended and everything was told."},
    },
)
async def stream_events(
    job_id: JobId,
    call: MemberCall,
    last_event_id: Annotated[
        str | None, Header(description="Go on after this event; `0` or none for the beginning.")
    ] = None,
) -> Response:
    """What happens to a job, as Server-Sent Events, from its beginning or after `Last-Event-ID`."""
    after = sse.read_last_event_id(last_event_id)
    first = await call.in_thread(read_chapter, call, job_id, after)
    if first is None:
        raise missing("job", job_id)
    if first.is_ended and not first.events:
        return Response(status_code=204)
    parts = call.parts
    parts.streams.check(call.principal.tenant_id, parts.settings.streams_per_tenant)
    stream = tell_job(call, job_id, first, after)
    return StreamingResponse(stream, media_type=sse.MEDIA_TYPE, headers=sse.HEADERS)


def _read(call: Call, job_id: str) -> JobBody:
    with call.work(is_read_only=True) as work:
        return _read_within(call, work, job_id)


def _read_within(call: Call, work: UnitOfWork, job_id: str) -> JobBody:
    stored = find_job(work, job_id)
    if stored is None:
        raise missing("job", job_id)
    return _body(call, stored, queue_position(work, parse_job(stored.state)))


def _body(call: Call, stored: StoredJob, position: int | None) -> JobBody:
    return job_body(parse_job(stored.state), call.address, stored.updated_at, position)
