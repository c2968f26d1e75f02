"""JSON as RFC 8259 and I-JSON mean it: what other parsers would read differently is refused."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import anyio
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from api.http.problems import Refused

MAX_BODY_BYTES = 256 * 1024
READ_SECONDS = 30.0
"""A body that trickles in for longer is given up."""
MAX_DIGITS = 30
"""Of a number; the largest that is asked for anywhere has 16."""
_EXACT = 2.0**53


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Read one JSON document.

    Raises:
        Refused: ``malformed_body`` for what is not UTF-8 or not JSON, for NaN and infinities,
            lone surrogates, a member named twice, numbers of more than 30 characters and
            nesting beyond all need.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("malformed_body", f"the body is not UTF-8: {error.reason}") from error
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_int=_parse_int,
            parse_float=_parse_float,
            object_pairs_hook=_unique_members,
        )
        if "\\u" in text:
            _refuse_surrogates(value)
    except json.JSONDecodeError as error:
        raise Refused(
            "malformed_body",
            f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
        ) from error
    except RecursionError as error:
        raise Refused("malformed_body", "the body is nested too deeply") from error
    return value


class StrictRequest(Request):
    """A request whose ``body()`` is bounded and whose ``json()`` is strict."""

    async def body(self) -> bytes:
        """The body, read once.

        Raises:
            Refused: ``body_too_large``; ``body_too_slow``.
        """
        if not hasattr(self, "_body"):
            self._body = await _read_bounded(self)
        return self._body

    async def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """The body, parsed once."""
        if not hasattr(self, "_json"):
            self._json = parse_json(await self.body())
        return self._json


class StrictRoute(APIRoute):
    """A route that reads its JSON strictly and refuses bodies of other media types."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the request before FastAPI reads it."""
        handle = super().get_route_handler()
        wants_json = self.body_field is not None

        async def handle_strictly(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if wants_json:
                _check_media_type(strict)
                await strict.json()  # here, because FastAPI would turn a refusal into its own 400
            return await handle(strict)

        return handle_strictly


async def _read_bounded(request: Request) -> bytes:
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > MAX_BODY_BYTES:
        raise _too_large()
    chunks: list[bytes] = []
    n_bytes = 0
    with anyio.move_on_after(READ_SECONDS) as scope:
        async for chunk in request.stream():
            n_bytes += len(chunk)
            if n_bytes > MAX_BODY_BYTES:
                raise _too_large()
            chunks.append(chunk)
    if scope.cancelled_caught:
        raise Refused("body_too_slow", f"the body did not arrive within {READ_SECONDS:.0f} s")
    return b"".join(chunks)


def _too_large() -> Refused:
    return Refused(
        "body_too_large",
        f"the body has more than {MAX_BODY_BYTES} bytes; media goes to the address of an upload",
        headers={"Connection": "close"},
    )


def _check_media_type(request: Request) -> None:
    given = request.headers.get("content-type", "")
    if given.split(";")[0].strip().lower() != "application/json":
        raise Refused(
            "unsupported_media_type",
            f"the body is {given or 'of no media type'}; send application/json",
            headers={"Accept-Post": "application/json"},
        )


def _refuse_constant(name: str) -> NoReturn:
    raise Refused("malformed_body", f"{name} is not a JSON number")


def _parse_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise Refused("malformed_body", f"a number of {len(digits)} digits is too large")
    return int(digits)


def _parse_float(digits: str) -> float:
    """A number; 3.0 is the integer 3 in JSON Schema, and so it is here."""
    value = float(digits) if len(digits) <= MAX_DIGITS else float("inf")
    if value in {float("inf"), float("-inf")}:
        raise Refused("malformed_body", f"the number {digits[:MAX_DIGITS]} is too large or long")
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise Refused("malformed_body", f"the member {twice[:50]!r} is given twice")
    return members


def _refuse_surrogates(value: object) -> None:
    """Half of a character pair cannot be stored or sent on."""
    if isinstance(value, str):
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise Refused("malformed_body", "a string holds half of a surrogate pair")
    elif isinstance(value, dict):
        for name, member in value.items():
            _refuse_surrogates(name)
            _refuse_surrogates(member)
    elif isinstance(value, list):
        for item in value:
            _refuse_surrogates(item)
