"""Where the real servers are, and how tests start and kill them."""

import base64
import os
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

SCRIPT = Path(__file__).parent.parent / "services" / "services.sh"
VARIABLES = (
    "TALKSPLAT_TEST_DATABASE_URL",
    "TALKSPLAT_TEST_BROKER_URL",
    "TALKSPLAT_TEST_STORE_URL",
)
_MANAGEMENT = 20
"""The management port is so far above the broker's (tests/services/rabbitmq.sh)."""
ServerName = Literal["postgres", "rabbitmq", "ceph"]


def read_urls(environment: Mapping[str, str]) -> dict[str, str] | None:
    """URLs of the servers from the environment, or from the file that ``make services`` wrote."""
    given = {name: environment[name] for name in VARIABLES if environment.get(name)}
    if len(given) == len(VARIABLES):
        return given
    folder = environment.get("TALKSPLAT_SERVICES_DIR", "/var/tmp/talksplat-services")  # noqa: S108
    return _read_file(Path(folder) / "env")


class Servers:
    """A set of servers in a folder of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self.urls: dict[str, str] = {}

    def start(self, name: ServerName | Literal[""] = "") -> None:
        """Start what does not run, or one of them; returns when they answer."""
        self._run("up", name)
        self.urls = _read_file(self._folder / "env") or {}

    def kill(self, name: ServerName) -> None:
        """Kill one with -9."""
        self._run("kill", name)

    def stop(self) -> None:
        """Stop all politely."""
        self._run("down", "")

    def _run(self, action: str, name: str) -> None:
        settings = {
            "TALKSPLAT_SERVICES_DIR": str(self._folder),
            "TALKSPLAT_SERVICES_PORT": str(self._port),
        }
        subprocess.run(
            [str(SCRIPT), action, *([name] if name else [])],
            check=True,
            env={**os.environ, **settings},
            stdout=subprocess.DEVNULL,
            timeout=180,
        )


def make_vhost(broker_url: str, name: str) -> str:
    """Make a virtual host and return its URL."""
    user = urlsplit(broker_url).username or ""
    manage(broker_url, "PUT", f"vhosts/{quote(name)}", b"{}")
    rights = b'{"configure":".*","write":".*","read":".*"}'
    manage(broker_url, "PUT", f"permissions/{quote(name)}/{quote(user)}", rights)
    return urlunsplit(urlsplit(broker_url)._replace(path=f"/{quote(name)}"))


def remove_vhost(broker_url: str, name: str) -> None:
    """Remove a virtual host with everything in it."""
    manage(broker_url, "DELETE", f"vhosts/{quote(name)}")


def manage(broker_url: str, method: str, path: str, body: bytes | None = None) -> bytes:
    """Call RabbitMQ's management API, as the user of ``broker_url``."""
    parts = urlsplit(broker_url)
    address = f"http://{parts.hostname}:{(parts.port or 5672) + _MANAGEMENT}/api/{path}"
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    headers = {
        "authorization": "Basic " + base64.b64encode(login.encode()).decode(),
        "content-type": "application/json",
    }
    request = urllib.request.Request(address, body, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        answer: bytes = response.read()
    return answer


def _read_file(path: Path) -> dict[str, str] | None:
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)
