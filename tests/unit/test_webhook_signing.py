"""Signatures of webhooks, against the standard's own library."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from api.webhooks.signing import (
    SECRET_PREFIX,
    TOLERANCE_SECONDS,
    Message,
    generate_secret,
    is_signed_by,
    sign,
)
from shared.errors import InvalidInput

_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of the reference tests
_OTHER = generate_secret(lambda n: b"\x07" * n)
_NOW = datetime(2021, 3, 2, 7, 0, 30, tzinfo=UTC)


def test_the_standard_s_own_example_is_signed_alike() -> None:
    """Id, time, body and signature as the reference implementations test them."""
    message = Message(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
    )

    assert {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    } == sign(message, [_SECRET])


@given(
    message_id=st.from_regex(r"msg_[0-9a-z]{1,40}", fullmatch=True),
    body=st.text(max_size=200),
    key=st.binary(min_size=32, max_size=32),
)
def test_the_reference_library_signs_alike(message_id: str, body: str, key: bytes) -> None:
    """Any text, any secret."""
    secret = generate_secret(lambda _n: key)

    headers = sign(Message(message_id, _NOW, body.encode()), [secret])

    assert Webhook(secret).sign(message_id, _NOW, body) == headers["webhook-signature"]


def test_the_reference_library_accepts_each_live_secret_during_rotation() -> None:
    """Receivers with the old and with the new secret both verify one message."""
    now = datetime.now(UTC)
    headers = sign(Message("msg_1", now, b'{"a":1}'), [_OTHER, _SECRET])

    assert 2 == len(headers["webhook-signature"].split(" "))
    assert [{"a": 1}, {"a": 1}] == [
        Webhook(s).verify(b'{"a":1}', headers) for s in (_OTHER, _SECRET)
    ]


def test_a_signature_is_good_for_its_message_and_time_only() -> None:
    """Another body, id, time or secret is refused."""
    headers = sign(Message("msg_1", _NOW, b"body"), [_SECRET])
    late = _NOW + timedelta(seconds=TOLERANCE_SECONDS + 1)

    assert [True, False, False, False, False, False] == [
        is_signed_by(_SECRET, headers, b"body", _NOW),
        is_signed_by(_SECRET, headers, b"Body", _NOW),
        is_signed_by(_OTHER, headers, b"body", _NOW),
        is_signed_by(_SECRET, headers, b"body", late),
        is_signed_by(_SECRET, {**headers, "webhook-id": "msg_2"}, b"body", _NOW),
        is_signed_by(_SECRET, {**headers, "webhook-timestamp": "1614668431"}, b"body", _NOW),
    ]


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1e9", "٣", "9" * 400])
def test_a_nonsensical_time_is_refused(timestamp: str) -> None:
    """And breaks nothing."""
    headers = {**sign(Message("m", _NOW, b""), [_SECRET]), "webhook-timestamp": timestamp}

    assert not is_signed_by(_SECRET, headers, b"", _NOW)


def test_a_secret_is_long_and_says_what_it_is() -> None:
    """32 random bytes behind the standard's prefix."""
    secret = generate_secret(bytes)

    assert SECRET_PREFIX + "A" * 43 + "=" == secret


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!!", "whsec_c2hvcnQ=", "whsec_é"])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    """Rather than signing with something weak."""
    with pytest.raises(InvalidInput, match="webhook secret"):
        sign(Message("m", _NOW, b""), [secret])


def test_nothing_is_sent_unsigned() -> None:
    """No secret, no headers."""
    with pytest.raises(InvalidInput, match="at least one"):
        sign(Message("m", _NOW, b""), [])
