"""Tenants and quotas: operators change them, a tenant's admins see their own."""

from contextlib import AbstractContextManager
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api.accounts import Making, create_tenant
from api.db.records import KeyScope, Quotas, Tenant
from api.db.tenants import change_tenant, find_tenant, list_tenants
from api.db.unit_of_work import UnitOfWork
from api.dependencies import AdminCall, Call, OperatorCall
from api.http.answers import Cursor, Limit, Listing, json_answer, page_of
from api.http.openapi import refusals
from api.http.strict_json import StrictRoute
from api.ids import missing
from api.schemas.admin import QuotasBody, TenantBody, TenantChange, TenantRequest
from api.schemas.model import Page, TenantId
from api.views.accounts import quotas_body, tenant_body
from shared.errors import InvalidInput

router = APIRouter(prefix="/v1/admin/tenants", tags=["admin"], route_class=StrictRoute)


@router.post(
    "",
    status_code=201,
    response_model=TenantBody,
    operation_id="createTenant",
    responses=refusals(409),
)
async def post_tenant(body: TenantRequest, call: OperatorCall) -> Response:
    """Make a tenant (operators)."""

    def create() -> Tenant:
        with call.operator_work() as work:
            quotas = Quotas(**body.quotas.model_dump())
            return create_tenant(
                work, body.name, making_of(call), weight=body.weight, quotas=quotas
            )

    tenant = await call.in_thread(create)
    answer = tenant_body(tenant, call.address)
    return json_answer(answer, 201, {"Location": answer.urls.self})


@router.get("", response_model=Page[TenantBody], operation_id="listTenants")
async def get_tenants(call: OperatorCall, limit: Limit = 20, cursor: Cursor = None) -> Response:
    """All tenants, newest first (operators)."""
    listing = Listing("tenants", "ten")
    cut = listing.after(cursor)

    def read() -> list[Tenant]:
        with call.operator_work(is_read_only=True) as work:
            return list_tenants(work, cut, limit + 1)

    rows = await call.in_thread(read)
    return json_answer(
        page_of(
            listing,
            rows,
            limit,
            lambda row: (row.created_at, row.tenant_id),
            lambda row: tenant_body(row, call.address),
        )
    )


@router.get("/{tenant_id}", response_model=TenantBody, operation_id="getTenant")
async def get_tenant(tenant_id: TenantId, call: AdminCall) -> Response:
    """One tenant; admins see their own."""
    tenant = await call.in_thread(_read, call, tenant_id)
    return json_answer(tenant_body(tenant, call.address))


@router.patch("/{tenant_id}", response_model=TenantBody, operation_id="changeTenant")
async def patch_tenant(tenant_id: TenantId, body: TenantChange, call: OperatorCall) -> Response:
    """Change its weight, or disable it: all its keys are then refused (operators)."""
    changes: dict[str, Any] = {}
    if body.weight is not None:
        changes["weight"] = body.weight
    if body.is_disabled is not None:
        changes["disabled_at"] = call.parts.now() if body.is_disabled else None
    tenant = await call.in_thread(_change, call, tenant_id, changes)
    return json_answer(tenant_body(tenant, call.address))


@router.get("/{tenant_id}/quotas", response_model=QuotasBody, operation_id="getQuotas")
async def get_quotas(tenant_id: TenantId, call: AdminCall) -> Response:
    """What it may use at most; admins see their own."""
    return json_answer(quotas_body(await call.in_thread(_read, call, tenant_id)))


@router.put("/{tenant_id}/quotas", response_model=QuotasBody, operation_id="setQuotas")
async def put_quotas(tenant_id: TenantId, body: QuotasBody, call: OperatorCall) -> Response:
    """Set what it may use at most; members left out take their defaults (operators)."""
    tenant = await call.in_thread(_change, call, tenant_id, body.model_dump())
    return json_answer(quotas_body(tenant))


def admin_work(
    call: Call, tenant_id: str, *, is_read_only: bool = False
) -> AbstractContextManager[UnitOfWork]:
    """Transaction in which an operator manages any tenant, an admin their own.

    Raises:
        InvalidInput: ``not_found`` for anybody else's.
    """
    if call.principal.scope is KeyScope.operator:
        return call.operator_work(is_read_only=is_read_only)
    if tenant_id != call.principal.tenant_id:
        raise _unknown(tenant_id)
    return call.work(is_read_only=is_read_only)


def making_of(call: Call) -> Making:
    """When something is made, and where ids and secrets come from."""
    return Making(call.parts.now(), call.parts.new_id, call.parts.random_bytes)


def _read(call: Call, tenant_id: str) -> Tenant:
    with admin_work(call, tenant_id, is_read_only=True) as work:
        return _existing(work, tenant_id)


def _change(call: Call, tenant_id: str, changes: dict[str, Any]) -> Tenant:
    with call.operator_work() as work:
        if changes:
            change_tenant(work, tenant_id, changes)
        tenant = _existing(work, tenant_id)
    call.parts.key_cache.forget()
    return tenant


def _existing(work: UnitOfWork, tenant_id: str) -> Tenant:
    tenant = find_tenant(work, tenant_id)
    if tenant is None:
        raise _unknown(tenant_id)
    return tenant


def _unknown(tenant_id: str) -> InvalidInput:
    return missing("ten", tenant_id)
