"""The gateway's JSON: what is malformed is refused, whatever the standard library would read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.problems import Refused
from api.http.strict_json import parse_json

MALFORMED = {
    "not_json": b"{",
    "empty": b"",
    "not_utf8": b'"\xff"',
    "nan": b'{"a": NaN}',
    "infinity": b"[-Infinity]",
    "member_twice": b'{"a": 1, "a": 2}',
    "huge_integer": b"1" * 31,
    "endless_integer": b"1" * 5000,
    "huge_float": b"1e999",
    "long_float": b"0." + b"1" * 40,
    "half_a_pair": rb'{"a": "\ud800"}',
    "half_a_pair_as_name": rb'{"\udfff": 1}',
    "too_deep": b"[" * 100_000,
    "two_documents": b"1 2",
    "control_character": b'"\x01"',
    "byte_order_mark": b"\xef\xbb\xbf{}",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_bodies_are_refused(body: bytes) -> None:
    """One code for all that is not interoperable JSON."""
    with pytest.raises(Refused) as refusal:
        parse_json(body)

    assert "malformed_body" == refusal.value.code


def test_ordinary_json_is_read() -> None:
    """Pairs of surrogates, numbers and nesting are fine."""
    body = rb'{"a": ["\ud83d\ude00", 1.5e3, -12, null, true, {"b": {}}]}'

    assert {"a": ["😀", 1500.0, -12, None, True, {"b": {}}]} == parse_json(body)


def test_whole_numbers_are_integers_however_they_are_written() -> None:
    """As in JSON Schema; others stay what they are."""
    found = parse_json(b"[3.0, 1e3, -0.5, 1e17]")

    assert [int, int, float, float] == [type(number) for number in found]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """No input leads to another error."""
    code = "malformed_body"
    try:
        parse_json(body)
    except Refused as refusal:
        code = refusal.code

    assert "malformed_body" == code
