"""Rows as values: what repositories return and use cases pass on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple


class KeyScope(StrEnum):
    """What an API key may do: use the tenant's things, manage its keys, or manage tenants."""

    member = "member"
    admin = "admin"
    operator = "operator"


class UploadStatus(StrEnum):
    """Life of an upload."""

    pending = "pending"
    """Waits for its bytes."""
    verifying = "verifying"
    ready = "ready"
    rejected = "rejected"
    deleting = "deleting"
    expired = "expired"


class ResourceStatus(StrEnum):
    """Life of an avatar or a video."""

    pending = "pending"
    """Its job is queued or under way."""
    ready = "ready"
    failed = "failed"
    canceled = "canceled"
    deleting = "deleting"


class Cut(NamedTuple):
    """Where a page begins: after this row, newest first."""

    created_at: datetime
    row_id: str


@dataclass(frozen=True, kw_only=True)
class Quotas:
    """What a tenant may use at most."""

    max_running_jobs: int = 4
    """Jobs under way at once; others wait in the queue."""
    max_open_jobs: int = 1000
    """Jobs queued or under way; more are refused."""
    max_stored_bytes: int = 100 * 2**30
    max_compute_seconds: float = 100 * 3600.0
    """Per calendar month, UTC."""


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """A customer; ``weight`` is its share of the workers relative to the others'."""

    tenant_id: str
    name: str
    weight: float
    quotas: Quotas
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key without its secret, of which only a digest is kept."""

    key_id: str
    tenant_id: str
    name: str
    scope: KeyScope
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Upload:
    """Bytes that a tenant sends; usable once ``ready``."""

    upload_id: str
    tenant_id: str
    purpose: str
    """``capture``, ``speech`` or ``consent``."""
    file_name: str
    """As the tenant called it; shown, never a path."""
    content_type: str
    n_bytes: int
    sha256: str
    status: UploadStatus
    job_id: str | None
    """The job that verifies it."""
    facts: Mapping[str, Any]
    """What the verification found out, such as the duration."""
    failure: Mapping[str, Any] | None
    """``code`` and ``message`` of a rejected one."""
    created_at: datetime
    expires_at: datetime
    completed_at: datetime | None

    @property
    def key(self) -> str:
        """Its key in the store."""
        return f"tenants/{self.tenant_id}/uploads/{self.upload_id}"


@dataclass(frozen=True, kw_only=True)
class Avatar:
    """An avatar, ready or on its way."""

    avatar_id: str
    tenant_id: str
    name: str
    labels: Mapping[str, str]
    status: ResourceStatus
    capture_upload_id: str
    consent_id: str
    job_id: str
    options: Mapping[str, Mapping[str, Any]]
    facts: Mapping[str, Any]
    """What its stages reported, by stage."""
    version: int
    """Grows with every change; the strong ETag."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Video:
    """A video, ready or on its way."""

    video_id: str
    tenant_id: str
    name: str
    labels: Mapping[str, str]
    status: ResourceStatus
    avatar_id: str
    speech_upload_id: str
    job_id: str
    options: Mapping[str, Mapping[str, Any]]
    facts: Mapping[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Consent:
    """Who allowed what with which capture; only its revocation is ever added."""

    consent_id: str
    tenant_id: str
    subject: str
    scope: tuple[str, ...]
    statement: str
    evidence_upload_id: str | None
    capture_sha256: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_reason: str | None


@dataclass(frozen=True, kw_only=True)
class ConsentUse:
    """One time a consent was asked for, and whether it allowed what was wanted."""

    consent_id: str
    action: str
    resource_id: str
    is_allowed: bool
    detail: str
    occurred_at: datetime


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """A line of a job's log; ``sequence`` counts from 1 without gaps."""

    job_id: str
    sequence: int
    type: str
    """``job.queued``, ``job.running``, ``job.progress``, ``job.stalled``, ``job.succeeded``, …"""
    data: Mapping[str, Any]
    occurred_at: datetime


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """Receipt of a deletion; ``finished_at`` is None while objects are still being removed."""

    deletion_id: str
    tenant_id: str
    subject_kind: str
    """``avatar``, ``video`` or ``upload``."""
    subject_id: str
    reason: str
    removed: tuple[str, ...]
    """What is removed, as ``kind:id``: the avatar, its jobs, videos and uploads."""
    n_objects: int
    n_bytes: int
    created_at: datetime
    finished_at: datetime | None
