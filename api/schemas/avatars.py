"""Avatars: what can be asked for, and what is answered."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from api.db.records import ResourceStatus
from api.schemas.consents import ConsentRequest
from api.schemas.links import FileLink, Links
from api.schemas.model import AnswerBody, Labels, MinQuality, Name, RequestBody, UploadId, id_field

Preset = Literal["draft", "standard", "high"]
PluginName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
_ID, _UPLOAD = "ava_01jd5xr0a1b2c3d4e5f6g7h8j9", "upl_01jd5xqk2r8v7w3m9n4p6s0t1z"
_JOB = "job_01jd5xr1c4e9h2k6n8q0s3v5w7"


class AvatarOptions(RequestBody):
    """How the avatar is made."""

    method: PluginName = "rigged_gaussians"
    """Avatar method; the catalog lists them."""
    preset: Preset = "standard"
    """Effort of the training: ``draft`` in a minute, ``standard`` in minutes, ``high`` in hours."""
    max_steps: int | None = Field(default=None, ge=1, le=1_000_000)
    """Optimizer steps instead of the preset's; 300 give a first impression."""
    holdout_seconds: float = Field(default=0.0, ge=0, le=600)
    """Seconds at the end of the capture kept from training, re-spoken and scored."""
    rasterizer: PluginName | None = None
    """Rasterizer; the operator's default when not given."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Seed of everything random."""
    min_quality: MinQuality = Field(default_factory=dict)
    """Bars of the re-spoken held-out part, which ``holdout_seconds`` keeps: the job fails with
    ``quality_below`` where a metric is worse."""

    @model_validator(mode="after")
    def _bars_need_a_measure(self) -> Self:
        if self.min_quality and not self.holdout_seconds:
            raise ValueError("min_quality is measured on held-out seconds: set holdout_seconds too")
        return self


class AvatarRequest(RequestBody):
    """An avatar to be made from a capture."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Ada",
                    "capture_upload_id": _UPLOAD,
                    "consent": {
                        "subject": "Ada Lovelace",
                        "scope": ["avatar", "video"],
                        "expires_at": "2027-11-21T00:00:00Z",
                        "statement": "I allow Example Ltd to make an avatar of me.",
                    },
                    "options": {"preset": "draft", "holdout_seconds": 3.0},
                    "labels": {"team": "demo"},
                }
            ]
        }
    )

    name: Name
    """What you call it."""
    capture_upload_id: UploadId
    """A ready upload of purpose ``capture``."""
    consent: ConsentRequest
    """Of the person in the capture; bound to the capture's SHA-256."""
    options: AvatarOptions = AvatarOptions()
    """How it is made."""
    labels: Labels = Field(default_factory=dict)
    """Your own words on it."""


class AvatarChange(RequestBody):
    """What may be changed; members left out stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Ada, 2027"}]})

    name: Name | None = None
    """What you call it."""
    labels: Labels | None = None
    """Replaces all labels."""


class AvatarBody(AnswerBody):
    """An avatar."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "avatar_id": _ID,
                    "name": "Ada",
                    "status": "ready",
                    "labels": {"team": "demo"},
                    "capture_upload_id": _UPLOAD,
                    "consent_id": "con_01jd5xr0a1b2c3d4e5f6g7h8j9",
                    "job_id": _JOB,
                    "options": {"preset": "draft"},
                    "facts": {"train": {"n_gaussians": 14000}},
                    "version": 3,
                    "created_at": "2026-11-21T03:05:00Z",
                    "updated_at": "2026-11-21T03:07:40Z",
                    "urls": {
                        "self": f"/v1/avatars/{_ID}",
                        "job": f"/v1/jobs/{_JOB}",
                        "events": f"/v1/jobs/{_JOB}/events",
                        "result": f"/v1/avatars/{_ID}/files",
                    },
                }
            ]
        }
    )

    avatar_id: str = id_field("ava")
    """Names it in other requests."""
    name: str
    """What you call it."""
    status: ResourceStatus
    """``pending`` while it is made, then ``ready``, ``failed`` or ``canceled``."""
    labels: dict[str, str]
    """Your own words on it."""
    capture_upload_id: str
    """What it is made from."""
    consent_id: str
    """What allows it."""
    job_id: str
    """The job that makes it."""
    options: dict[str, object]
    """How it was asked for."""
    facts: dict[str, object]
    """What its stages reported, by stage; scores of the held-out part among them."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    """When it was asked for."""
    updated_at: datetime
    """When it last changed."""
    urls: Links
    """Where to go on."""


class FilesBody(AnswerBody):
    """Files of an artifact."""

    files: list[FileLink]
    """Each with a link that ends."""
