"""Which URLs and addresses a webhook may have."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.webhooks.address import AddressRules, Target, is_allowed, parse_target
from shared.errors import InvalidInput

_RULES = AddressRules()
_DEVELOPMENT = AddressRules(
    is_http_allowed=True, allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),)
)


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",  # noqa: S104 - an address that must be refused
        "10.1.2.3",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:10.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_that_is_not_public_is_refused(text: str) -> None:
    """Private, loopback, link-local, multicast, reserved, mapped, translated."""
    assert not is_allowed(ipaddress.ip_address(text), _RULES)


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "2606:4700:4700::1111"]
)
def test_a_public_address_is_allowed(text: str) -> None:
    """Of both families."""
    assert is_allowed(ipaddress.ip_address(text), _RULES)


@given(st.ip_addresses())
def test_nothing_is_allowed_that_python_calls_private(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Our list is at least as strict as the standard library's."""
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )

    assert not (special and is_allowed(address, _RULES))


def test_the_operator_s_own_networks_win_in_the_strict_direction() -> None:
    """Allowed private ones are reached, forbidden public ones are not, both means forbidden."""
    rules = AddressRules(
        allowed_networks=(ipaddress.ip_network("10.1.0.0/16"),),
        forbidden_networks=(
            ipaddress.ip_network("8.8.8.0/24"),
            ipaddress.ip_network("10.1.1.0/24"),
        ),
    )

    allowed = [
        is_allowed(ipaddress.ip_address(text), rules)
        for text in ("10.1.0.1", "10.2.0.1", "8.8.8.8", "8.8.4.4", "10.1.1.1")
    ]
    assert [True, False, False, True, False] == allowed


def test_a_url_is_taken_apart() -> None:
    """Name in lower case, port of the scheme, path with query."""
    target = parse_target("https://Hooks.Example.com/a/b?c=d", _RULES)

    assert Target("https", "hooks.example.com", 443, "/a/b?c=d", "hooks.example.com") == target


def test_an_address_of_ip_version_six_has_brackets() -> None:
    """In the Host header, not for the connection."""
    target = parse_target("https://[2606:4700:4700::1111]:8443", _RULES)

    assert ("2606:4700:4700::1111", 8443, "/", "[2606:4700:4700::1111]:8443") == target[1:]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "//hooks.example.com/",
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "gopher://hooks.example.com/",
        "https:///path",
        "https://",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:x/",
        "https://user:pass@hooks.example.com/",
        "https://hooks.example.com@127.0.0.1/",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hooks.example.com/#fragment",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nHost: internal",
        "https://hooks.example.com/\x00",
        "https://höoks.example.com/",
        "https://hooks_.example.com%00.evil/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[::1",
        "https://169.254.169.254/latest/meta-data/",
        "https://example.com/" + "a" * 3000,
    ],
)
def test_a_url_that_leads_astray_is_refused(url: str) -> None:
    """At creation already, with a sentence that says why."""
    with pytest.raises(InvalidInput, match="the webhook URL cannot be used") as refused:
        parse_target(url, _RULES)

    assert "bad_webhook_url" == refused.value.code


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_a_refusal(rest: str) -> None:
    """Nothing else escapes."""
    try:
        target = parse_target("https://" + rest, _RULES)
    except InvalidInput:
        return

    assert target.port in _RULES.ports
    assert target.path.isprintable()


def test_plain_http_needs_the_operator_s_word() -> None:
    """Then on its own ports too."""
    assert ["/", 80, 8080] == [
        parse_target("http://127.0.0.1", _DEVELOPMENT).path,
        parse_target("http://127.0.0.1/", _DEVELOPMENT).port,
        parse_target("http://example.com:8080/x", _DEVELOPMENT).port,
    ]
