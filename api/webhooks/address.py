"""Which addresses a webhook may reach: public ones, on a few ports. Pure.

A tenant names the URL, and the gateway stands inside the operator's network: without this check
a webhook could read the cloud's metadata service or post to an internal one (SSRF).
"""

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from shared.errors import InvalidInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL_LENGTH = 2_000
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]")

# IANA's registries of special-purpose addresses, written out: the ``is_global`` of Python 3.11
# changed between patch releases and counts multicast as global.
FORBIDDEN: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers; some clouds' metadata
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; most clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relay
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "168.63.129.16/32",  # public by number, but the host of an Azure machine
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 holds an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
"""All else of IPv6 is loopback, link-local, unique local, multicast, mapped or NAT64."""


class AddressRules(NamedTuple):
    """What the operator decides; the default is what a public platform needs."""

    ports: frozenset[int] = frozenset({443, 8443})
    is_http_allowed: bool = False
    """Plain http too, and then ports 80 and 8080: for development."""
    allowed_networks: tuple[Network, ...] = ()
    """Reached although they are not public: an operator's own receivers."""
    forbidden_networks: tuple[Network, ...] = ()
    """Public, but the operator's own; wins over ``allowed_networks``."""


class Target(NamedTuple):
    """A checked URL, taken apart."""

    scheme: str
    host: str
    """Name, or address without brackets; lower case."""
    port: int
    path: str
    """With the query."""
    authority: str
    """As the Host header wants it."""


def parse_target(url: str, rules: AddressRules) -> Target:
    """Check the form of ``url``; names are not resolved here, but when it is connected to.

    Raises:
        InvalidInput: ``bad_webhook_url`` says what is wrong with it.
    """
    if len(url) > MAX_URL_LENGTH or not url.isascii() or not url.isprintable() or " " in url:
        raise _refusal(f"use at most {MAX_URL_LENGTH} printable ASCII characters without spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refusal(str(error)) from error
    if parts.scheme not in ({"http", "https"} if rules.is_http_allowed else {"https"}):
        raise _refusal(f"the scheme is {parts.scheme!r}; use https")
    if "@" in parts.netloc or "\\" in url or parts.fragment or "#" in url:
        raise _refusal("user names, fragments and backslashes are not allowed")
    if not _HOST.fullmatch(_without_port(parts.netloc)) or not parts.hostname:
        raise _refusal(f"{parts.netloc!r} is not a host")
    port = port if port is not None else {"http": 80, "https": 443}[parts.scheme]
    ports = rules.ports | ({80, 8080} if rules.is_http_allowed else set())
    if port not in ports:
        raise _refusal(f"port {port} is not allowed; use one of {sorted(ports)}")
    _check_literal(parts.hostname, rules)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname, port, path, parts.netloc.lower())


def is_allowed(address: Address, rules: AddressRules) -> bool:
    """Whether a connection to ``address`` may be made."""
    if any(address in network for network in rules.forbidden_networks):
        return False
    if any(address in network for network in rules.allowed_networks):
        return True
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_IPV6:
        return False
    return not any(address in network for network in FORBIDDEN)


def _check_literal(host: str, rules: AddressRules) -> None:
    """Refuse an address at once; a name is looked at when it is connected to."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        is_number = re.fullmatch(r"(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+))*\.?", host)
        if is_number:  # 2130706433, 0x7f.1, 0177.0.0.1: resolvers read them as addresses
            raise _refusal(f"{host} is neither a name nor an address in its usual form") from None
        return
    if not is_allowed(address, rules):
        raise _refusal(f"{host} is not a public address")


def _without_port(netloc: str) -> str:
    return re.sub(r":\d*$", "", netloc)


def _refusal(reason: str) -> InvalidInput:
    return InvalidInput("bad_webhook_url", f"the webhook URL cannot be used: {reason}")
