"""What a consent allows, at every moment of its life."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.consent import (
    MAX_YEARS,
    Action,
    check_evidence,
    check_terms,
    find_refusal,
    is_stopped,
)
from api.db.records import Consent, Upload, UploadStatus
from shared.errors import InvalidInput

_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_CAPTURE = "a" * 64
_MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is given beside


def _consent(
    *,
    scope: tuple[str, ...] = ("avatar", "video"),
    expires_at: datetime | None = None,
    revoked_at: datetime | None = None,
) -> Consent:
    return Consent(
        consent_id="con_1",
        tenant_id="ten_a",
        subject="Ada",
        scope=scope,
        statement="I allow it.",
        evidence_upload_id=None,
        capture_sha256=_CAPTURE,
        created_at=_NOW - timedelta(days=1),
        expires_at=expires_at,
        revoked_at=revoked_at,
        revoked_reason=None,
    )


def _refusal(consent: Consent, action: Action = Action.create_video) -> str | None:
    refused = find_refusal(consent, action, _NOW)
    return refused.code if refused else None


def test_a_consent_allows_what_it_covers() -> None:
    """Until its last moment."""
    consent = _consent(expires_at=_NOW + timedelta(microseconds=1))

    assert [None, None] == [_refusal(consent, action) for action in Action]


def test_it_ends_at_its_end_and_with_its_revocation() -> None:
    """From that very moment on; the revocation is named first."""
    refusals = [
        _refusal(_consent(expires_at=_NOW)),
        _refusal(_consent(revoked_at=_NOW)),
        _refusal(_consent(expires_at=_NOW, revoked_at=_NOW)),
    ]

    assert ["consent_expired", "consent_revoked", "consent_revoked"] == refusals


def test_a_scope_of_the_avatar_alone_allows_no_video() -> None:
    """Each use is asked for by itself."""
    consent = _consent(scope=("avatar",))

    assert [None, "consent_scope"] == [_refusal(consent, action) for action in Action]


def test_it_is_bound_to_one_recording() -> None:
    """Another recording of the same person needs its own."""
    told = [
        find_refusal(_consent(), Action.create_avatar, _NOW, capture_sha256=sha256)
        for sha256 in (_CAPTURE, "b" * 64)
    ]

    assert [None, "consent_other_capture"] == [one.code if one else None for one in told]


@given(expires_at=st.none() | _MOMENTS, revoked_at=st.none() | _MOMENTS, now=_MOMENTS)
def test_what_has_ended_never_comes_back(
    expires_at: datetime | None, revoked_at: datetime | None, now: datetime
) -> None:
    """Refused once, refused at every later moment; and what must stop may not begin either."""
    consent = _consent(expires_at=expires_at, revoked_at=revoked_at)
    later = now + timedelta(days=1)

    is_refused = find_refusal(consent, Action.create_video, now) is not None

    assert not is_refused or find_refusal(consent, Action.create_video, later) is not None
    assert is_refused == is_stopped(consent, now, is_begun=False)
    assert is_stopped(consent, now, is_begun=False) or not is_stopped(consent, now, is_begun=True)


def test_only_a_revocation_stops_what_has_begun() -> None:
    """A video that was begun in time may be finished."""
    stopped = [
        is_stopped(_consent(expires_at=_NOW), _NOW, is_begun=True),
        is_stopped(_consent(revoked_at=_NOW), _NOW, is_begun=True),
    ]

    assert [False, True] == stopped


@pytest.mark.parametrize(
    ("scope", "expires_at", "statement", "evidence"),
    [
        ((), _NOW + timedelta(days=1), "yes", None),
        (("video",), _NOW + timedelta(days=1), "yes", None),
        (("avatar", "resale"), _NOW + timedelta(days=1), "yes", None),
        (("avatar",), _NOW, "yes", None),
        (("avatar",), _NOW - timedelta(days=1), "yes", None),
        (("avatar",), _NOW + MAX_YEARS + timedelta(seconds=1), "yes", None),
        (("avatar",), _NOW + timedelta(days=1), " \n", None),
    ],
)
def test_terms_that_cannot_hold_are_refused(
    scope: tuple[str, ...], expires_at: datetime, statement: str, evidence: str | None
) -> None:
    """Nothing to allow, no time, no evidence."""
    with pytest.raises(InvalidInput) as refused:
        check_terms(scope, expires_at, statement, evidence, _NOW)

    assert "bad_consent" == refused.value.code


def test_a_statement_or_a_video_is_evidence() -> None:
    """Either will do."""
    check_terms(("avatar",), _NOW + timedelta(days=1), "I allow it.", None, _NOW)
    check_terms(("avatar", "video"), _NOW + MAX_YEARS, "", "upl_1", _NOW)


@pytest.mark.parametrize(
    ("purpose", "status"),
    [
        ("capture", UploadStatus.ready),
        ("consent", UploadStatus.pending),
        ("consent", UploadStatus.rejected),
        ("consent", UploadStatus.deleting),
    ],
)
def test_evidence_is_a_verified_consent_video(purpose: str, status: UploadStatus) -> None:
    """Nothing else, and nothing at all, is refused."""
    upload = Upload(
        upload_id="upl_1",
        tenant_id="ten_a",
        purpose=purpose,
        file_name="",
        content_type="video/mp4",
        n_bytes=1,
        sha256=_CAPTURE,
        status=status,
        job_id=None,
        facts={},
        failure=None,
        created_at=_NOW,
        expires_at=_NOW,
        completed_at=None,
    )
    for evidence in (upload, None):
        with pytest.raises(InvalidInput, match="consent"):
            check_evidence(evidence)
