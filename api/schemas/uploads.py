"""Uploads: bytes that a tenant sends straight to the object store."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.db.records import UploadStatus
from api.schemas.links import Links
from api.schemas.model import AnswerBody, RequestBody, Sha256, id_field

Purpose = Literal["capture", "speech", "consent"]
ContentType = Annotated[
    str, Field(max_length=100, pattern=r"^(audio|video)/[A-Za-z0-9][A-Za-z0-9.+_-]{0,80}$")
]
FileName = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1F\x7F/\\]+$")]
_SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_ID, _JOB = "upl_01jd5xqk2r8v7w3m9n4p6s0t1z", "job_01jd5xr1c4e9h2k6n8q0s3v5w7"


class UploadRequest(RequestBody):
    """What will be sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "file_name": "me.mp4",
                    "content_type": "video/mp4",
                    "size_bytes": 18_874_368,
                    "sha256": _SHA,
                    "purpose": "capture",
                }
            ]
        }
    )

    file_name: FileName
    """As you call it; shown to you, never used as a path."""
    content_type: ContentType
    """Media type of the file."""
    size_bytes: int = Field(ge=1, le=2**40)
    """Exact size; more or less is refused."""
    sha256: Sha256
    """Of the file; checked by a worker before anything uses the bytes."""
    purpose: Purpose
    """What it is for: the video of a person, a recording to speak, or a video of consent."""


class UploadForm(AnswerBody):
    """A form to be sent as ``multipart/form-data``: all ``fields``, then ``file``."""

    url: str
    """POST here; needs no API key."""
    fields: dict[str, str]
    """In this order, unchanged, before ``file``."""
    expires_at: datetime
    """When the form ends."""


class FailureBody(AnswerBody):
    """Why something failed."""

    code: str
    """For programs; see docs/errors.md."""
    message: str
    """What was found, what was expected and what to do."""


class UploadBody(AnswerBody):
    """An upload."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "upload_id": _ID,
                    "file_name": "me.mp4",
                    "content_type": "video/mp4",
                    "size_bytes": 18_874_368,
                    "sha256": _SHA,
                    "purpose": "capture",
                    "status": "ready",
                    "facts": {"duration_seconds": 15.2},
                    "failure": None,
                    "form": None,
                    "job_id": _JOB,
                    "created_at": "2026-11-21T03:04:05Z",
                    "expires_at": "2026-11-21T04:04:05Z",
                    "urls": {"self": f"/v1/uploads/{_ID}", "job": f"/v1/jobs/{_JOB}"},
                }
            ]
        }
    )

    upload_id: str = id_field("upl")
    """Names it in other requests."""
    file_name: str
    """As you called it."""
    content_type: str
    """As you said."""
    size_bytes: int
    """As you said."""
    sha256: str
    """As you said."""
    purpose: str
    """What it is for."""
    status: UploadStatus
    """``pending`` until completed, ``verifying``, then ``ready`` or ``rejected``."""
    facts: dict[str, bool | int | float | str | None]
    """What verification found, such as the duration."""
    failure: FailureBody | None
    """Why it was rejected."""
    form: UploadForm | None = None
    """How to send the bytes; given once, by the POST that made the upload."""
    job_id: str | None
    """The job that verifies it."""
    created_at: datetime
    """When it was asked for."""
    expires_at: datetime
    """When an upload that was not completed is removed."""
    urls: Links
    """Where to go on."""
