"""Calls of the gateway's HTTP interface that wait for one that is just being restarted."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

_PATIENCE_SECONDS = 60.0


def call(
    address: str,
    token: str,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    more_headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The JSON answer of one request; asks again while nobody answers, or a part is away."""
    data = None if body is None else json.dumps(body).encode()
    headers = {
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        **(more_headers or {}),
    }
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        request = urllib.request.Request(address + path, data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310 - our own
                answer: dict[str, Any] = json.loads(response.read())
                return answer
        except urllib.error.HTTPError as error:
            refusal = f"{error.code}: {error.read().decode()}"
            is_away = error.code == HTTPStatus.SERVICE_UNAVAILABLE
        except OSError as error:
            refusal, is_away = f"{address}: {error}", True
        assert is_away, refusal
        assert time.monotonic() < until, refusal
        time.sleep(0.5)


def list_all(address: str, token: str, path: str) -> Iterator[dict[str, Any]]:
    """Items of all pages of a listing."""
    cursor = ""
    while True:
        page = call(address, token, "GET", f"{path}?limit=100{cursor}")
        yield from page["items"]
        if not page["next_cursor"]:
            return
        cursor = f"&cursor={page['next_cursor']}"
