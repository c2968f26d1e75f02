"""The tables: SQLAlchemy Core, the same in PostgreSQL and in SQLite.

Every table of a tenant's has ``tenant_id``; in PostgreSQL row-level security is forced on each
(``migrations/``), and every query filters by tenant as well. ``OWN_ID`` is ``tenants`` itself.
"""

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from api.db.column_types import IDENTITY, JSON_VALUE, UtcTime

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id(name: str = "id") -> Column[str]:
    return Column(name, String(64), primary_key=True)


def _tenant(*, is_key: bool = False) -> Column[str]:
    return Column(
        "tenant_id", String(64), ForeignKey("tenants.id"), nullable=False, primary_key=is_key
    )


def _time(name: str, *, nullable: bool = True) -> Column[object]:
    return Column(name, UtcTime(), nullable=nullable)


def _created() -> Column[object]:
    return _time("created_at", nullable=False)


tenants = Table(
    "tenants",
    metadata,
    _id(),
    Column("name", String(200), nullable=False, unique=True),
    Column("weight", Float, nullable=False, server_default="1"),
    Column("max_running_jobs", Integer, nullable=False),
    Column("max_open_jobs", Integer, nullable=False),
    Column("max_stored_bytes", sa.BigInteger, nullable=False),
    Column("max_compute_seconds", Float, nullable=False),
    _created(),
    _time("disabled_at"),
)

tenant_usage = Table(  # what the quotas are compared with; its row lock serialises one tenant
    "tenant_usage",
    metadata,
    _tenant(is_key=True),
    Column("n_open_jobs", Integer, nullable=False, server_default="0"),
    Column("stored_bytes", sa.BigInteger, nullable=False, server_default="0"),
)

usage = Table(  # compute per month and service
    "usage",
    metadata,
    _tenant(is_key=True),
    Column("month", String(7), primary_key=True),
    Column("service", String(64), primary_key=True),
    Column("compute_seconds", Float, nullable=False, server_default="0"),
    Column("n_stages", Integer, nullable=False, server_default="0"),
)

api_keys = Table(
    "api_keys",
    metadata,
    _id(),
    _tenant(),
    Column("name", String(200), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    _created(),
    _time("expires_at"),
    _time("revoked_at"),
    _time("last_used_at"),
    Index(None, "tenant_id", "created_at"),
)

uploads = Table(
    "uploads",
    metadata,
    _id(),
    _tenant(),
    Column("purpose", String(32), nullable=False),
    Column("file_name", String(255), nullable=False, server_default=""),
    Column("content_type", String(100), nullable=False),
    Column("n_bytes", sa.BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("job_id", String(64)),
    Column("facts", JSON_VALUE, nullable=False),
    Column("failure", JSON_VALUE),
    _created(),
    _time("expires_at", nullable=False),
    _time("completed_at"),
    Index(None, "tenant_id", "created_at", "id"),
    Index(None, "status", "expires_at"),
)

consents = Table(  # append-only
    "consents",
    metadata,
    _id(),
    _tenant(),
    Column("subject", String(200), nullable=False),
    Column("scope", JSON_VALUE, nullable=False),
    Column("statement", Text, nullable=False, server_default=""),
    Column("evidence_upload_id", String(64)),
    Column("capture_sha256", String(64), nullable=False),
    _created(),
    _time("expires_at"),
    Index(None, "tenant_id", "created_at", "id"),
    Index(None, "expires_at"),
)

consent_revocations = Table(  # append-only; at most one for a consent
    "consent_revocations",
    metadata,
    Column("consent_id", String(64), ForeignKey("consents.id"), primary_key=True),
    _tenant(),
    Column("reason", Text, nullable=False, server_default=""),
    Column("is_purge", Boolean, nullable=False),
    _time("revoked_at", nullable=False),
)

consent_uses = Table(  # append-only
    "consent_uses",
    metadata,
    Column("id", IDENTITY, primary_key=True, autoincrement=True),
    _tenant(),
    Column("consent_id", String(64), ForeignKey("consents.id"), nullable=False),
    Column("action", String(64), nullable=False),
    Column("resource_id", String(64), nullable=False),
    Column("is_allowed", Boolean, nullable=False),
    Column("detail", Text, nullable=False, server_default=""),
    _time("occurred_at", nullable=False),
    Index(None, "tenant_id", "consent_id", "id"),
)

avatars = Table(
    "avatars",
    metadata,
    _id(),
    _tenant(),
    Column("name", String(200), nullable=False),
    Column("labels", JSON_VALUE, nullable=False),
    Column("status", String(16), nullable=False),
    Column("capture_upload_id", String(64), nullable=False),
    Column("consent_id", String(64), nullable=False),
    Column("job_id", String(64), nullable=False),
    Column("options", JSON_VALUE, nullable=False),
    Column("facts", JSON_VALUE, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    _created(),
    _time("updated_at", nullable=False),
    Index(None, "tenant_id", "created_at", "id"),
    Index(None, "tenant_id", "consent_id"),
    Index(None, "tenant_id", "capture_upload_id"),
)

videos = Table(
    "videos",
    metadata,
    _id(),
    _tenant(),
    Column("name", String(200), nullable=False),
    Column("labels", JSON_VALUE, nullable=False),
    Column("status", String(16), nullable=False),
    Column("avatar_id", String(64), nullable=False),
    Column("speech_upload_id", String(64), nullable=False),
    Column("job_id", String(64), nullable=False),
    Column("options", JSON_VALUE, nullable=False),
    Column("facts", JSON_VALUE, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    _created(),
    _time("updated_at", nullable=False),
    Index(None, "tenant_id", "created_at", "id"),
    Index(None, "tenant_id", "avatar_id"),
    Index(None, "tenant_id", "speech_upload_id"),
)

jobs = Table(  # ``state`` is the whole job; the other columns are for finding it
    "jobs",
    metadata,
    _id(),
    _tenant(),
    Column("kind", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("is_begun", Boolean, nullable=False, server_default=sa.false()),
    Column("resource_id", String(64), nullable=False),
    Column("state", JSON_VALUE, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    _created(),
    _time("updated_at", nullable=False),
    _time("finished_at"),
    Index(None, "tenant_id", "created_at", "id"),
    Index(None, "tenant_id", "status", "created_at", "id"),
    Index(None, "tenant_id", "resource_id"),
    Index(
        "ix_jobs_begun",
        "tenant_id",
        postgresql_where=sa.text("is_begun AND finished_at IS NULL"),
        sqlite_where=sa.text("is_begun AND finished_at IS NULL"),
    ),
)

ready_stages = Table(  # what the dispatcher may send; kept with the job in one transaction
    "ready_stages",
    metadata,
    Column("job_id", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("stage", String(64), primary_key=True),
    _tenant(),
    Column("service", String(64), nullable=False),
    Column("queue_class", String(16), nullable=False),
    Column("class_rank", Integer, nullable=False),
    Column("is_new", Integer, nullable=False),
    _time("queued_at", nullable=False),
    _time("not_before", nullable=False),
    Index("ix_ready_order", "service", "tenant_id", "is_new", "class_rank", "queued_at", "job_id"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("stage", String(64), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    _tenant(),
    Column("service", String(64), nullable=False),
    Column("queue_class", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("worker_id", String(64)),
    _time("dispatched_at", nullable=False),
    _time("started_at"),
    _time("progressed_at"),
    _time("lease_until", nullable=False),
    _time("deadline_at"),
    _time("closed_at"),
    Index(
        "ix_attempts_open",
        "service",
        "lease_until",
        postgresql_where=sa.text("closed_at IS NULL"),
        sqlite_where=sa.text("closed_at IS NULL"),
    ),
    Index(None, "closed_at"),
)

shares = Table(  # virtual time of each tenant at each service
    "shares",
    metadata,
    Column("service", String(64), primary_key=True),
    _tenant(is_key=True),
    Column("virtual_time", Float, nullable=False),
)

clocks = Table(  # virtual time of each service
    "clocks",
    metadata,
    Column("service", String(64), primary_key=True),
    Column("virtual_time", Float, nullable=False),
)

outbox = Table(  # what must leave after the commit; deleted once confirmed
    "outbox",
    metadata,
    Column("id", IDENTITY, primary_key=True, autoincrement=True),
    _tenant(),
    Column("topic", String(16), nullable=False),
    Column("payload", JSON_VALUE, nullable=False),
    _created(),
    Index(None, "topic", "id"),
)

job_events = Table(  # the log behind Server-Sent Events and webhooks
    "job_events",
    metadata,
    Column("job_id", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    _tenant(),
    Column("type", String(32), nullable=False),
    Column("data", JSON_VALUE, nullable=False),
    _time("occurred_at", nullable=False),
    Index(None, "occurred_at"),
)

deletions = Table(  # a receipt: what was asked to be removed, and what was
    "deletions",
    metadata,
    _id(),
    _tenant(),
    Column("subject_kind", String(32), nullable=False),
    Column("subject_id", String(64), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("removed", JSON_VALUE, nullable=False),
    Column("n_objects", Integer, nullable=False, server_default="0"),
    Column("n_bytes", sa.BigInteger, nullable=False, server_default="0"),
    _created(),
    _time("finished_at"),
    Index(None, "tenant_id", "created_at", "id"),
    Index(None, "tenant_id", "subject_id"),
)

removals = Table(  # store prefixes still to be emptied
    "removals",
    metadata,
    Column("id", IDENTITY, primary_key=True, autoincrement=True),
    _tenant(),
    Column("deletion_id", String(64), ForeignKey("deletions.id")),
    Column("job_id", String(64)),
    Column("prefix", String(512), nullable=False),
    Column("counted_bytes", sa.BigInteger, nullable=False, server_default="0"),
    _time("not_before", nullable=False),
    Index(None, "not_before"),
    Index(None, "job_id"),
    Index(None, "deletion_id"),
)

webhooks = Table(
    "webhooks",
    metadata,
    _id(),
    _tenant(),
    Column("url", String(2000), nullable=False),
    Column("events", JSON_VALUE, nullable=False),
    Column("secret", Text, nullable=False),
    Column("previous_secret", Text),
    _time("previous_secret_until"),
    _created(),
    _time("disabled_at"),
    Column("disabled_reason", Text),
    _time("claimed_at"),
    _time("claimed_until"),  # a sender holds it; its messages go out one after another
    Index(None, "tenant_id", "created_at", "id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    _id(),
    _tenant(),
    Column("webhook_id", String(64), ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("message_id", String(64), nullable=False),  # the same in every replay
    Column("type", String(64), nullable=False),
    Column("payload", JSON_VALUE, nullable=False),
    Column("traceparent", String(64)),
    Column("status", String(16), nullable=False),
    Column("n_tries", Integer, nullable=False, server_default="0"),
    Column("tries", JSON_VALUE, nullable=False),
    _time("next_try_at"),
    _created(),
    _time("finished_at"),
    Index(None, "tenant_id", "webhook_id", "created_at", "id"),
    Index(
        "ix_webhook_deliveries_due",
        "webhook_id",
        "next_try_at",
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
    ),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    _tenant(is_key=True),
    Column("route", String(128), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("body_sha256", String(64), nullable=False),
    Column("status_code", Integer),
    Column("headers", JSON_VALUE),
    Column("body", JSON_VALUE),
    _created(),
    _time("locked_until", nullable=False),
    Index(None, "created_at"),
)

workers = Table(  # not a tenant's: processes that have reported
    "workers",
    metadata,
    _id(),
    Column("service", String(64), nullable=False),
    Column("slots", Integer, nullable=False),
    Column("busy", Integer, nullable=False),
    _time("seen_at", nullable=False),
    _time("reported_at", nullable=False),  # by its own clock; puts its reports in order
    Index(None, "service", "seen_at"),
)

OWN_ID = {"tenants": "id"}
"""Tables that belong to a tenant by another column than ``tenant_id``."""
TENANT_TABLES = {
    table.name: OWN_ID.get(table.name, "tenant_id")
    for table in metadata.sorted_tables
    if "tenant_id" in table.c or table.name in OWN_ID
}
"""Name of each table that belongs to tenants -> its column that says to whom."""
