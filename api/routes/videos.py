"""Videos: an avatar speaking a recording."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.consent import Action
from api.consent_records import consented_work, use_consent
from api.db.listings import find_video, list_videos
from api.db.records import ResourceStatus, Video
from api.db.unit_of_work import UnitOfWork
from api.dependencies import Call, MemberCall
from api.http.answers import Cursor, Limit, Listing, json_answer, page_of
from api.http.idempotency import Answer
from api.http.openapi import IDEMPOTENCY_KEY, refusals
from api.http.preferences import wait_seconds
from api.http.strict_json import StrictRoute
from api.ids import missing
from api.jobs.use_cases import NewVideo, delete_video, submit_video
from api.routes.avatars import Prefer
from api.routes.files import VIDEO_FOLDERS, link_files
from api.routes.submissions import answered, claim_of, do_once, wait_for_end
from api.schemas.deletions import DeletionBody
from api.schemas.model import AvatarId, Page, VideoId
from api.schemas.videos import VideoBody, VideoRequest
from api.stage_options import video_stage_options
from api.views.resources import deletion_body, video_body

router = APIRouter(prefix="/v1/videos", tags=["videos"], route_class=StrictRoute)


@router.post(
    "",
    status_code=202,
    response_model=VideoBody,
    operation_id="createVideo",
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
    responses={
        200: {"description": "It ended while you waited.", "model": VideoBody},
        **refusals(404, 409),
    },
)
async def create_video(
    request: Request, body: VideoRequest, call: MemberCall, prefer: Prefer = None
) -> Response:
    """Queue the making of a video; the avatar's consent is asked and the use written down."""
    seconds = wait_seconds(prefer)
    claim = claim_of(request, call, body)
    open_work = partial(consented_work, call.parts.database, call.principal.tenant_id)
    answer = await call.in_thread(do_once, call, claim, partial(_submit, call, body), open_work)
    if not seconds or answer.is_replayed:
        return answered(answer)
    made = VideoBody.model_validate_json(answer.body)
    await wait_for_end(call, made.job_id, seconds)
    now = await call.in_thread(_read_whole, call, made.video_id)
    is_pending = now.status is ResourceStatus.pending
    status = 202 if is_pending else 200
    return answered(Answer(status, answer.headers, now.model_dump_json()), waited=seconds)


@router.get("", response_model=Page[VideoBody], operation_id="listVideos")
async def get_videos(
    call: MemberCall,
    limit: Limit = 20,
    cursor: Cursor = None,
    status: Annotated[ResourceStatus | None, Query(description="Only these.")] = None,
    avatar_id: Annotated[AvatarId | None, Query(description="Only of this avatar.")] = None,
) -> Response:
    """Videos, newest first; without download links."""
    listing = Listing("videos", "vid", {"status": status, "avatar_id": avatar_id})
    cut = listing.after(cursor)

    def read() -> list[Video]:
        with call.work(is_read_only=True) as work:
            return list_videos(work, cut, limit + 1, status=status, avatar_id=avatar_id)

    rows = await call.in_thread(read)
    return json_answer(
        page_of(
            listing,
            rows,
            limit,
            lambda row: (row.created_at, row.video_id),
            lambda row: video_body(row, call.address, None),
        )
    )


@router.get("/{video_id}", response_model=VideoBody, operation_id="getVideo")
async def get_video(video_id: VideoId, call: MemberCall) -> Response:
    """One video; once it is ready, with fresh links to the film, its scores and its report."""
    return json_answer(await call.in_thread(_read_whole, call, video_id))


@router.delete("/{video_id}", response_model=DeletionBody, operation_id="deleteVideo")
async def remove_video(video_id: VideoId, call: MemberCall) -> Response:
    """Stop its job and remove it with all its artifacts; answers a receipt."""

    def remove() -> DeletionBody:
        with call.work() as work:
            return deletion_body(delete_video(work, video_id, call.origin), call.address)

    return json_answer(await call.in_thread(remove))


def _submit(call: Call, body: VideoRequest, work: UnitOfWork) -> Answer:
    options = video_stage_options(body.options, call.parts.catalog)
    origin = call.origin
    new = NewVideo(
        name=body.name,
        avatar_id=body.avatar_id,
        speech_upload_id=body.speech_upload_id,
        labels=body.labels,
        options=options,
    )
    video, job, avatar = submit_video(work, new, origin)
    use_consent(work, avatar.consent_id, Action.create_video, video.video_id, origin.now)
    text = video_body(video, call.address, None).model_dump_json()
    return Answer(202, {"Location": f"{call.address}/v1/jobs/{job.job_id}"}, text)


def _read_whole(call: Call, video_id: str) -> VideoBody:
    with call.work(is_read_only=True) as work:
        video = find_video(work, video_id)
    if video is None:
        raise missing("vid", video_id)
    is_ready = video.status is ResourceStatus.ready
    files = link_files(call, video.job_id, VIDEO_FOLDERS) if is_ready else None
    return video_body(video, call.address, files)
