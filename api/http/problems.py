"""Refusals as RFC 9457 problem documents, and which status each error code has."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from shared.errors import InvalidInput, PlatformError, Unavailable

MEDIA_TYPE = "application/problem+json"

STATUS_BY_CODE: Mapping[str, int] = {
    # What HTTP itself refuses.
    "bad_cursor": 400,
    "bad_header": 400,
    "bad_idempotency_key": 400,
    "idempotency_key_missing": 400,
    "malformed_body": 400,
    "unauthenticated": 401,
    "scope_missing": 403,
    "not_found": 404,
    "body_too_slow": 408,
    "request_in_progress": 409,
    "precondition_failed": 412,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "precondition_required": 428,
    "rate_limited": 429,
    "too_many_streams_open": 429,
    # What is not there, or not the caller's.
    "object_not_found": 404,
    # What is not possible in the present state.
    "avatar_not_ready": 409,
    "job_finished": 409,
    "job_not_retryable": 409,
    "key_not_live": 409,
    "tenant_exists": 409,
    "too_many_webhooks": 409,
    "upload_in_use": 409,
    "upload_missing": 409,
    "upload_not_ready": 409,
    "version_conflict": 412,
    "webhook_disabled": 409,
    "upload_expired": 410,
    # What is not allowed.
    "bad_link": 403,
    "bad_store_key": 403,
    "consent_expired": 403,
    "consent_other_capture": 403,
    "consent_revoked": 403,
    "consent_scope": 403,
    "link_expired": 403,
    # What is too much.
    "too_large": 413,
    "quota_compute_seconds": 429,
    "quota_open_jobs": 429,
    "quota_stored_bytes": 429,
}
"""Statuses of codes; an input that is refused for any other reason is 422."""

RETRY_AFTER_BY_CODE: Mapping[str, int] = {
    "quota_compute_seconds": 3600,
    "quota_open_jobs": 30,
    "quota_stored_bytes": 3600,
}
"""Seconds that a caller is told to wait until it may be otherwise."""
INVALID_INPUT_STATUS = 422
UNAVAILABLE_STATUS = 503
RETRY_AFTER_SECONDS = 5
"""What a caller is told to wait when something is away for now."""


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    location: str = Field(examples=["body"])
    """Part of the request: ``body``, ``query``, ``path`` or ``header``."""
    pointer: str = Field(examples=["/consent/statement"])
    """JSON pointer inside that part; empty for the whole of it."""
    message: str = Field(examples=["Field required"])
    """What is wrong with it."""


class Problem(BaseModel):
    """RFC 9457 problem document; every answer from 400 on is one."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    type: str = Field(examples=["urn:talksplat:problem:not_found"])
    """Identifies the kind of problem; the last part is ``code``."""
    title: str = Field(examples=["Not Found"])
    """The status in words."""
    status: int = Field(ge=400, le=599, examples=[404])
    """HTTP status."""
    detail: str = Field(examples=["there is no avatar ava_00000000000000000000000000"])
    """What was found, what was expected and what to do."""
    instance: str = Field(examples=["/v1/avatars/ava_00000000000000000000000000"])
    """Path of the request."""
    code: str = Field(pattern="^[a-z0-9_]+$", examples=["not_found"])
    """Stable code for programs; ``docs/errors.md`` lists them."""
    request_id: str = Field(examples=["4bf92f3577b34da6a3ce929d0e0e4736"])
    """Trace id of the request; name it when you ask for help."""
    errors: list[FieldError] = []
    """What is wrong field by field, where the request itself is malformed."""


class Refused(InvalidInput):
    """A request that HTTP itself refuses, with the headers and fields that say why."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[FieldError] = (),
    ) -> None:
        super().__init__(code, message)
        self.headers = dict(headers or {})
        self.errors = list(errors)


def status_of(error: PlatformError) -> int:
    """HTTP status of an error of the product's own tree."""
    if isinstance(error, Unavailable):
        return UNAVAILABLE_STATUS
    return STATUS_BY_CODE.get(error.code, INVALID_INPUT_STATUS)


def problem_of(error: PlatformError, instance: str, request_id: str) -> Response:
    """Answer for an error of the product's own tree."""
    status = status_of(error)
    headers = dict(error.headers) if isinstance(error, Refused) else {}
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if error.code in RETRY_AFTER_BY_CODE:
        headers["Retry-After"] = str(RETRY_AFTER_BY_CODE[error.code])
    errors = error.errors if isinstance(error, Refused) else []
    return render_problem(
        _problem(status, error.code, error.message, instance, request_id=request_id, errors=errors),
        headers,
    )


def problem_with_status(
    status: int, detail: str, instance: str, request_id: str, headers: Mapping[str, str]
) -> Response:
    """Answer for a refusal of the framework, which knows a status only."""
    codes = {code_status: code for code, code_status in _FRAMEWORK_CODES.items()}
    code = codes.get(status, HTTPStatus(status).name.lower())
    return render_problem(
        _problem(status, code, detail, instance, request_id=request_id), dict(headers)
    )


def internal_problem(instance: str, request_id: str) -> Response:
    """Answer for a bug: nothing of the inside is told."""
    detail = f"this is a fault of ours; report it with the request id {request_id}"
    return render_problem(
        _problem(500, "internal_error", detail, instance, request_id=request_id), {}
    )


def field_errors(found: Sequence[Any]) -> list[FieldError]:
    """Fields of a pydantic or FastAPI validation error; inputs are not repeated."""
    return [
        FieldError(
            location=str(error["loc"][0]) if error["loc"] else "body",
            pointer="".join("/" + _escape(part) for part in error["loc"][1:]),
            message=_printable(str(error["msg"]), _MAX_MESSAGE),
        )
        for error in found[:_MAX_ERRORS]
    ]


def render_problem(problem: Problem, headers: Mapping[str, str]) -> Response:
    """The document as an answer that nobody may cache."""
    return Response(
        problem.model_dump_json(),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **headers},
    )


_FRAMEWORK_CODES = {
    "malformed_body": 400,
    "not_found": 404,
    "method_not_allowed": 405,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "invalid_request": 422,
}
_MAX_ERRORS = 50
_MAX_MESSAGE = 300
_MAX_DETAIL = 1000
_MAX_INSTANCE = 500


def _problem(
    status: int,
    code: str,
    detail: str,
    instance: str,
    *,
    request_id: str,
    errors: Sequence[FieldError] = (),
) -> Problem:
    return Problem(
        type=f"urn:talksplat:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=_printable(detail, _MAX_DETAIL),
        instance=_printable(instance, _MAX_INSTANCE),
        code=code,
        request_id=request_id,
        errors=list(errors),
    )


def _escape(part: object) -> str:
    return _printable(str(part), 100).replace("~", "~0").replace("/", "~1")


def _printable(text: str, limit: int) -> str:
    """``text`` without control characters and lone surrogates, cut to ``limit`` characters."""
    kept = "".join(c if c.isprintable() else "�" for c in text[:limit])
    return kept + ("…" if len(text) > limit else "")
