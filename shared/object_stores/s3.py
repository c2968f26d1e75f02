"""Objects in one bucket of any S3 server, through the minio client.

``s3://ACCESS:SECRET@host:port/bucket?secure=0&region=us-east-1&public=https://media.example.com``

``secure=0`` speaks plain HTTP. ``public`` is the address that browsers reach the server at, if it
is another one; links are signed for it. Keys and secrets in the URL are percent-encoded.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.datatypes import PostPolicy
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from shared.errors import InvalidInput, Unavailable
from shared.object_store import (
    CHUNK,
    ObjectInfo,
    PresignedPost,
    Removed,
    Transferred,
    check_key,
    check_prefix,
    ignore,
)
from shared.store_links import clean_name

_CONNECT_SECONDS, _READ_SECONDS = 3.0, 20.0
_TRIES = 3
_PART_BYTES = 16 << 20
_DELETE_AT_ONCE = 1000
_NOT_FOUND = {"NoSuchKey", "NoSuchObject"}
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PARAMETERS = {"secure", "region", "public"}


def open_store(url: SplitResult) -> "S3Store":
    """Make the clients; nothing is sent yet."""
    return S3Store(read_place(url))


class _Place(NamedTuple):
    endpoint: str
    is_secure: bool
    bucket: str
    access_key: str
    secret_key: str
    region: str
    public: str


class S3Store:
    """One bucket."""

    def __init__(self, place: _Place) -> None:
        self._place = place
        self._bucket = place.bucket
        timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)
        retries = urllib3.Retry(
            total=_TRIES - 1, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)
        )
        http = urllib3.PoolManager(maxsize=16, timeout=timeout, retries=retries)
        self._client = Minio(
            place.endpoint,
            place.access_key,
            place.secret_key,
            secure=place.is_secure,
            region=place.region,
            http_client=http,
        )
        public = urlsplit(place.public)
        self._signer = Minio(
            public.netloc,
            place.access_key,
            place.secret_key,
            secure=public.scheme == "https",
            region=place.region,
        )

    def prepare(self) -> None:
        """Make the bucket; whoever lacks the right to make one makes it beforehand."""
        with _reachable():
            if not self._client.bucket_exists(self._bucket):
                try:
                    self._client.make_bucket(self._bucket)
                except S3Error as error:
                    if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                        raise

    def check(self) -> None:
        """Ask for the bucket."""
        with _reachable():
            is_there = self._client.bucket_exists(self._bucket)
        if not is_there:
            raise Unavailable("store_unavailable", f"there is no bucket {self._bucket}")

    def put_file(self, key: str, path: Path, moved: Transferred = ignore) -> None:
        """Upload a file, in parts when it is large."""
        check_key(key)
        with path.open("rb") as source, _reachable():

            def read(n_bytes: int) -> bytes:
                data = source.read(n_bytes)
                moved(len(data))
                return data

            size = path.stat().st_size
            self._client.put_object(
                self._bucket,
                key,
                SimpleNamespace(read=read),  # type: ignore[arg-type]  # read() is all that is called
                size,
                part_size=_PART_BYTES if size > _PART_BYTES else 0,
                num_parallel_uploads=1,
            )

    def put_bytes(self, key: str, data: bytes) -> None:
        """Upload a few bytes."""
        check_key(key)
        with _reachable():
            self._client.put_object(self._bucket, key, io.BytesIO(data), len(data))

    def get_file(self, key: str, path: Path, *, max_bytes: int, moved: Transferred = ignore) -> int:
        """Download to a file."""
        part = path.with_name(path.name + ".part")
        size = 0
        with part.open("wb") as target:
            for chunk in self._read(key, max_bytes):
                size += target.write(chunk)
                moved(len(chunk))
        part.replace(path)
        return size

    def get_bytes(self, key: str, *, max_bytes: int) -> bytes:
        """Download a small object."""
        return b"".join(self._read(key, max_bytes))

    def stream(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Download a part in chunks."""
        size = self.stat(key).size
        if start >= size or length == 0:
            return iter(())
        return self._read(key, None, start, length)

    def stat(self, key: str) -> ObjectInfo:
        """Size and age."""
        with _reachable(check_key(key)):
            found = self._client.stat_object(self._bucket, key)
        assert found.size is not None
        assert found.last_modified is not None
        return ObjectInfo(key, found.size, found.last_modified)

    def exists(self, key: str) -> bool:
        """Ask for its size."""
        try:
            self.stat(key)
        except InvalidInput as error:
            if error.code != "object_not_found":
                raise
            return False
        return True

    def list_objects(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        """List page by page."""
        if prefix:
            check_prefix(prefix)
        return self._list(prefix, start_after)

    def delete(self, key: str) -> None:
        """Remove an object."""
        with _reachable():
            self._client.remove_object(self._bucket, check_key(key))

    def delete_prefix(self, prefix: str) -> Removed:
        """Remove page by page."""
        n_objects = n_bytes = 0
        listed = self.list_objects(check_prefix(prefix))
        while page := list(islice(listed, _DELETE_AT_ONCE)):
            with _reachable():
                doomed = [DeleteObject(info.key) for info in page]
                errors = list(self._client.remove_objects(self._bucket, doomed))
            if errors:
                raise Unavailable(
                    "store_unavailable",
                    f"{len(errors)} objects below {prefix} could not be removed: {errors[0].code}",
                )
            n_objects += len(page)
            n_bytes += sum(info.size for info in page)
        return Removed(n_objects, n_bytes)

    def copy(self, source: str, target: str) -> None:
        """Copy on the server."""
        check_key(target)
        with _reachable(check_key(source)):
            self._client.copy_object(self._bucket, target, CopySource(self._bucket, source))

    def presign_get(
        self, key: str, *, now: datetime, expires: timedelta, download_name: str
    ) -> str:
        """URL of the server itself."""
        name = clean_name(download_name)
        return self._signer.presigned_get_object(
            self._bucket,
            check_key(key),
            expires=expires,
            response_headers={"response-content-disposition": f'attachment; filename="{name}"'},
            request_date=now,
        )

    def presign_post(
        self, key: str, *, now: datetime, expires: timedelta, n_bytes: tuple[int, int]
    ) -> PresignedPost:
        """POST policy of the server itself."""
        policy = PostPolicy(self._bucket, now + expires)
        policy.add_equals_condition("key", check_key(key))
        policy.add_content_length_range_condition(*n_bytes)
        fields = self._signer.presigned_post_policy(policy)
        return PresignedPost(f"{self._place.public}/{self._bucket}", {"key": key, **fields})

    def _read(
        self, key: str, max_bytes: int | None, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        with _reachable(check_key(key)):
            response = self._client.get_object(self._bucket, key, start, length or 0)
            try:
                size = int(response.headers.get("content-length", "0"))
                if max_bytes is not None and size > max_bytes:
                    raise InvalidInput(
                        "too_large", f"{key} has {size} bytes, at most {max_bytes} are taken"
                    )
                yield from response.stream(CHUNK)
            finally:
                response.close()
                response.release_conn()

    def _list(self, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        with _reachable():
            for found in self._client.list_objects(
                self._bucket, prefix=prefix, recursive=True, start_after=start_after or None
            ):
                if found.object_name is None or found.last_modified is None:
                    continue
                yield ObjectInfo(found.object_name, found.size or 0, found.last_modified)


@contextmanager
def _reachable(key: str | None = None) -> Iterator[None]:
    """Say what the client's errors mean for the caller."""
    try:
        yield
    except S3Error as error:
        if key is not None and error.code in _NOT_FOUND:
            raise InvalidInput("object_not_found", f"there is no object {key}") from error
        raise Unavailable(
            "store_unavailable", f"the store refuses: {error.code}, {error.message}"
        ) from error
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        raise Unavailable("store_unavailable", f"the store cannot be reached: {error}") from error


def read_place(url: SplitResult) -> _Place:
    """Take the URL apart.

    Raises:
        InvalidInput: ``bad_store_url``; says nothing of the keys.
    """
    query = parse_qs(url.query, keep_blank_values=True)
    bucket = url.path.strip("/")
    secure = query.get("secure", ["1"])[-1]
    public = urlsplit(query.get("public", ["https://same"])[-1])
    if not (url.hostname and url.username and url.password and _BUCKET.fullmatch(bucket)):
        raise InvalidInput(
            "bad_store_url",
            "an S3 store is named s3://ACCESS:SECRET@host:port/bucket, with percent-encoded keys",
        )
    is_known = set(query) <= _PARAMETERS and secure in {"0", "1"}
    if not (is_known and public.scheme in {"http", "https"} and public.netloc):
        raise InvalidInput(
            "bad_store_url",
            "an S3 store takes secure=0 or secure=1, region=NAME, public=https://HOST, "
            f"not {url.query!r}",
        )
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    endpoint = host if url.port is None else f"{host}:{url.port}"
    scheme = "https" if secure == "1" else "http"
    return _Place(
        endpoint=endpoint,
        is_secure=secure == "1",
        bucket=bucket,
        access_key=unquote(url.username),
        secret_key=unquote(url.password),
        region=query.get("region", ["us-east-1"])[-1],
        public=query.get("public", [f"{scheme}://{endpoint}"])[-1].rstrip("/"),
    )
