"""Ids that users see: a prefix that says what it is, and 26 characters nobody can guess.

The first ten characters are the time in milliseconds, so that ids of one kind sort by age and
indexes grow at their end; the rest are 80 random bits.
"""

import re
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from shared.errors import InvalidInput

Kind = Literal["ten", "key", "upl", "ava", "vid", "job", "con", "whk", "whd", "del"]
"""Tenant, API key, upload, avatar, video, job, consent, webhook, webhook delivery, deletion."""
RandomBytes = Callable[[int], bytes]
ID_LENGTH = 26
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case
ID_PATTERN = f"[{_ALPHABET}]{{{ID_LENGTH}}}"
"""What follows the prefix, as a regular expression."""
_BODY = re.compile(ID_PATTERN)
NAMES: dict[Kind, str] = {
    "ten": "tenant",
    "key": "API key",
    "upl": "upload",
    "ava": "avatar",
    "vid": "video",
    "job": "job",
    "con": "consent",
    "whk": "webhook",
    "whd": "delivery",
    "del": "deletion",
}


def new_id(kind: Kind, now: datetime, random_bytes: RandomBytes = secrets.token_bytes) -> str:
    """Draw an id, such as ``job_01jd3c...``."""
    number = (int(now.timestamp() * 1000) << 80) | int.from_bytes(random_bytes(10), "big")
    digits = "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
    return f"{kind}_{digits}"


def is_id(kind: Kind, text: str) -> bool:
    """Whether ``text`` can be an id of that kind; asked before any query."""
    prefix, _, body = text.partition("_")
    return prefix == kind and _BODY.fullmatch(body) is not None


def check_id(kind: Kind, text: str) -> str:
    """Return ``text`` if it can be an id of that kind.

    Raises:
        InvalidInput: ``not_found``, as for an id that was never given out.
    """
    if not is_id(kind, text):
        raise missing(kind, text)
    return text


def missing(kind: Kind, text: str) -> InvalidInput:
    """The refusal for an id that is unknown, somebody else's or no id at all: always the same."""
    shown = text if is_id(kind, text) else "of this id"
    return InvalidInput("not_found", f"there is no {NAMES[kind]} {shown}")
