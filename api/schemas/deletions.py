"""Receipts of what was removed."""

from datetime import datetime

from pydantic import ConfigDict

from api.schemas.links import Links
from api.schemas.model import AnswerBody, id_field

_ID = "del_01jd5xr0a1b2c3d4e5f6g7h8j9"


class DeletionBody(AnswerBody):
    """What a deletion removes; objects follow within seconds, whatever crashes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "deletion_id": _ID,
                    "subject_kind": "video",
                    "subject_id": "vid_01jd5xr0a1b2c3d4e5f6g7h8j9",
                    "reason": "requested",
                    "removed": ["video:vid_01jd5xr0a1b2c3d4e5f6g7h8j9"],
                    "n_objects": 9,
                    "n_bytes": 1_203_114,
                    "created_at": "2026-11-21T03:05:00Z",
                    "finished_at": "2026-11-21T03:05:03Z",
                    "urls": {"self": f"/v1/deletions/{_ID}"},
                }
            ]
        }
    )

    deletion_id: str = id_field("del")
    """Names the receipt."""
    subject_kind: str
    """``avatar``, ``video``, ``upload`` or ``consent``."""
    subject_id: str
    """What was asked to be removed."""
    reason: str
    """Why."""
    removed: list[str]
    """Everything that goes with it, as ``kind:id``."""
    n_objects: int
    """Files removed from the store so far."""
    n_bytes: int
    """Their size."""
    created_at: datetime
    """When it was asked for."""
    finished_at: datetime | None
    """When the last file was gone; null while files are being removed."""
    urls: Links
    """Where to go on."""


class RevocationBody(AnswerBody):
    """A revoked consent, and the receipts of what was purged with it."""

    consent_id: str = id_field("con")
    """The consent."""
    revoked_at: datetime
    """Since when it allows nothing."""
    deletions: list[DeletionBody]
    """One for each avatar that was purged; empty without ``purge``."""
