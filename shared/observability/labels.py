"""Keeps the label values of Prometheus series few, whatever comes in.

Series cost memory for as long as a process lives. No tenant, job or other id is ever a label.
"""

import re

OTHER = "other"
MAX_VALUES = 100
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class KnownNames:
    """Lets the first ``MAX_VALUES`` different names through; what comes after is ``other``.

    Names of stages, services and error codes are ours and few, but workers and tests send them.
    """

    def __init__(self, max_values: int = MAX_VALUES) -> None:
        self._max_values = max_values
        self._seen: set[str] = set()

    def label(self, name: str) -> str:
        """``name``, or ``other`` where it is malformed or one too many."""
        if name not in self._seen:
            if len(self._seen) >= self._max_values or not _NAME.fullmatch(name):
                return OTHER
            self._seen.add(name)
        return name


def status_class(status: int) -> str:
    """``2xx`` for 204; ``other`` for what is no HTTP status."""
    hundreds = status // 100
    return f"{hundreds}xx" if 1 <= hundreds <= 5 else OTHER  # noqa: PLR2004 - HTTP's classes


def method_label(method: str) -> str:
    """The method, or ``other``: a client may send any word."""
    return method if method in METHODS else OTHER
