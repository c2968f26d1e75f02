"""Strong entity tags: polling costs no body, and a change is refused if others came first."""

import hashlib

from api.http.problems import Refused


def etag_of(body: bytes) -> str:
    """Tag of a representation."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Whether the caller has this representation already (weak comparison, RFC 9110)."""
    if if_none_match is None:
        return False
    given = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in given or etag in given


def check_if_match(if_match: str | None, etag: str) -> None:
    """Refuse a change of something that the caller has not seen as it is.

    Raises:
        Refused: ``precondition_required`` without the header; ``precondition_failed`` when it names
            another state.
    """
    if if_match is None:
        raise Refused(
            "precondition_required", "send If-Match with the ETag that you read, or If-Match: *"
        )
    given = {tag.strip() for tag in if_match.split(",")}
    if "*" not in given and etag not in given:
        raise Refused(
            "precondition_failed",
            "it has changed since you read it; read it again and repeat the change",
            headers={"ETag": etag},
        )
