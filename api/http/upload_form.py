"""Reads a ``multipart/form-data`` upload as it streams in: fields first, then one file.

The fields say what may be sent, so the file is only begun once they have been checked, and stops at
the size that they allow.
"""

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.http.problems import Refused

FILE_FIELD = "file"
_MAX_FIELDS, _MAX_FIELD_BYTES = 30, 4096


class Allowed(NamedTuple):
    """What the checked fields allow."""

    min_bytes: int
    max_bytes: int


class UploadForm:
    """Fed with the body piece by piece."""

    def __init__(
        self, content_type: str, check: Callable[[dict[str, str]], Allowed], target: BinaryIO
    ) -> None:
        kind, parameters = parse_options_header(content_type)
        boundary = parameters.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not 0 < len(boundary) <= _MAX_BOUNDARY:
            raise Refused(
                "unsupported_media_type",
                "send the form as multipart/form-data: all fields, then file",
            )
        self._check = check
        self._target = target
        self._fields: dict[str, str] = {}
        self._header: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._part = ""
        self._data = b""
        self._allowed: Allowed | None = None
        self._n_bytes = 0
        self._is_file_whole = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_header_name,
                "on_header_value": self._add_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
            },
        )

    def feed(self, data: bytes) -> None:
        """Take a piece of the body.

        Raises:
            Refused: ``malformed_body``; ``body_too_large`` the file has more bytes than allowed.
        """
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise Refused("malformed_body", f"the form cannot be read: {error}") from error

    def finish(self) -> int:
        """Check that all has come, and return the file's size.

        Raises:
            Refused: ``malformed_body`` there is no whole file; ``upload_too_small``.
        """
        if self._allowed is None or not self._is_file_whole:
            raise Refused("malformed_body", "the form holds no whole file; it comes last, as file")
        if self._n_bytes < self._allowed.min_bytes:
            raise Refused(
                "upload_too_small",
                f"the file has {self._n_bytes} bytes, {self._allowed.min_bytes} were announced",
            )
        return self._n_bytes

    def _begin_part(self) -> None:
        self._header = {}
        self._part, self._data = "", b""

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._check_length(self._name)

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._check_length(self._value)

    def _end_header(self) -> None:
        self._header[self._name.lower()] = self._value
        self._name = self._value = b""
        if len(self._header) > _MAX_FIELDS:
            raise Refused("malformed_body", "a part of the form has too many headers")

    def _end_headers(self) -> None:
        _, parameters = parse_options_header(self._header.get(b"content-disposition", b""))
        self._part = parameters.get(b"name", b"").decode("utf-8", "replace")
        if self._part == FILE_FIELD:
            if self._allowed is not None:
                raise Refused("malformed_body", "the form holds two files")
            self._allowed = self._check(self._fields)

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._part == FILE_FIELD and self._allowed is not None:
            self._n_bytes += end - start
            if self._n_bytes > self._allowed.max_bytes:
                raise Refused(
                    "body_too_large",
                    f"the file has more than the {self._allowed.max_bytes} bytes announced",
                    headers={"Connection": "close"},
                )
            self._target.write(memoryview(data)[start:end])
        else:
            self._data += data[start:end]
            self._check_length(self._data)

    def _end_part(self) -> None:
        if self._part == FILE_FIELD:
            self._is_file_whole = True
            return
        self._fields[self._part] = self._data.decode("utf-8", "replace")
        if len(self._fields) > _MAX_FIELDS:
            raise Refused("malformed_body", "the form has too many fields")

    @staticmethod
    def _check_length(value: bytes) -> None:
        if len(value) > _MAX_FIELD_BYTES:
            raise Refused("malformed_body", "a field of the form is too long")


_MAX_BOUNDARY = 200
