"""What all bodies share: strict, frozen, each field documented; and what they are built from."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from api.ids import ID_PATTERN, Kind


class RequestBody(BaseModel):
    """Base of what callers send: no unknown fields, no conversion of types."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class AnswerBody(BaseModel):
    """Base of what the gateway answers."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


B = TypeVar("B")


class Page(AnswerBody, Generic[B]):
    """Part of a listing, newest first."""

    items: list[B]
    """At most ``limit``."""
    has_more: bool
    """Whether there are older ones."""
    next_cursor: str | None
    """``cursor`` of the next page; null on the last one."""


def _only_text(value: Any) -> Any:  # noqa: ANN401 - pydantic hands over what came
    if not isinstance(value, str | datetime):
        raise ValueError("a moment is written as text: 2027-01-31T12:00:00Z")  # noqa: TRY004
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this moment is outside of the calendar") from error


Moment = Annotated[
    AwareDatetime, Field(strict=False), BeforeValidator(_only_text), AfterValidator(_in_utc)
]
"""RFC 3339 with its offset."""
PRINTABLE = r"^[^\x00-\x1F\x7F]+$"
"""No control characters."""
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]
"""What people call something."""
Label = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1F\x7F]*$")]
LabelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,63}$")]
Labels = Annotated[dict[LabelName, Label], Field(max_length=32)]
"""A caller's own words on something; returned as they are."""
MinQuality = Annotated[
    dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], float], Field(max_length=32)
]
"""Bars by metric: least value where higher is better, greatest where lower is, greatest distance
from zero where neither. What cannot be measured has not reached its bar."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""64 lower-case hexadecimal digits."""


def id_field(kind: Kind, example: str | None = None) -> Any:  # noqa: ANN401 - as pydantic's Field
    """Field of an answer that holds an id of ``kind``."""
    return Field(examples=[example or f"{kind}_{_EXAMPLE_ID}"])


UploadId = Annotated[str, StringConstraints(pattern=f"^upl_{ID_PATTERN}$")]
AvatarId = Annotated[str, StringConstraints(pattern=f"^ava_{ID_PATTERN}$")]
VideoId = Annotated[str, StringConstraints(pattern=f"^vid_{ID_PATTERN}$")]
JobId = Annotated[str, StringConstraints(pattern=f"^job_{ID_PATTERN}$")]
ConsentId = Annotated[str, StringConstraints(pattern=f"^con_{ID_PATTERN}$")]
WebhookId = Annotated[str, StringConstraints(pattern=f"^whk_{ID_PATTERN}$")]
DeliveryId = Annotated[str, StringConstraints(pattern=f"^whd_{ID_PATTERN}$")]
DeletionId = Annotated[str, StringConstraints(pattern=f"^del_{ID_PATTERN}$")]
TenantId = Annotated[str, StringConstraints(pattern=f"^ten_{ID_PATTERN}$")]
KeyId = Annotated[str, StringConstraints(pattern=f"^key_{ID_PATTERN}$")]
_EXAMPLE_ID = "01jd5xqk2r8v7w3m9n4p6s0t1z"
