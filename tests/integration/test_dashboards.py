"""A real Prometheus scrapes real processes; every panel of every dashboard shows something.

Jobs run through gateway, broker, workers and store; their stages only pretend to compute. The GPU's
series come from a file as a worker with a GPU answers, as the machine of the tests may have none.
"""

import http.server
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.engine import Engine

from api.db.migrate import migrate_database
from api.db.session import open_database
from shared.messaging.routes import SERVICES
from shared.observability.worker_telemetry import GpuCollector
from tests.architecture.repository import ROOT
from tests.dashboards import Query, read_queries
from tests.gateway_world import Account, avatar_body, upload_body
from tests.integration.live_gateway import LiveGateway, Places
from tests.integration.prometheus import Prometheus, is_number, scraping
from tests.load.programs import Program, free_port, kept
from tests.load.site import Site, open_site
from tests.pretend_stages import MODULE, REFUSED, SLOW

GPU_ANSWER = ROOT / "tests/data/gpu_worker.prom"
REPORTER = "dashboards_of_tests"
_MACROS = {"$__rate_interval": "1m"}


class Watched(NamedTuple):
    """A platform that has worked, who scrapes it, and the database as dashboards read it."""

    prometheus: Prometheus
    reporting: Engine
    addresses: list[str]


@pytest.fixture(scope="module")
def watched(
    server_urls: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """A gateway and a worker of each service, which have done jobs of every kind."""
    if not shutil.which("prometheus"):
        pytest.fail("no prometheus: run make services")
    folder = tmp_path_factory.mktemp("watched")
    with ExitStack() as stack:
        site = stack.enter_context(open_site(server_urls, folder / "site"))
        reader = stack.enter_context(_reporting(site, server_urls))
        gateway = _start_gateway(site, stack)
        ports = {service: free_port() for service in SERVICES}
        workers = [f"127.0.0.1:{port}" for port in ports.values()]
        workers.append(stack.enter_context(_gpu_answer()))
        first = gateway.address.removeprefix("http://")
        jobs = {"talksplat-gateway": [first], "talksplat-worker": workers}
        prometheus = stack.enter_context(scraping(folder / "prometheus", jobs))
        stack.enter_context(kept(_workers(site, ports)))
        for number in range(2):
            _use(gateway, site, number)
        _keep_busy(gateway, site)
        time.sleep(10)  # a reading of the engine's state, and scrapes after it
        yield Watched(prometheus, reader, [first, *workers])


def test_every_process_is_scraped(watched: Watched) -> None:
    """Gateway and workers answer Prometheus, and the rules compute."""
    assert dict.fromkeys(watched.addresses, "up") == watched.prometheus.targets()
    assert [] == watched.prometheus.rule_errors()


@pytest.mark.parametrize("query", [q for q in read_queries() if not q.is_sql], ids=str)
def test_a_panel_of_prometheus_has_data(watched: Watched, query: Query) -> None:
    """Its query is understood and gives numbers."""
    text = query.text
    for macro, value in _MACROS.items():
        text = text.replace(macro, value)

    assert any(is_number(sample) for sample in watched.prometheus.ask(text))


@pytest.mark.parametrize("query", [q for q in read_queries() if q.is_sql], ids=str)
def test_a_panel_of_the_database_has_data(watched: Watched, query: Query) -> None:
    """As the dashboards' own role, for all tenants and the last month."""
    text = query.text.replace("${tenant:sqlstring}", "SELECT tenant FROM reporting_tenants")
    text = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 > now() - interval '30 days'", text)
    assert "$" not in text

    with watched.reporting.connect() as connection:
        rows = connection.execute(sa.text(text.replace(":", r"\:"))).mappings().all()

    assert rows
    assert all(any(value is not None for value in row.values()) for row in rows)


def test_the_file_of_a_gpu_is_what_workers_export() -> None:
    """The same names and labels."""
    recorded = {
        (family.name, tuple(sorted(sample.labels)))
        for family in text_string_to_metric_families(GPU_ANSWER.read_text("utf-8"))
        for sample in family.samples
    }

    assert {(family.name, ("gpu",)) for family in GpuCollector(list).describe()} == recorded


def _start_gateway(site: Site, stack: ExitStack) -> LiveGateway:
    urls = (site.settings[f"TALKSPLAT_{name}_URL"] for name in ("DATABASE", "BROKER", "STORE"))
    gateway = LiveGateway(
        Places(*urls),
        site.folder / "gateway.log",
        TALKSPLAT_HEARTBEAT_SECONDS="20",
        TALKSPLAT_WEBHOOK_HTTP="1",
        TALKSPLAT_WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8",
    )
    stack.callback(gateway.database.dispose)
    stack.callback(gateway.kill)
    gateway.start()
    return gateway


def _workers(site: Site, ports: dict[str, int]) -> list[Program]:
    settings = {name: text for name, text in site.settings.items() if "DATABASE" not in name}
    return [
        Program(
            f"worker-{service}",
            ["worker", service, "--entries", MODULE],
            {
                **settings,
                "TALKSPLAT_METRICS_PORT": str(port),
                "TALKSPLAT_WORKER_GRACE_SECONDS": "0",
            },
            site.folder,
        )
        for service, port in ports.items()
    ]


def _use(gateway: LiveGateway, site: Site, number: int) -> None:
    """A tenant makes an avatar and a video; one of its captures is refused, one job canceled."""
    account = gateway.add_account()
    with gateway.client(account, **{"Idempotency-Key": f"use-{number}"}) as client:
        hook = {"url": f"http://127.0.0.1:8080/{number}", "events": ["job.succeeded"]}
        assert client.post("/v1/webhooks", json=hook).status_code == 201
        _complete(client, site, account, "capture", REFUSED, "rejected")
        capture = _complete(client, site, account, "capture", b"a face", "ready")
        speech = _complete(client, site, account, "speech", b"a voice", "ready")
        body = avatar_body(capture) | {"options": {"holdout_seconds": 3}}
        avatar = client.post("/v1/avatars", json=body).json()["avatar_id"]
        _await(client, f"/v1/avatars/{avatar}", "ready")
        wanted = {"name": "Hello", "avatar_id": avatar, "speech_upload_id": speech}
        video = client.post("/v1/videos", json=wanted).json()["video_id"]
        _await(client, f"/v1/videos/{video}", "ready")
        assert client.get("/v1/nowhere").status_code == 404


def _keep_busy(gateway: LiveGateway, site: Site) -> None:
    """One upload is being verified, two wait for it."""
    account = gateway.add_account()
    with gateway.client(account) as client:
        for _ in range(3):
            _complete(client, site, account, "capture", SLOW, "verifying")


def _complete(
    client: Any,  # noqa: ANN401 - of a test library
    site: Site,
    account: Account,
    purpose: str,
    data: bytes,
    status: str,
) -> str:
    made = client.post("/v1/uploads", json=upload_body(purpose)).json()
    upload_id: str = made["upload_id"]
    site.store.put_bytes(f"tenants/{account.tenant_id}/uploads/{upload_id}", data)
    answer = client.post(f"/v1/uploads/{upload_id}/complete")
    assert answer.status_code == 202, answer.text
    _await(client, f"/v1/uploads/{upload_id}", status)
    return upload_id


def _await(client: Any, path: str, status: str) -> None:  # noqa: ANN401 - of a test library
    until = time.monotonic() + 300
    while (found := client.get(path).json())["status"] != status:
        assert found["status"] in {"pending", "verifying"}, found
        assert time.monotonic() < until, found
        time.sleep(0.3)


@contextmanager
def _reporting(site: Site, server_urls: dict[str, str]) -> Iterator[Engine]:
    """The database as the dashboards' role reads it; the role is dropped afterwards."""
    url = site.settings["TALKSPLAT_DATABASE_URL"]
    owner = sa.make_url(server_urls["TALKSPLAT_TEST_DATABASE_URL"])
    owner = owner.set(database=sa.make_url(url).database)
    reader = owner.set(username=REPORTER, password="reads")  # noqa: S106 - a test's role
    texts = [each.render_as_string(hide_password=False) for each in (owner, reader)]
    migrate_database(url, *texts)
    engine = open_database(texts[1])
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _gpu_answer() -> Iterator[str]:
    """Serves that file; gives its address."""
    body = GPU_ANSWER.read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_message: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
