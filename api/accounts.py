"""Making tenants and keys; used by the admin routes and by ``talksplat tenant``."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from api.db.api_keys import add_key, expire_key, find_key, revoke_key
from api.db.records import ApiKey, KeyScope, Quotas, Tenant
from api.db.tenants import add_tenant, find_tenant
from api.db.unit_of_work import UnitOfWork
from api.ids import missing
from api.tokens import digest_of, new_token
from shared.errors import InvalidInput

RandomBytes = Callable[[int], bytes]


class NewKey(NamedTuple):
    """A key with what its holder sends; nobody can read that later."""

    key: ApiKey
    token: str


class KeyTerms(NamedTuple):
    """What is asked of a key."""

    name: str
    scope: KeyScope
    expires_at: datetime | None = None


class Making(NamedTuple):
    """When something is made, and where ids and secrets come from."""

    now: datetime
    new_id: Callable[[str], str]
    random_bytes: RandomBytes


def create_tenant(
    work: UnitOfWork,
    name: str,
    making: Making,
    *,
    weight: float = 1.0,
    quotas: Quotas | None = None,
) -> Tenant:
    """Make a tenant; needs the engine's transaction.

    Raises:
        InvalidInput: ``tenant_exists``.
    """
    tenant = Tenant(
        tenant_id=making.new_id("ten"),
        name=name,
        weight=weight,
        quotas=quotas or Quotas(),
        created_at=making.now,
        disabled_at=None,
    )
    add_tenant(work, tenant)
    return tenant


def create_key(work: UnitOfWork, tenant_id: str, terms: KeyTerms, making: Making) -> NewKey:
    """Make a key of a tenant.

    Raises:
        InvalidInput: ``not_found`` there is no such tenant; ``bad_expiry`` it would be over.
    """
    if find_tenant(work, tenant_id) is None:
        raise missing("ten", tenant_id)
    if terms.expires_at is not None and terms.expires_at <= making.now:
        raise InvalidInput("bad_expiry", "expires_at is past; choose a later moment or none")
    token = new_token(making.random_bytes)
    key = ApiKey(
        key_id=making.new_id("key"),
        tenant_id=tenant_id,
        name=terms.name,
        scope=terms.scope,
        created_at=making.now,
        expires_at=terms.expires_at,
        revoked_at=None,
        last_used_at=None,
    )
    add_key(work, key, digest_of(token))
    return NewKey(key, token)


def rotate_key(
    work: UnitOfWork, tenant_id: str, key_id: str, overlap: timedelta, making: Making
) -> NewKey:
    """Make a key like ``key_id``, which itself ends after ``overlap``.

    Raises:
        InvalidInput: ``not_found``; ``key_not_live`` when it is revoked or over already.
    """
    old = existing_key(work, tenant_id, key_id)
    is_over = old.expires_at is not None and old.expires_at <= making.now
    if old.revoked_at is not None or is_over:
        raise InvalidInput("key_not_live", "this key is revoked or over; make a new one")
    expire_key(work, tenant_id, key_id, making.now + overlap)
    return create_key(work, tenant_id, KeyTerms(old.name, old.scope, old.expires_at), making)


def end_key(work: UnitOfWork, tenant_id: str, key_id: str, now: datetime) -> ApiKey:
    """Revoke a key; again it changes nothing.

    Raises:
        InvalidInput: ``not_found``.
    """
    revoke_key(work, tenant_id, key_id, now)
    return existing_key(work, tenant_id, key_id)


def existing_key(work: UnitOfWork, tenant_id: str, key_id: str) -> ApiKey:
    """A key of a tenant.

    Raises:
        InvalidInput: ``not_found``.
    """
    key = find_key(work, tenant_id, key_id)
    if key is None:
        raise missing("key", key_id)
    return key
