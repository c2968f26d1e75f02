"""What operators can decide about webhooks."""

import ipaddress

import pytest

from api.settings import GatewaySettings, read_gateway_settings
from shared.errors import InvalidInput


def test_by_default_only_public_https_is_reached() -> None:
    """Two ports, no networks of one's own."""
    settings = GatewaySettings()

    assert ((443, 8443), False, (), ()) == (
        settings.webhook_ports,
        settings.webhook_http,
        settings.webhook_allowed_networks,
        settings.webhook_forbidden_networks,
    )


def test_lists_are_written_with_commas() -> None:
    """Ports and networks of both families."""
    settings = read_gateway_settings(
        {
            "TALKSPLAT_WEBHOOK_PORTS": "443, 9443",
            "TALKSPLAT_WEBHOOK_ALLOWED_NETWORKS": "10.1.0.0/16,fd00::/8",
        }
    )

    assert (443, 9443) == settings.webhook_ports
    assert (
        ipaddress.ip_network("10.1.0.0/16"),
        ipaddress.ip_network("fd00::/8"),
    ) == settings.webhook_allowed_networks


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TALKSPLAT_WEBHOOK_PORTS", "443,https"),
        ("TALKSPLAT_WEBHOOK_PORTS", "0"),
        ("TALKSPLAT_WEBHOOK_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("TALKSPLAT_WEBHOOK_FORBIDDEN_NETWORKS", "inside"),
        ("TALKSPLAT_WEBHOOK_HTTP", "maybe"),
    ],
)
def test_a_wrong_setting_is_named(name: str, text: str) -> None:
    """Rather than ignored."""
    with pytest.raises(InvalidInput, match=name):
        read_gateway_settings({name: text})
