"""API keys: made, found by their secret, listed, revoked. Only digests of secrets are kept."""

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from api.db.listings import is_after
from api.db.records import ApiKey, Cut, KeyScope
from api.db.tables import api_keys, tenants
from api.db.unit_of_work import UnitOfWork


class KeyOwner(NamedTuple):
    """A key that is good, and whose it is."""

    key: ApiKey
    tenant_name: str
    is_tenant_disabled: bool


def add_key(work: UnitOfWork, key: ApiKey, secret_sha256: str) -> None:
    """Store a new key."""
    work.connection.execute(
        sa.insert(api_keys).values(
            id=key.key_id,
            tenant_id=key.tenant_id,
            name=key.name,
            scope=key.scope.value,
            secret_sha256=secret_sha256,
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
    )


def find_key_by_secret(work: UnitOfWork, secret_sha256: str) -> KeyOwner | None:
    """The key with this secret, good or not; needs the engine's transaction."""
    row = work.connection.execute(
        sa.select(api_keys, tenants.c.name.label("tenant_name"), tenants.c.disabled_at)
        .join(tenants, tenants.c.id == api_keys.c.tenant_id)
        .where(api_keys.c.secret_sha256 == secret_sha256)
    ).one_or_none()
    if row is None:
        return None
    return KeyOwner(_key(row), row.tenant_name, row.disabled_at is not None)


def find_key(work: UnitOfWork, tenant_id: str, key_id: str) -> ApiKey | None:
    """A key of a tenant."""
    row = work.connection.execute(
        sa.select(api_keys).where(*_owned(work, tenant_id), api_keys.c.id == key_id)
    ).one_or_none()
    return _key(row) if row else None


def list_keys(work: UnitOfWork, tenant_id: str, after: Cut | None, n_rows: int) -> list[ApiKey]:
    """Keys of a tenant, newest first."""
    columns = api_keys.c
    query = sa.select(api_keys).where(*_owned(work, tenant_id))
    if after is not None:
        query = query.where(is_after(api_keys, after))
    query = query.order_by(columns.created_at.desc(), columns.id.desc()).limit(n_rows)
    return [_key(row) for row in work.connection.execute(query)]


def revoke_key(work: UnitOfWork, tenant_id: str, key_id: str, at: datetime) -> bool:
    """End a key ``at``; False when there is no such key."""
    changed = work.connection.execute(
        sa.update(api_keys)
        .where(*_owned(work, tenant_id), api_keys.c.id == key_id)
        .values(revoked_at=sa.func.coalesce(api_keys.c.revoked_at, sa.bindparam("at", at, _TIME)))
    )
    return changed.rowcount == 1


def expire_key(work: UnitOfWork, tenant_id: str, key_id: str, at: datetime) -> None:
    """Let a key end ``at``, or earlier where it would end earlier."""
    ends = api_keys.c.expires_at
    work.connection.execute(
        sa.update(api_keys)
        .where(
            *_owned(work, tenant_id),
            api_keys.c.id == key_id,
            sa.or_(ends.is_(None), ends > sa.bindparam("at", at, _TIME)),
        )
        .values(expires_at=at)
    )


def touch_key(work: UnitOfWork, key_id: str, at: datetime) -> None:
    """Note that a key was used."""
    work.connection.execute(
        sa.update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=at)
    )


_TIME = api_keys.c.created_at.type


def _owned(work: UnitOfWork, tenant_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return work.owned(api_keys), api_keys.c.tenant_id == tenant_id


def _key(row: Any) -> ApiKey:  # noqa: ANN401 - a row of SQLAlchemy has no type of its own
    return ApiKey(
        key_id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        scope=KeyScope(row.scope),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
