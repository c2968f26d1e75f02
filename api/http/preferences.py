"""The ``Prefer: wait=n`` header (RFC 7240): answer later, once the job has ended."""

import re

from api.http.problems import Refused

MAX_WAIT_SECONDS = 60
_WAIT = re.compile(r"\s*wait\s*=\s*\"?(\d{1,6})\"?\s*", re.IGNORECASE)


def wait_seconds(prefer: str | None) -> int:
    """Seconds to wait, 0 to 60; unknown preferences are ignored, as the standard asks.

    Raises:
        Refused: ``bad_header`` when ``wait`` is no whole number.
    """
    for preference in (prefer or "").split(","):
        name = preference.split(";")[0]
        if name.split("=")[0].strip().lower() != "wait":
            continue
        match = _WAIT.fullmatch(name)
        if match is None:
            raise Refused("bad_header", "Prefer: wait= takes a whole number of seconds")
        return min(int(match[1]), MAX_WAIT_SECONDS)
    return 0
