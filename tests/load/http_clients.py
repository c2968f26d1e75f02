"""Clients that send one request after another and note how long each took.

A small HTTP/1.1 client of our own: it shares two cores with the gateway it measures, and a library
would cost more than the gateway does.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

MakeRequest = Callable[[], bytes]


class Measured(NamedTuple):
    """One round."""

    per_second: float
    latencies: list[float]
    """Seconds, of every request."""


def measure_clients(port: int, make_request: MakeRequest, n: int, seconds: float) -> Measured:
    """Let ``n`` clients with a connection each send requests for some seconds.

    Raises:
        AssertionError: an answer was not a success.
    """
    return asyncio.run(_measure(port, make_request, n, seconds))


def request_bytes(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A request as it goes over the wire; underscores in names of headers become hyphens."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    if body:
        lines.append("content-type: application/json")
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def _measure(port: int, make_request: MakeRequest, n: int, seconds: float) -> Measured:
    latencies: list[float] = []
    links = [await asyncio.open_connection("127.0.0.1", port) for _ in range(n)]
    began = time.perf_counter()
    until = began + seconds
    try:
        await asyncio.gather(
            *(_ask(reader, writer, make_request, until, latencies) for reader, writer in links)
        )
    finally:
        for _, writer in links:
            writer.close()
    return Measured(len(latencies) / (time.perf_counter() - began), latencies)


async def _ask(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    make_request: MakeRequest,
    until: float,
    latencies: list[float],
) -> None:
    while (asked_at := time.perf_counter()) < until:
        writer.write(make_request())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        latencies.append(time.perf_counter() - asked_at)
        assert head[9:10] == b"2", (head.decode(), body.decode())
