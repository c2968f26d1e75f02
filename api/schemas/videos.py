"""Videos: what can be asked for, and what is answered."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.db.records import ResourceStatus
from api.schemas.avatars import PluginName
from api.schemas.links import FileLink, Links
from api.schemas.model import (
    AnswerBody,
    AvatarId,
    Labels,
    MinQuality,
    Name,
    RequestBody,
    UploadId,
    id_field,
)

_ID, _AVATAR = "vid_01jd5xt5b6c7d8e9f0g1h2j3k4", "ava_01jd5xr0a1b2c3d4e5f6g7h8j9"
_JOB, _SPEECH = "job_01jd5xt6c4e9h2k6n8q0s3v5w7", "upl_01jd5xs3d4e5f6g7h8j9k0m1n2"


class VideoOptions(RequestBody):
    """How the video looks."""

    pose_source: Literal["capture", "fixed"] = "capture"
    """Head pose looped from the capture, or held still."""
    articulation: float = Field(default=1.0, ge=0, le=3)
    """0 moves the mouth as far as the model is sure of, 1 as lively as the subject did."""
    background: Annotated[str, Field(pattern=r"^(plate|alpha|#[0-9a-fA-F]{6})$")] = "plate"
    """``plate`` (the capture's), a colour such as ``#00ff00``, or ``alpha`` (webm)."""
    camera: Literal["capture", "fixed", "orbit"] = "capture"
    """``capture``: the head moves; ``fixed``: it is kept still; ``orbit``: the camera swings."""
    height: int | None = Field(default=None, ge=16, le=4096)
    """Height in pixels, width in proportion; the capture's when not given."""
    rasterizer: PluginName | None = None
    """Rasterizer; the operator's default when not given."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Decides when the eyes blink and where the loop of the head pose begins."""
    min_quality: MinQuality = Field(default_factory=dict)
    """Bars of the video: the job fails with ``quality_below`` where a metric is worse."""


class VideoRequest(RequestBody):
    """A video of an avatar speaking a recording."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Greeting",
                    "avatar_id": _AVATAR,
                    "speech_upload_id": _SPEECH,
                    "options": {"background": "#ffffff"},
                }
            ]
        }
    )

    name: Name
    """What you call it."""
    avatar_id: AvatarId
    """A ready avatar whose consent holds."""
    speech_upload_id: UploadId
    """A ready upload of purpose ``speech``."""
    options: VideoOptions = VideoOptions()
    """How it looks."""
    labels: Labels = Field(default_factory=dict)
    """Your own words on it."""


class VideoBody(AnswerBody):
    """A video."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "video_id": _ID,
                    "name": "Greeting",
                    "status": "ready",
                    "labels": {},
                    "avatar_id": _AVATAR,
                    "speech_upload_id": _SPEECH,
                    "job_id": _JOB,
                    "options": {"background": "#ffffff"},
                    "facts": {"score": {"av_offset": 0}},
                    "files": [
                        {
                            "path": "video.mp4",
                            "url": "https://store.example/video.mp4?signature=0123",
                            "expires_at": "2026-11-21T04:09:00Z",
                            "size_bytes": 1_203_114,
                        }
                    ],
                    "created_at": "2026-11-21T03:08:00Z",
                    "updated_at": "2026-11-21T03:08:31Z",
                    "urls": {
                        "self": f"/v1/videos/{_ID}",
                        "job": f"/v1/jobs/{_JOB}",
                        "events": f"/v1/jobs/{_JOB}/events",
                        "result": "https://store.example/video.mp4?signature=0123",
                    },
                }
            ]
        }
    )

    video_id: str = id_field("vid", _ID)
    """Names it."""
    name: str
    """What you call it."""
    status: ResourceStatus
    """``pending`` while it is made, then ``ready``, ``failed`` or ``canceled``."""
    labels: dict[str, str]
    """Your own words on it."""
    avatar_id: str
    """Who speaks."""
    speech_upload_id: str
    """What is spoken."""
    job_id: str
    """The job that makes it."""
    options: dict[str, object]
    """How it was asked for."""
    facts: dict[str, object]
    """What its stages reported, by stage; the scores among them."""
    files: list[FileLink] | None
    """Video, scores and report once it is ready, on a single video only; null in listings."""
    created_at: datetime
    """When it was asked for."""
    updated_at: datetime
    """When it last changed."""
    urls: Links
    """Where to go on; ``result`` downloads the video itself."""
