"""Tenants, their keys and quotas."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field, JsonValue

from api.db.records import KeyScope
from api.schemas.links import Links
from api.schemas.model import AnswerBody, Moment, Name, RequestBody, id_field

_TENANT, _KEY = "ten_01jd5xq0a1b2c3d4e5f6g7h8j9", "key_01jd5xq1b2c3d4e5f6g7h8j9k0"
_MAX_BYTES, _MAX_JOBS, _MAX_SECONDS = 10**15, 1_000_000, 1e12
_QUOTAS: dict[str, JsonValue] = {
    "max_running_jobs": 4,
    "max_open_jobs": 1000,
    "max_stored_bytes": 107_374_182_400,
    "max_compute_seconds": 360_000.0,
}


class QuotasBody(RequestBody):
    """What a tenant may use at most."""

    model_config = ConfigDict(json_schema_extra={"examples": [_QUOTAS]})

    max_running_jobs: int = Field(default=4, ge=0, le=_MAX_JOBS)
    """Jobs under way at once; others wait in the queue."""
    max_open_jobs: int = Field(default=1000, ge=0, le=_MAX_JOBS)
    """Jobs queued or under way; more are refused."""
    max_stored_bytes: int = Field(default=100 * 2**30, ge=0, le=_MAX_BYTES)
    """Uploads and artifacts."""
    max_compute_seconds: float = Field(default=100 * 3600.0, ge=0, le=_MAX_SECONDS)
    """Per calendar month, UTC."""


class TenantRequest(RequestBody):
    """A tenant to be."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "example-ltd", "weight": 1.0, "quotas": _QUOTAS}]}
    )

    name: Name
    """Unique."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """Share of the workers relative to other tenants'."""
    quotas: QuotasBody = QuotasBody()
    """What it may use at most."""


class TenantChange(RequestBody):
    """What may be changed; members left out stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"weight": 2.0}]})

    weight: float | None = Field(default=None, gt=0, le=1000)
    """Share of the workers relative to other tenants'."""
    is_disabled: bool | None = None
    """Whether all its keys are refused; its jobs and artifacts stay."""


class TenantBody(AnswerBody):
    """A tenant."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "tenant_id": _TENANT,
                    "name": "example-ltd",
                    "weight": 1.0,
                    "quotas": _QUOTAS,
                    "is_disabled": False,
                    "created_at": "2026-11-21T03:00:00Z",
                    "urls": {"self": f"/v1/admin/tenants/{_TENANT}"},
                }
            ]
        }
    )

    tenant_id: str = id_field("ten", _TENANT)
    """Names it."""
    name: str
    """Unique."""
    weight: float
    """Share of the workers relative to other tenants'."""
    quotas: QuotasBody
    """What it may use at most."""
    is_disabled: bool
    """Whether all its keys are refused."""
    created_at: datetime
    """Since when."""
    urls: Links
    """Where to go on."""


class KeyRequest(RequestBody):
    """An API key to be."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "ci", "scope": "member", "expires_at": None}]}
    )

    name: Name
    """What it is for."""
    scope: Literal["member", "admin", "operator"] = "member"
    """``member`` uses the tenant's things, ``admin`` also its keys, ``operator`` all tenants."""
    expires_at: Moment | None = None
    """When it ends; never when not given."""


class RotationRequest(RequestBody):
    """Replace a key."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_seconds": 3600}]})

    overlap_seconds: int = Field(default=24 * 3600, ge=0, le=90 * 24 * 3600)
    """How long the old key works beside the new one."""


class KeyBody(AnswerBody):
    """An API key, without the key."""

    key_id: str = id_field("key", _KEY)
    """Names it; not secret."""
    tenant_id: str
    """Whose it is."""
    name: str
    """What it is for."""
    scope: KeyScope
    """What it may do."""
    created_at: datetime
    """Since when."""
    expires_at: datetime | None
    """When it ends."""
    revoked_at: datetime | None
    """When it was revoked."""
    last_used_at: datetime | None
    """When it was last seen, to the minute."""
    urls: Links
    """Where to go on."""


class NewKeyBody(KeyBody):
    """A new API key: the only answer that shows it."""

    api_key: str = Field(examples=["ts_" + "x" * 43])
    """Keep it; only its digest is stored."""
