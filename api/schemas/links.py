"""Addresses that answers carry, so that nobody builds them."""

from datetime import datetime

from api.schemas.model import AnswerBody


class Links(AnswerBody):
    """Where to go on from here; null is what there is not (yet)."""

    self: str
    """This."""
    job: str | None = None
    """The job that makes it."""
    events: str | None = None
    """Its progress, as Server-Sent Events."""
    cancel: str | None = None
    """POST here to stop it; null once it has ended."""
    retry: str | None = None
    """POST here to run it again; null unless it failed."""
    result: str | None = None
    """What it made, once it succeeded."""


class FileLink(AnswerBody):
    """A file that can be downloaded for a while."""

    path: str
    """Where it lies within the artifact."""
    url: str
    """Needs no API key; ask again for a new one."""
    expires_at: datetime
    """When ``url`` ends."""
    size_bytes: int
    """Bytes."""
