"""API keys of a tenant: made, rotated with an overlap, revoked."""

from datetime import timedelta

from fastapi import APIRouter
from starlette.responses import Response

from api.accounts import KeyTerms, NewKey, create_key, end_key, existing_key, rotate_key
from api.db.api_keys import list_keys
from api.db.records import ApiKey, KeyScope
from api.db.tenants import find_tenant
from api.dependencies import AdminCall
from api.http.answers import Cursor, Limit, Listing, json_answer, page_of
from api.http.openapi import refusals
from api.http.strict_json import StrictRoute
from api.ids import missing
from api.routes.tenants import admin_work, making_of
from api.schemas.admin import KeyBody, KeyRequest, NewKeyBody, RotationRequest
from api.schemas.model import KeyId, Page, TenantId
from api.tokens import check_scope
from api.views.accounts import key_body, new_key_body

router = APIRouter(
    prefix="/v1/admin/tenants/{tenant_id}/keys", tags=["admin"], route_class=StrictRoute
)


@router.post("", status_code=201, response_model=NewKeyBody, operation_id="createKey")
async def post_key(tenant_id: TenantId, body: KeyRequest, call: AdminCall) -> Response:
    """Make a key of at most your own scope. It is shown in this answer only."""
    terms = KeyTerms(body.name, KeyScope(body.scope), body.expires_at)
    check_scope(call.principal, terms.scope)

    def create() -> NewKey:
        with admin_work(call, tenant_id) as work:
            return create_key(work, tenant_id, terms, making_of(call))

    made = await call.in_thread(create)
    answer = new_key_body(made.key, made.token, call.address)
    return json_answer(answer, 201, {"Location": answer.urls.self})


@router.get("", response_model=Page[KeyBody], operation_id="listKeys")
async def get_keys(
    tenant_id: TenantId, call: AdminCall, limit: Limit = 20, cursor: Cursor = None
) -> Response:
    """Keys of a tenant, newest first, without their secrets."""
    listing = Listing("keys", "key", {"tenant_id": tenant_id})
    cut = listing.after(cursor)

    def read() -> list[ApiKey]:
        with admin_work(call, tenant_id, is_read_only=True) as work:
            if find_tenant(work, tenant_id) is None:
                raise missing("ten", tenant_id)
            return list_keys(work, tenant_id, cut, limit + 1)

    rows = await call.in_thread(read)
    return json_answer(
        page_of(
            listing,
            rows,
            limit,
            lambda row: (row.created_at, row.key_id),
            lambda row: key_body(row, call.address),
        )
    )


@router.get("/{key_id}", response_model=KeyBody, operation_id="getKey")
async def get_key(tenant_id: TenantId, key_id: KeyId, call: AdminCall) -> Response:
    """One key, without its secret."""

    def read() -> ApiKey:
        with admin_work(call, tenant_id, is_read_only=True) as work:
            return existing_key(work, tenant_id, key_id)

    return json_answer(key_body(await call.in_thread(read), call.address))


@router.delete("/{key_id}", response_model=KeyBody, operation_id="revokeKey")
async def delete_key(tenant_id: TenantId, key_id: KeyId, call: AdminCall) -> Response:
    """Revoke a key: this gateway refuses it at once, others within five seconds."""

    def revoke() -> ApiKey:
        with admin_work(call, tenant_id) as work:
            check_scope(call.principal, existing_key(work, tenant_id, key_id).scope)
            return end_key(work, tenant_id, key_id, call.parts.now())

    key = await call.in_thread(revoke)
    call.parts.key_cache.forget()
    return json_answer(key_body(key, call.address))


@router.post(
    "/{key_id}/rotate",
    status_code=201,
    response_model=NewKeyBody,
    operation_id="rotateKey",
    responses=refusals(409),
)
async def rotate(
    tenant_id: TenantId, key_id: KeyId, body: RotationRequest, call: AdminCall
) -> Response:
    """Make a key like this one, which itself works for a while longer."""
    overlap = timedelta(seconds=body.overlap_seconds)

    def replace() -> NewKey:
        with admin_work(call, tenant_id) as work:
            check_scope(call.principal, existing_key(work, tenant_id, key_id).scope)
            return rotate_key(work, tenant_id, key_id, overlap, making_of(call))

    made = await call.in_thread(replace)
    call.parts.key_cache.forget()
    answer = new_key_body(made.key, made.token, call.address)
    return json_answer(answer, 201, {"Location": answer.urls.self})
