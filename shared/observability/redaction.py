"""Keeps secrets out of logs: by the name of a field, and by the look of a text.

A net below careful code, not instead of it.
"""

import re

MAX_TEXT = 8_000
"""Characters of one logged text; a traceback fits, a payload does not."""
MASK = "[redacted]"

Field = str | int | float | bool | None
"""Ids, counts, seconds, codes. Of tenants' data nothing but ids belongs in a log."""

_MARGIN = 1_000
_SECRET_NAME = re.compile(
    r"authorization|cookie|credential|passw(or)?d|secret|signature|api_?key|access_?key|token",
    re.IGNORECASE,
)
_LOOKS = (
    # user:password@ in the URLs of broker, database and store
    (re.compile(r"(?<=://)[^/\s@:]{0,256}:[^/\s@]{0,256}@"), f"{MASK}@"),
    # signatures of presigned links
    (re.compile(r"(?i)((?:signature|credential|token|policy)=)[^&\s'\"]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(bearer|basic) [A-Za-z0-9._~+/=-]{8,}"), rf"\1 {MASK}"),
    # our own webhook secrets and API keys
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=]+"), MASK),
    (re.compile(r"\bts_[A-Za-z0-9_-]{20,}"), MASK),
)


def redact_text(text: str) -> str:
    """``text``, shortened to ``MAX_TEXT``, without what looks like a secret."""
    n_characters = len(text)
    text = text[: MAX_TEXT + _MARGIN]  # a secret across the cut is still seen whole
    for look, mask in _LOOKS:
        text = look.sub(mask, text)
    is_cut = n_characters > MAX_TEXT + _MARGIN or len(text) > MAX_TEXT
    return f"{text[:MAX_TEXT]}... ({n_characters} characters)" if is_cut else text


def redact_field(name: str, value: Field) -> Field:
    """``value``, or a mask where ``name`` says that it is a secret."""
    if _SECRET_NAME.search(name):
        return MASK
    return redact_text(value) if isinstance(value, str) else value
