"""Consents: read, and revoked; they are recorded with an avatar."""

from fastapi import APIRouter
from starlette.responses import Response

from api.consent_records import list_consents, list_uses, read_consent
from api.consent_withdrawal import revoke_consent
from api.db.listings import find_deletion, list_deletions
from api.db.records import Consent, Deletion
from api.dependencies import MemberCall
from api.http.answers import Cursor, Limit, Listing, json_answer, page_of
from api.http.strict_json import StrictRoute
from api.ids import missing
from api.schemas.consents import ConsentBody, RevocationRequest
from api.schemas.deletions import DeletionBody, RevocationBody
from api.schemas.model import ConsentId, DeletionId, Page
from api.views.consents import consent_body
from api.views.resources import deletion_body

router = APIRouter(prefix="/v1", tags=["consents"], route_class=StrictRoute)


@router.get("/consents", response_model=Page[ConsentBody], operation_id="listConsents")
async def get_consents(call: MemberCall, limit: Limit = 20, cursor: Cursor = None) -> Response:
    """Consents, newest first."""
    listing = Listing("consents", "con")
    cut = listing.after(cursor)

    def read() -> list[Consent]:
        with call.work(is_read_only=True) as work:
            return list_consents(work, limit=limit + 1, after=cut)

    rows = await call.in_thread(read)
    return json_answer(
        page_of(
            listing,
            rows,
            limit,
            lambda row: (row.created_at, row.consent_id),
            lambda row: consent_body(row, call.address),
        )
    )


@router.get("/consents/{consent_id}", response_model=ConsentBody, operation_id="getConsent")
async def get_consent(consent_id: ConsentId, call: MemberCall) -> Response:
    """One consent with its newest uses, allowed and refused."""

    def read() -> ConsentBody:
        with call.work(is_read_only=True) as work:
            consent = read_consent(work, consent_id)
            return consent_body(consent, call.address, list_uses(work, consent_id))

    return json_answer(await call.in_thread(read))


@router.post(
    "/consents/{consent_id}/revoke", response_model=RevocationBody, operation_id="revokeConsent"
)
async def revoke(consent_id: ConsentId, body: RevocationRequest, call: MemberCall) -> Response:
    """End a consent now: what is being made under it stops, new videos are refused.

    With `purge` its avatars, their videos and the capture are removed; the answer holds receipts.
    """

    def end() -> RevocationBody:
        with call.work() as work:
            revoked = revoke_consent(
                work, consent_id, body.reason, call.origin, is_purge=body.purge
            )
        return RevocationBody(
            consent_id=consent_id,
            revoked_at=revoked.consent.revoked_at or call.parts.now(),
            deletions=[deletion_body(one, call.address) for one in revoked.deletions],
        )

    return json_answer(await call.in_thread(end))


@router.get("/deletions", response_model=Page[DeletionBody], operation_id="listDeletions")
async def get_deletions(call: MemberCall, limit: Limit = 20, cursor: Cursor = None) -> Response:
    """Receipts of deletions, newest first."""
    listing = Listing("deletions", "del")
    cut = listing.after(cursor)

    def read() -> list[Deletion]:
        with call.work(is_read_only=True) as work:
            return list_deletions(work, cut, limit + 1)

    rows = await call.in_thread(read)
    return json_answer(
        page_of(
            listing,
            rows,
            limit,
            lambda row: (row.created_at, row.deletion_id),
            lambda row: deletion_body(row, call.address),
        )
    )


@router.get("/deletions/{deletion_id}", response_model=DeletionBody, operation_id="getDeletion")
async def get_deletion(deletion_id: DeletionId, call: MemberCall) -> Response:
    """One receipt; `finished_at` says when the last file was gone."""

    def read() -> Deletion:
        with call.work(is_read_only=True) as work:
            deletion = find_deletion(work, deletion_id)
        if deletion is None:
            raise missing("del", deletion_id)
        return deletion

    return json_answer(deletion_body(await call.in_thread(read), call.address))
