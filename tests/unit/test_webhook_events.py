"""Payloads of webhooks: small, stable, without what does not belong there."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from api.webhooks.events import MAX_PAYLOAD_BYTES, encode_payload, make_payload

_NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3000),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=20), inner),
    max_leaves=30,
)


def test_a_payload_has_the_standard_s_form() -> None:
    """Type, time and data."""
    assert {
        "type": "job.failed",
        "timestamp": "2026-11-21T12:00:00.123Z",
        "data": {"job_id": "job_1"},
    } == make_payload("job.failed", {"job_id": "job_1"}, _NOW)


@given(data=st.dictionaries(st.sampled_from(["job_id", "message", "facts", "x"]), _JSON))
def test_a_payload_is_never_too_large(data: dict[str, object]) -> None:
    """Long texts are cut first; then only the ids remain."""
    told = {**data, "job_id": "job_1"}

    payload = make_payload("job.failed", told, _NOW)

    assert len(encode_payload(payload)) < MAX_PAYLOAD_BYTES
    assert "job_1" == payload["data"]["job_id"]


def test_equal_payloads_have_equal_bytes() -> None:
    """Whatever order a database returns the keys in: retries are signed over the same body."""
    data = {"b": 1, "a": "ä"}

    first = encode_payload(make_payload("job.failed", data, _NOW))

    again = json.loads(first)
    assert first == encode_payload(dict(reversed(again.items())))
