"""The OpenAPI document: every refusal documented, with its media type."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.http.idempotency import KEPT
from api.http.problems import MEDIA_TYPE, FieldError, Problem

TEXTS = {
    400: "Malformed: the body, a header or the cursor.",
    401: "No API key, or one that is unknown, revoked or expired.",
    403: "The key's scope, a consent or a link does not allow it.",
    404: "There is no such thing, or it is not yours.",
    408: "The body did not arrive in time.",
    409: "Not possible in the present state, or a twin of this request is under way.",
    410: "It has expired.",
    412: "It has changed since you read it.",
    413: "Too large.",
    415: "The body is not of the media type that is read here.",
    422: "Understood, but it cannot be used: `errors` names the fields.",
    428: "`If-Match` is missing.",
    429: "Too many requests, or a quota is used up; see `Retry-After`.",
    500: "A fault of ours; report the `request_id`.",
    503: "Something needed is away for now; see `Retry-After`.",
}
IDEMPOTENCY_KEY: Mapping[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "A new random value, such as a UUID, and the same one when the request is "
    f"repeated: for {KEPT.total_seconds() / 3600:.0f} hours it is answered as the first time, with "
    "`Idempotent-Replayed: true`.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_:.-]{1,255}$"},
    "example": "5f0c7c1e-8f3e-4b7d-9a64-0f1f5f3c2b1a",
}
_BODY = (400, 408, 413, 415, 422)
_ALWAYS = (401, 403, 429, 500, 503)
_DESCRIPTION = """\
Turns a short video of a person into a drivable 3D head, and any recording into a video of it
speaking.

Send `Authorization: Bearer ts_...`. Everything that takes long is a job: the answer is `202` with
the job's address in `Location`; poll it with `If-None-Match`, wait with `Prefer: wait=30`, stream
`/v1/jobs/{job_id}/events`, or register a webhook. Every refusal is an `application/problem+json`
with a stable `code`. Listings are newest first; `next_cursor` leads to the next page.
"""


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """``responses=`` of a route that refuses with these statuses besides the usual ones."""
    return {status: _refusal(status) for status in statuses}


def describe(app: FastAPI, version: str) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title="Talksplat",
            version=version,
            openapi_version="3.1.0",
            description=_DESCRIPTION,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            routes=app.routes,
            tags=_TAGS,
        )
        schemas = document["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for model in (FieldError, Problem):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schema.pop("$defs", None)
            schemas[model.__name__] = schema
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, operations in document["paths"].items():
            for operation in operations.values():
                _complete(path, operation)
        app.openapi_schema = document
    return app.openapi_schema


_TAGS = [
    {"name": "uploads", "description": "Bytes go straight to the object store."},
    {"name": "avatars", "description": "A drivable head of one person, with their consent."},
    {"name": "videos", "description": "An avatar speaking a recording."},
    {"name": "jobs", "description": "How far a request is."},
    {"name": "consents", "description": "Who allowed what, and every use of it."},
    {"name": "webhooks", "description": "Being told instead of asking."},
    {"name": "account", "description": "What is offered and what was used."},
    {"name": "admin", "description": "Tenants, keys and quotas."},
    {"name": "store", "description": "Upload and download where the store is a folder."},
    {"name": "operations", "description": "Probes and telemetry."},
]


def _complete(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None) if _is_default(responses.get("422")) else None
    is_open = not path.startswith("/v1/")
    usual: Iterable[int] = () if is_open else _ALWAYS
    if not is_open:
        operation["security"] = [{"key": []}]
    statuses = {*usual}
    if "requestBody" in operation and not is_open:
        statuses |= {*_BODY}
    places = {parameter["in"] for parameter in operation.get("parameters", [])}
    if "path" in places:
        statuses.add(404)
    if places & {"query", "header"}:
        statuses |= {400, 422}
    for status in sorted(statuses):
        responses.setdefault(str(status), _refusal(status))
    operation["responses"] = dict(sorted(responses.items()))


def _is_default(response: Mapping[str, Any] | None) -> bool:
    return response is not None and MEDIA_TYPE not in response.get("content", {})


def _refusal(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": TEXTS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
