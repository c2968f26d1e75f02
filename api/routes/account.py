"""What is offered, and what was used."""

from datetime import datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.catalog import Catalog
from api.db.tenants import find_tenant, list_usage, month_of, read_standing
from api.dependencies import Call, MemberCall
from api.http.answers import json_answer, tagged_answer
from api.schemas.usage import ServiceUsageBody, UsageBody
from api.views.accounts import quotas_body
from shared.errors import InvalidInput

router = APIRouter(prefix="/v1", tags=["account"])


@router.get(
    "/catalog",
    response_model=Catalog,
    operation_id="getCatalog",
    responses={304: {"description": "Unchanged."}},
)
async def get_catalog(request: Request, call: MemberCall) -> Response:
    """What can be asked for: methods, presets, rasterizers, metrics, limits."""
    return tagged_answer(request, call.parts.catalog)


@router.get("/usage", response_model=UsageBody, operation_id="getUsage")
async def get_usage(call: MemberCall) -> Response:
    """What this tenant uses now and used in the last twelve months, beside its quotas."""
    return json_answer(await call.in_thread(_read, call))


def _read(call: Call) -> UsageBody:
    tenant_id, now = call.principal.tenant_id, call.parts.now()
    month = month_of(now)
    with call.work(is_read_only=True) as work:
        tenant = find_tenant(work, tenant_id)
        standing = read_standing(work, tenant_id)
        by_service = list_usage(work, tenant_id, month_of(_a_year_before(now)))
    if tenant is None:
        raise InvalidInput("not_found", "this tenant is gone")
    return UsageBody(
        month=month,
        compute_seconds=sum(used.compute_seconds for used in by_service if used.month == month),
        n_open_jobs=standing.n_open_jobs,
        stored_bytes=standing.stored_bytes,
        quotas=quotas_body(tenant),
        by_service=[
            ServiceUsageBody(
                month=used.month,
                service=used.service,
                compute_seconds=used.compute_seconds,
                n_stages=used.n_stages,
            )
            for used in by_service
        ],
    )


def _a_year_before(now: datetime) -> datetime:
    """First day of the month eleven months ago."""
    months = now.year * 12 + now.month - 1 - 11
    return now.replace(year=months // 12, month=months % 12 + 1, day=1)
