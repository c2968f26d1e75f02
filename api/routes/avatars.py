"""Avatars: made from a capture with the person's consent."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from api.consent import Action
from api.consent_records import NewConsent, consented_work, record_consent, use_consent
from api.db.listings import find_avatar, find_upload, list_avatars
from api.db.records import Avatar, ResourceStatus, Upload
from api.db.unit_of_work import UnitOfWork
from api.dependencies import Call, MemberCall
from api.http.answers import Cursor, Limit, Listing, json_answer, page_of, tagged_answer
from api.http.etags import check_if_match
from api.http.idempotency import Answer
from api.http.openapi import IDEMPOTENCY_KEY, refusals
from api.http.preferences import wait_seconds
from api.http.strict_json import StrictRoute
from api.ids import missing
from api.jobs.use_cases import NewAvatar, delete_avatar, rename_avatar, submit_avatar
from api.routes.files import AVATAR_FOLDERS, link_files
from api.routes.submissions import answered, claim_of, do_once, wait_for_end
from api.schemas.avatars import AvatarBody, AvatarChange, AvatarRequest, FilesBody
from api.schemas.deletions import DeletionBody
from api.schemas.model import AvatarId, Page
from api.stage_options import avatar_stage_options
from api.views.resources import avatar_body, deletion_body
from shared.errors import InvalidInput

router = APIRouter(prefix="/v1/avatars", tags=["avatars"], route_class=StrictRoute)
Prefer = Annotated[str | None, Header(description="`wait=n`: answer after up to n (60) seconds.")]


@router.post(
    "",
    status_code=202,
    response_model=AvatarBody,
    operation_id="createAvatar",
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
    responses={
        200: {"description": "It ended while you waited.", "model": AvatarBody},
        **refusals(404, 409),
    },
)
async def create_avatar(
    request: Request, body: AvatarRequest, call: MemberCall, prefer: Prefer = None
) -> Response:
    """Queue the making of an avatar; the consent is recorded with it and bound to the capture."""
    seconds = wait_seconds(prefer)
    claim = claim_of(request, call, body)
    open_work = partial(consented_work, call.parts.database, call.principal.tenant_id)
    answer = await call.in_thread(do_once, call, claim, partial(_submit, call, body), open_work)
    if not seconds or answer.is_replayed:
        return answered(answer)
    made = AvatarBody.model_validate_json(answer.body)
    await wait_for_end(call, made.job_id, seconds)
    now = await call.in_thread(_read, call, made.avatar_id)
    is_pending = now.status is ResourceStatus.pending
    text = avatar_body(now, call.address).model_dump_json()
    return answered(Answer(202 if is_pending else 200, answer.headers, text), waited=seconds)


@router.get("", response_model=Page[AvatarBody], operation_id="listAvatars")
async def get_avatars(
    call: MemberCall,
    limit: Limit = 20,
    cursor: Cursor = None,
    status: Annotated[ResourceStatus | None, Query(description="Only these.")] = None,
) -> Response:
    """Avatars, newest first."""
    listing = Listing("avatars", "ava", {"status": status})
    cut = listing.after(cursor)

    def read() -> list[Avatar]:
        with call.work(is_read_only=True) as work:
            return list_avatars(work, cut, limit + 1, status=status)

    rows = await call.in_thread(read)
    return json_answer(
        page_of(
            listing,
            rows,
            limit,
            lambda row: (row.created_at, row.avatar_id),
            lambda row: avatar_body(row, call.address),
        )
    )


@router.get(
    "/{avatar_id}",
    response_model=AvatarBody,
    operation_id="getAvatar",
    responses={304: {"description": "Unchanged."}},
)
async def get_avatar(request: Request, avatar_id: AvatarId, call: MemberCall) -> Response:
    """One avatar, with the ETag that a change needs."""
    avatar = await call.in_thread(_read, call, avatar_id)
    return tagged_answer(request, avatar_body(avatar, call.address), _etag(avatar))


@router.get(
    "/{avatar_id}/files",
    response_model=FilesBody,
    operation_id="getAvatarFiles",
    responses=refusals(409),
)
async def get_avatar_files(avatar_id: AvatarId, call: MemberCall) -> Response:
    """Download links of the avatar's files: Gaussians, rig, motion model, held-out scores."""

    def read() -> FilesBody:
        avatar = _read(call, avatar_id)
        if avatar.status is not ResourceStatus.ready:
            raise InvalidInput(
                "avatar_not_ready", f"the avatar is {avatar.status.value}; wait until it is ready"
            )
        return FilesBody(files=link_files(call, avatar.job_id, AVATAR_FOLDERS))

    return json_answer(await call.in_thread(read))


@router.patch(
    "/{avatar_id}",
    response_model=AvatarBody,
    operation_id="changeAvatar",
    responses=refusals(412, 428),
)
async def change_avatar(
    avatar_id: AvatarId,
    body: AvatarChange,
    call: MemberCall,
    if_match: Annotated[str | None, Header(description="The ETag that you read.")] = None,
) -> Response:
    """Change name and labels, unless somebody else has changed them since you read them."""

    def change() -> Avatar:
        avatar = _read(call, avatar_id)
        check_if_match(if_match, _etag(avatar))
        is_any = "*" in (if_match or "")
        changes: Mapping[str, Any] = body.model_dump(exclude_none=True)
        if not changes:
            return avatar
        with call.work() as work:
            return rename_avatar(
                work,
                avatar_id,
                changes,
                call.parts.now(),
                expected_version=None if is_any else avatar.version,
            )

    avatar = await call.in_thread(change)
    return json_answer(avatar_body(avatar, call.address), headers={"ETag": _etag(avatar)})


@router.delete("/{avatar_id}", response_model=DeletionBody, operation_id="deleteAvatar")
async def remove_avatar(
    avatar_id: AvatarId,
    call: MemberCall,
    with_videos: Annotated[bool, Query(description="Its videos too.")] = False,
    with_capture: Annotated[
        bool, Query(description="The capture too, unless another avatar was made from it.")
    ] = False,
) -> Response:
    """Stop what is being made from it and remove it with all its artifacts; answers a receipt."""

    def remove() -> DeletionBody:
        with call.work() as work:
            deletion = delete_avatar(
                work, avatar_id, call.origin, with_videos=with_videos, with_capture=with_capture
            )
            return deletion_body(deletion, call.address)

    return json_answer(await call.in_thread(remove))


def _submit(call: Call, body: AvatarRequest, work: UnitOfWork) -> Answer:
    options = avatar_stage_options(body.options, call.parts.catalog)
    origin = call.origin
    capture = _capture(work, body.capture_upload_id)
    terms = NewConsent(
        subject=body.consent.subject,
        scope=tuple(body.consent.scope),
        expires_at=body.consent.expires_at,
        statement=body.consent.statement or "",
        evidence_upload_id=body.consent.evidence_upload_id,
    )
    consent = record_consent(work, terms, capture, now=origin.now, new_id=call.parts.new_id)
    new = NewAvatar(
        name=body.name,
        capture_upload_id=body.capture_upload_id,
        consent_id=consent.consent_id,
        labels=body.labels,
        options=options,
    )
    avatar, job = submit_avatar(work, new, origin)
    use_consent(
        work,
        consent.consent_id,
        Action.create_avatar,
        avatar.avatar_id,
        origin.now,
        capture_sha256=capture.sha256,
    )
    text = avatar_body(avatar, call.address).model_dump_json()
    return Answer(202, {"Location": f"{call.address}/v1/jobs/{job.job_id}"}, text)


def _capture(work: UnitOfWork, upload_id: str) -> Upload:
    upload = find_upload(work, upload_id)
    if upload is None:
        raise missing("upl", upload_id)
    return upload


def _read(call: Call, avatar_id: str) -> Avatar:
    with call.work(is_read_only=True) as work:
        avatar = find_avatar(work, avatar_id)
    if avatar is None:
        raise missing("ava", avatar_id)
    return avatar


def _etag(avatar: Avatar) -> str:
    return f'"{avatar.avatar_id}-{avatar.version}"'
