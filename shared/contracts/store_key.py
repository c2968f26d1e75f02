"""What a key in the object store looks like: a relative path with forward slashes.

Keys are made by the platform, never from a file name that somebody sent. The alphabet is small on
purpose: a key is also a path of the folder store, a part of a URL and of a log line.
"""

import re
from typing import Annotated

from pydantic import StringConstraints

MAX_LENGTH = 512
_SEGMENT = r"\.{0,2}[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}"
_PATH = rf"{_SEGMENT}(/{_SEGMENT})*"

StoreKey = Annotated[str, StringConstraints(pattern=rf"^{_PATH}$", max_length=MAX_LENGTH)]
"""Names one object."""

StorePrefix = Annotated[str, StringConstraints(pattern=rf"^{_PATH}/$", max_length=MAX_LENGTH)]
"""Names all objects below it; ends in a slash."""

KeyOrPrefix = Annotated[str, StringConstraints(pattern=rf"^{_PATH}/?$", max_length=MAX_LENGTH)]
"""An object, or with a slash at the end an artifact's folder."""

InsidePath = Annotated[str, StringConstraints(pattern=rf"^{_PATH}$", max_length=MAX_LENGTH)]
"""A path inside a folder that cannot lead out of it."""

_KEY = re.compile(_PATH)


def is_store_key(text: str) -> bool:
    """Tell whether ``text`` may name an object."""
    return len(text) <= MAX_LENGTH and _KEY.fullmatch(text) is not None


def is_store_prefix(text: str) -> bool:
    """Tell whether ``text`` may name everything below it."""
    return text.endswith("/") and is_store_key(text[:-1]) and len(text) <= MAX_LENGTH
