"""Tenants and keys as callers see them."""

from api.db.records import ApiKey, Tenant
from api.schemas.admin import KeyBody, NewKeyBody, QuotasBody, TenantBody
from api.schemas.links import Links


def tenant_body(tenant: Tenant, address: str) -> TenantBody:
    """What the routes of tenants answer."""
    return TenantBody(
        tenant_id=tenant.tenant_id,
        name=tenant.name,
        weight=tenant.weight,
        quotas=quotas_body(tenant),
        is_disabled=tenant.disabled_at is not None,
        created_at=tenant.created_at,
        urls=Links(self=f"{address}/v1/admin/tenants/{tenant.tenant_id}"),
    )


def quotas_body(tenant: Tenant) -> QuotasBody:
    """A tenant's quotas."""
    quotas = tenant.quotas
    return QuotasBody(
        max_running_jobs=quotas.max_running_jobs,
        max_open_jobs=quotas.max_open_jobs,
        max_stored_bytes=quotas.max_stored_bytes,
        max_compute_seconds=quotas.max_compute_seconds,
    )


def key_body(key: ApiKey, address: str) -> KeyBody:
    """A key without its secret."""
    return KeyBody(
        key_id=key.key_id,
        tenant_id=key.tenant_id,
        name=key.name,
        scope=key.scope,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        last_used_at=key.last_used_at,
        urls=Links(self=f"{address}/v1/admin/tenants/{key.tenant_id}/keys/{key.key_id}"),
    )


def new_key_body(key: ApiKey, token: str, address: str) -> NewKeyBody:
    """A new key, the only time with what its holder sends."""
    return NewKeyBody(**key_body(key, address).model_dump(), api_key=token)
