"""Consent of the person in a capture; a part of making an avatar, kept append-only."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, model_validator

from api.schemas.links import Links
from api.schemas.model import AnswerBody, Moment, Name, RequestBody, UploadId, id_field

ConsentScope = Literal["avatar", "video"]
Statement = Annotated[
    str, Field(min_length=1, max_length=4000, pattern=r"^[^\x00-\x08\x0B-\x1F\x7F]+$")
]
_EXAMPLE: dict[str, JsonValue] = {
    "subject": "Ada Lovelace",
    "scope": ["avatar", "video"],
    "expires_at": "2027-11-21T00:00:00Z",
    "statement": "I, Ada Lovelace, allow Example Ltd to make an avatar of me from this recording.",
}


class ConsentRequest(RequestBody):
    """Who allows what, until when, and how that is known."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    subject: Name
    """The person in the capture."""
    scope: list[ConsentScope] = Field(min_length=1, max_length=2)
    """What is allowed: making the ``avatar``, making a ``video`` with it."""
    expires_at: Moment
    """When it ends; new videos are refused from then on."""
    statement: Statement | None = None
    """What the person declared, in words. This or ``evidence_upload_id`` is needed."""
    evidence_upload_id: UploadId | None = None
    """Upload of purpose ``consent``: the person saying it."""

    @model_validator(mode="after")
    def _check_evidence(self) -> "ConsentRequest":
        if self.statement is None and self.evidence_upload_id is None:
            raise ValueError("give statement, or evidence_upload_id of a consent video")
        return self


class ConsentUseBody(AnswerBody):
    """One time a consent was asked for."""

    action: str
    """What was wanted, such as ``create_video``."""
    resource_id: str
    """For what."""
    is_allowed: bool
    """Whether the consent allowed it."""
    detail: str
    """Why not."""
    occurred_at: datetime
    """When."""


class ConsentBody(AnswerBody):
    """A consent record; it never changes but for its one revocation."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "consent_id": "con_01jd5xr0a1b2c3d4e5f6g7h8j9",
                    **_EXAMPLE,
                    "evidence_upload_id": None,
                    "capture_sha256": "9f86d081884c7d659a2feaa0c55ad015"
                    "a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "created_at": "2026-11-21T03:05:00Z",
                    "revoked_at": None,
                    "revoked_reason": None,
                    "uses": [],
                    "urls": {"self": "/v1/consents/con_01jd5xr0a1b2c3d4e5f6g7h8j9"},
                }
            ]
        }
    )

    consent_id: str = id_field("con")
    """Names it."""
    subject: str
    """The person in the capture."""
    scope: list[str]
    """What is allowed."""
    statement: str | None
    """What the person declared."""
    evidence_upload_id: str | None
    """The consent video."""
    capture_sha256: str
    """The capture that it is bound to, and to no other."""
    created_at: datetime
    """When it was recorded."""
    expires_at: datetime | None
    """When it ends."""
    revoked_at: datetime | None
    """When it was revoked."""
    revoked_reason: str | None
    """Why."""
    uses: list[ConsentUseBody]
    """Its newest uses, allowed and refused; at most 100, on a single consent only."""
    urls: Links
    """Where to go on."""


class RevocationRequest(RequestBody):
    """End a consent."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "asked by the subject", "purge": True}]}
    )

    reason: Annotated[str, Field(max_length=1000, pattern=r"^[^\x00-\x08\x0B-\x1F\x7F]*$")] = ""
    """Kept with the record."""
    purge: bool = False
    """Also remove every avatar and video made under it, and the capture."""
