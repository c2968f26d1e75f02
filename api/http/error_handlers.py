"""Turns every refusal, ours or the framework's, into a problem document."""

import re
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.http.problems import Refused, field_errors, problem_of, problem_with_status
from api.http.request_context import trace_of
from shared.errors import PlatformError


def add_error_handlers(app: FastAPI) -> None:
    """Give ``app`` its handlers; what they do not know ends in ``RequestContext``."""
    app.add_exception_handler(PlatformError, _answer_platform_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid_request)
    app.add_exception_handler(HTTPException, _answer_framework_error)


def invalid_request(error: RequestValidationError) -> Refused:
    """What is wrong field by field; a malformed id in a path is an unknown one."""
    found = error.errors()
    if any(problem["loc"] and problem["loc"][0] == "path" for problem in found):
        return Refused("not_found", "there is nothing at this address")
    errors = field_errors(found)
    first = errors[0]
    where = f"{first.location}{first.pointer}"
    return Refused("invalid_request", f"{where}: {first.message}", errors=errors)


async def _answer_platform_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PlatformError)
    return problem_of(error, request.url.path, trace_of(request).trace_id)


async def _answer_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_of(invalid_request(error), request.url.path, trace_of(request).trace_id)


async def _answer_framework_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    details = {404: "there is nothing at this address", 405: "this address has other methods"}
    detail = details.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods_of(request))
    trace_id = trace_of(request).trace_id
    return problem_with_status(error.status_code, detail, request.url.path, trace_id, headers)


def _methods_of(request: Request) -> list[str]:
    """Methods of every route at this address; the router names those of the first only."""
    paths: dict[str, dict[str, object]] = request.app.openapi()["paths"]
    return sorted(
        method.upper()
        for template, operations in paths.items()
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), request.url.path)
        for method in operations
    )
