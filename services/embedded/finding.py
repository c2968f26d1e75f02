"""What the doctor has found."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing looked at."""

    subject: str
    is_well: bool
    text: str
    """What was found and, where that is not well, what to do."""
