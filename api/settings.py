"""Settings of the gateway alone, read from the environment once."""

import base64
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from api.webhooks.sealing import KEY_BYTES
from shared.errors import InvalidInput

_PREFIX = "TALKSPLAT_"


def _split(value: object) -> object:
    """Elements of a list that is written with commas."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Ports = Annotated[tuple[Annotated[int, Field(ge=1, le=65535)], ...], BeforeValidator(_split)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_split)]


def _decode_keys(value: object) -> object:
    """Keys in base64, with commas between; what is wrong with them tells nothing of them."""
    if not isinstance(value, str):
        return value
    try:
        keys = tuple(base64.b64decode(part, validate=True) for part in value.split(","))
    except ValueError as error:
        raise ValueError("expected base64, keys with commas between") from error
    if any(len(key) != KEY_BYTES for key in keys):
        raise ValueError(f"expected {KEY_BYTES} bytes each: openssl rand -base64 {KEY_BYTES}")
    return keys


Keys = Annotated[tuple[bytes, ...], BeforeValidator(_decode_keys)]
Services = Annotated[
    tuple[Literal["preprocess", "trainer", "audio2motion", "renderer", "evaluator"], ...],
    BeforeValidator(_split),
    Field(min_length=1),
]


class GatewaySettings(BaseModel):
    """What the operator decides for a gateway; its field names are the variables' names."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    public_url: str | None = Field(default=None, pattern=r"^https?://[^\s/?#]+$")
    """TALKSPLAT_PUBLIC_URL: address users reach the gateway at; the request's own by default."""
    requests_per_minute: int = Field(default=6000, ge=1)
    """TALKSPLAT_REQUESTS_PER_MINUTE: of one tenant, counted by each gateway."""
    submissions_per_minute: int = Field(default=600, ge=1)
    """TALKSPLAT_SUBMISSIONS_PER_MINUTE: of those, the ones that cost compute."""
    streams_per_tenant: int = Field(default=50, ge=1)
    """TALKSPLAT_STREAMS_PER_TENANT: event streams and waiting requests open at once."""
    max_capture_bytes: int = Field(default=2 * 2**30, ge=1)
    """TALKSPLAT_MAX_CAPTURE_BYTES: largest capture or consent video."""
    max_speech_bytes: int = Field(default=256 * 2**20, ge=1)
    """TALKSPLAT_MAX_SPEECH_BYTES: largest recording."""
    upload_minutes: int = Field(default=60, ge=1, le=7 * 24 * 60)
    """TALKSPLAT_UPLOAD_MINUTES: how long an upload waits for its bytes."""
    link_minutes: int = Field(default=60, ge=1, le=7 * 24 * 60)
    """TALKSPLAT_LINK_MINUTES: how long a download link holds."""
    database_connections: int = Field(default=10, ge=1, le=100)
    """TALKSPLAT_DATABASE_CONNECTIONS: at most, by one gateway for requests."""
    secrets_key: Keys = Field(default=(), repr=False)
    """TALKSPLAT_SECRETS_KEY: 32 bytes in base64 that seal webhooks' secrets; older ones follow."""
    heartbeat_seconds: int = Field(default=0, ge=0)
    """TALKSPLAT_HEARTBEAT_SECONDS: pause between tiny jobs that prove the way through; 0 is off."""
    heartbeat_services: Services = ("audio2motion", "renderer", "evaluator")
    """TALKSPLAT_HEARTBEAT_SERVICES: whose workers they run through, in order."""
    webhook_ports: Ports = (443, 8443)
    """TALKSPLAT_WEBHOOK_PORTS: ports that webhooks may have, with commas between."""
    webhook_http: bool = False
    """TALKSPLAT_WEBHOOK_HTTP: allow webhooks without TLS, on 80 and 8080 too; for development."""
    webhook_allowed_networks: Networks = ()
    """TALKSPLAT_WEBHOOK_ALLOWED_NETWORKS: receivers reached though not public (10.1.0.0/16)."""
    webhook_forbidden_networks: Networks = ()
    """TALKSPLAT_WEBHOOK_FORBIDDEN_NETWORKS: public addresses of your own that none may reach."""


def read_gateway_settings(environment: Mapping[str, str]) -> GatewaySettings:
    """Parse the gateway's variables; an empty one counts as not set.

    Raises:
        InvalidInput: ``bad_setting`` names the variable and what it may be.
    """
    given = {field: environment.get(_variable(field)) for field in GatewaySettings.model_fields}
    try:
        return GatewaySettings.model_validate({name: text for name, text in given.items() if text})
    except ValidationError as error:
        problem = error.errors()[0]
        name = _variable(str(problem["loc"][0]))
        found = "not shown" if "SECRET" in name else repr(problem["input"])
        raise InvalidInput("bad_setting", f"{name} is {found}: {problem['msg']}") from None


def _variable(field: str) -> str:
    return _PREFIX + field.upper()
