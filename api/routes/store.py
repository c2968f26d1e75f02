"""Upload and download where the store is a folder: what S3 does by itself elsewhere.

No key is needed: links and forms are signed and end. Bytes are kept as they come; only a worker
ever looks into them.
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO

import anyio
from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from api.dependencies import Parts, parts_of
from api.http.openapi import refusals
from api.http.problems import Refused
from api.http.upload_form import Allowed, UploadForm
from shared.object_store import CHUNK
from shared.store_links import ROUTE, UploadGrant, link_secret, read_form, read_link

router = APIRouter(prefix=ROUTE, tags=["store"])
_IDLE_SECONDS = 60.0
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "key": {"type": "string"},
                        "expires": {"type": "string"},
                        "min_bytes": {"type": "string"},
                        "max_bytes": {"type": "string"},
                        "signature": {"type": "string"},
                        "file": {"type": "string", "format": "binary"},
                    },
                    "required": [
                        "key",
                        "expires",
                        "min_bytes",
                        "max_bytes",
                        "signature",
                        "file",
                    ],
                }
            }
        },
    }
}


@router.post(
    "",
    status_code=204,
    operation_id="sendUpload",
    openapi_extra=_FORM,
    responses=refusals(400, 403, 408, 413, 415, 422, 500, 503),
)
async def send_upload(request: Request) -> Response:
    """Take the form of an upload: all its fields in order, then `file`."""
    parts = parts_of(request)
    with tempfile.TemporaryDirectory(prefix="talksplat-upload-") as folder:
        path = Path(folder) / "file"
        with path.open("wb") as target:
            grant = await _receive(request, parts, target)
        await anyio.to_thread.run_sync(parts.store.put_file, grant.key, path)
    return Response(status_code=204)


@router.get(
    "/{key:path}",
    response_class=Response,
    operation_id="download",
    responses={
        200: {"description": "The file.", "content": {"application/octet-stream": {}}},
        **refusals(403, 404, 422, 500, 503),
    },
)
async def download(
    request: Request,
    key: str,
    expires: Annotated[str, Query(max_length=20)] = "",
    name: Annotated[str, Query(max_length=255)] = "",
    signature: Annotated[str, Query(max_length=128)] = "",
) -> Response:
    """Hand out the file that a link names, as a download."""
    parts = parts_of(request)
    query = {"expires": expires, "name": name, "signature": signature}
    grant = read_link(_secret(parts), key, query, parts.now())
    info = await anyio.to_thread.run_sync(parts.store.stat, grant.key)
    chunks = await anyio.to_thread.run_sync(parts.store.stream, grant.key)
    return StreamingResponse(
        chunks,
        media_type="application/octet-stream",
        headers={
            "Content-Length": str(info.size),
            "Content-Disposition": f'attachment; filename="{grant.download_name}"',
            "Cache-Control": "private, max-age=300",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )


async def _receive(request: Request, parts: Parts, target: BinaryIO) -> UploadGrant:
    """Stream the form's file into ``target``, a chunk at a time in a thread."""
    grants: list[UploadGrant] = []
    form = UploadForm(
        request.headers.get("content-type", ""), partial(_check_fields, parts, grants), target
    )
    chunks = request.stream()
    waiting = bytearray()
    while True:
        with anyio.move_on_after(_IDLE_SECONDS) as scope:
            chunk = await anext(chunks, None)
        if scope.cancelled_caught:
            raise Refused("body_too_slow", f"nothing came for {_IDLE_SECONDS:.0f} s")
        waiting += chunk or b""
        if chunk is None or len(waiting) >= CHUNK:
            await anyio.to_thread.run_sync(form.feed, bytes(waiting))
            waiting.clear()
        if chunk is None:
            break
    form.finish()
    return grants[0]


def _check_fields(parts: Parts, grants: list[UploadGrant], fields: dict[str, str]) -> Allowed:
    grant = read_form(_secret(parts), fields, parts.now())
    grants.append(grant)
    return Allowed(grant.min_bytes, grant.max_bytes)


def _secret(parts: Parts) -> bytes:
    secret = link_secret(parts.store)
    assert secret is not None, "these routes are mounted for stores that sign their own links"
    return secret
