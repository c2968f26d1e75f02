"""Uploads: a form for the object store, then verification by a worker."""

from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.db.listings import find_upload, list_uploads
from api.db.records import Upload, UploadStatus
from api.dependencies import Call, MemberCall
from api.http.answers import Cursor, Limit, Listing, json_answer, page_of, tagged_answer
from api.http.openapi import refusals
from api.http.problems import Refused
from api.http.strict_json import StrictRoute
from api.ids import missing
from api.jobs.job import Job
from api.jobs.use_cases import NewUpload, complete_upload, delete_upload, request_upload
from api.schemas.deletions import DeletionBody
from api.schemas.model import Page, UploadId
from api.schemas.uploads import UploadBody, UploadForm, UploadRequest
from api.views.resources import deletion_body, upload_body
from shared.errors import InvalidInput

router = APIRouter(prefix="/v1/uploads", tags=["uploads"], route_class=StrictRoute)


@router.post("", status_code=201, response_model=UploadBody, operation_id="requestUpload")
async def create_upload(body: UploadRequest, call: MemberCall) -> Response:
    """Ask for a form that takes the bytes. It needs no key, takes exactly this size, and ends."""
    answer = await call.in_thread(_request, call, body)
    return json_answer(answer, 201, {"Location": answer.urls.self})


@router.get("", response_model=Page[UploadBody], operation_id="listUploads")
async def get_uploads(call: MemberCall, limit: Limit = 20, cursor: Cursor = None) -> Response:
    """Uploads, newest first."""
    listing = Listing("uploads", "upl")
    cut = listing.after(cursor)

    def read() -> list[Upload]:
        with call.work(is_read_only=True) as work:
            return list_uploads(work, cut, limit + 1)

    rows = await call.in_thread(read)
    return json_answer(
        page_of(
            listing,
            rows,
            limit,
            lambda row: (row.created_at, row.upload_id),
            lambda row: upload_body(row, call.address),
        )
    )


@router.get(
    "/{upload_id}",
    response_model=UploadBody,
    operation_id="getUpload",
    responses={304: {"description": "Unchanged."}},
)
async def get_upload(request: Request, upload_id: UploadId, call: MemberCall) -> Response:
    """One upload: ``ready`` once a worker has verified it."""
    upload = await call.in_thread(_read, call, upload_id)
    return tagged_answer(request, upload_body(upload, call.address))


@router.post(
    "/{upload_id}/complete",
    status_code=202,
    response_model=UploadBody,
    operation_id="completeUpload",
    responses=refusals(404, 409, 410),
)
async def complete(upload_id: UploadId, call: MemberCall) -> Response:
    """Say that the bytes are there: a worker then checks size, SHA-256 and what they hold.

    Asking again answers with the same job. What is wrong is deleted, and the upload ``rejected``.
    """
    upload, job = await call.in_thread(_complete, call, upload_id)
    call.parts.wake_engine()
    return json_answer(
        upload_body(upload, call.address),
        202,
        {"Location": f"{call.address}/v1/jobs/{job.job_id}"},
    )


@router.delete(
    "/{upload_id}",
    response_model=DeletionBody,
    operation_id="deleteUpload",
    responses=refusals(404, 409),
)
async def remove_upload(upload_id: UploadId, call: MemberCall) -> Response:
    """Remove an upload that nothing was made from, with its bytes."""

    def remove() -> DeletionBody:
        with call.work() as work:
            return deletion_body(delete_upload(work, upload_id, call.origin), call.address)

    return json_answer(await call.in_thread(remove))


def _request(call: Call, body: UploadRequest) -> UploadBody:
    parts, settings = call.parts, call.parts.settings
    most = settings.max_speech_bytes if body.purpose == "speech" else settings.max_capture_bytes
    if body.size_bytes > most:
        raise Refused(
            "too_large", f"the file has {body.size_bytes} bytes, at most {most} are taken"
        )
    lifetime = timedelta(minutes=settings.upload_minutes)
    new = NewUpload(
        purpose=body.purpose,
        content_type=body.content_type,
        n_bytes=body.size_bytes,
        sha256=body.sha256,
        file_name=body.file_name,
        lifetime=lifetime,
    )
    origin = call.origin
    with call.work() as work:
        upload = request_upload(work, new, origin)
    size = (body.size_bytes, body.size_bytes)
    post = parts.store.presign_post(upload.key, now=origin.now, expires=lifetime, n_bytes=size)
    url = call.address + post.url if post.url.startswith("/") else post.url
    form = UploadForm(url=url, fields=post.fields, expires_at=upload.expires_at)
    return upload_body(upload, call.address, form)


def _read(call: Call, upload_id: str) -> Upload:
    with call.work(is_read_only=True) as work:
        upload = find_upload(work, upload_id)
    if upload is None:
        raise missing("upl", upload_id)
    return upload


def _complete(call: Call, upload_id: str) -> tuple[Upload, Job]:
    upload = _read(call, upload_id)
    is_here = upload.status is not UploadStatus.pending or call.parts.store.exists(upload.key)
    if not is_here and upload.expires_at > call.parts.now():
        raise InvalidInput(
            "upload_missing",
            "the store has no bytes for this upload yet; POST the form first, then complete it",
        )
    with call.work() as work:
        return complete_upload(work, upload_id, call.origin)
