"""The kill test: many jobs run to their end while the platform's parts are killed under them."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.db import tables
from api.db.session import tenant_work
from api.jobs.job import Job
from api.jobs.use_cases import submit_job
from tests.integration.servers import Servers
from tests.load import evidence
from tests.load.burn_jobs import burn_job, input_bytes, input_key
from tests.load.http_calls import call, list_all
from tests.load.kill_plan import plan_kills
from tests.load.killer import Kill, Killer
from tests.load.programs import kept, wait_until_ready
from tests.load.receiver import Inbox, open_inbox
from tests.load.site import Customer, Site, add_customers, gateway_program, worker_programs

WORKERS: Mapping[str, int] = {
    "preprocess": 1,
    "trainer": 1,
    "audio2motion": 2,
    "renderer": 2,
    "evaluator": 2,
}
_LOOK_SECONDS = 0.5
_STUCK_SECONDS = 240.0
"""Without any stage that succeeds; a lease, a patience and a few restarts fit into it."""
_TOLD_SECONDS = 180.0
"""For the last webhooks: two senders in a row may have died with one in their hands."""


@dataclass(frozen=True, kw_only=True)
class ChaosPlan:
    """How much of what."""

    n_jobs: int = 200
    n_kills: int = 48
    seed: int = 1
    n_tenants: int = 4


@dataclass
class ChaosReport:
    """What happened, and whatever is wrong."""

    statuses: dict[str, int]
    kills: list[Kill]
    seconds: float
    """From the first submission to the last job's end."""
    attempts: dict[str, int] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    n_told: int = 0
    """Jobs whose success a webhook was told of."""
    n_told_again: int = 0
    faults: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """Figures in short."""
        hits = Counter(kill.target for kill in self.kills if kill.in_flight)
        return {
            "jobs": self.statuses,
            "seconds": round(self.seconds, 1),
            "kills": dict(Counter(kill.target for kill in self.kills)),
            "kills_in_flight": dict(hits),
            "attempts": self.attempts,
            "starts": self.starts,
            "webhooks": {"jobs_told": self.n_told, "messages_again": self.n_told_again},
            "faults": self.faults[:20],
        }


def run_chaos(site: Site, servers: Servers, plan: ChaosPlan) -> ChaosReport:
    """Run the plan to its end and look at everything that is left."""
    customers = add_customers(site, [f"customer-{n}" for n in range(plan.n_tenants)])
    with open_inbox() as (inbox, port):
        gateway, address = gateway_program(
            site,
            {
                "TALKSPLAT_WEBHOOK_HTTP": "1",
                "TALKSPLAT_WEBHOOK_PORTS": str(port),
                "TALKSPLAT_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
            },
        )
        workers = worker_programs(site, WORKERS)
        with kept([gateway, *workers]):
            wait_until_ready(address)
            _register(address, customers, inbox, port)
            _prepare_inputs(site, customers, plan)
            began = time.monotonic()
            n_stages = _submit(site, customers, plan)
            killer = Killer(
                plan_kills(plan.seed, plan.n_kills),
                gateway=gateway,
                workers=workers,
                servers=servers,
                work_dir=site.work_dir,
                share_done=lambda: evidence.count_stages_done(site) / n_stages,
            )
            killer.start()
            try:
                _wait_for_end(site, plan.n_jobs)
                seconds = time.monotonic() - began
            finally:
                kills = killer.finish()
            _wait_until_told(site)
            shown = _shown(address, customers)
        report = ChaosReport(evidence.count_jobs(site), kills, seconds)
        report.starts = dict(_count_starts([gateway, *workers]))
        _judge(site, report, shown)
        _judge_messages(site, inbox, report)
    return report


def write_report(report: ChaosReport, path: Path) -> None:
    """Keep the figures and every kill, one JSON object per line."""
    lines = [report.told(), *(kill.told() for kill in report.kills)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _register(address: str, customers: Sequence[Customer], inbox: Inbox, port: int) -> None:
    """Every customer wants to be told of successes."""
    for customer in customers:
        path = f"/{customer.tenant_id}"
        body = {"url": f"http://127.0.0.1:{port}{path}", "events": ["job.succeeded"]}
        inbox.secrets[path] = call(address, customer.token, "POST", "/v1/webhooks", body)["secret"]


def _prepare_inputs(site: Site, customers: Sequence[Customer], plan: ChaosPlan) -> None:
    for number in range(plan.n_jobs):
        tenant_id = customers[number % len(customers)].tenant_id
        site.store.put_bytes(input_key(tenant_id, number), input_bytes(plan.seed, number))


def _submit(site: Site, customers: Sequence[Customer], plan: ChaosPlan) -> int:
    """Submit all jobs as the gateway does; returns how many stages they have."""
    n_stages = 0
    for number in range(plan.n_jobs):
        tenant_id = customers[number % len(customers)].tenant_id
        job = burn_job(tenant_id, number, plan.seed)
        with tenant_work(site.database, tenant_id) as work:
            submit_job(work, job, job.created_at)
        n_stages += len(job.stages)
    return n_stages


def _wait_for_end(site: Site, n_jobs: int) -> None:
    """Wait until every job has ended, one way or another, or nothing goes on any more."""
    n_done, changed_at = -1, time.monotonic()
    while True:
        statuses = evidence.count_jobs(site)
        ended = sum(statuses.get(each, 0) for each in ("succeeded", "failed", "canceled"))
        if ended >= n_jobs:
            return
        now_done = evidence.count_stages_done(site)
        if now_done != n_done:
            n_done, changed_at = now_done, time.monotonic()
        if time.monotonic() - changed_at > _STUCK_SECONDS:
            return  # what is not done is counted by the caller
        time.sleep(_LOOK_SECONDS)


def _wait_until_told(site: Site) -> None:
    """Wait until no webhook waits; what then still waits is a fault."""
    until = time.monotonic() + _TOLD_SECONDS
    waiting = tables.webhook_deliveries.c.status == "pending"
    while time.monotonic() < until:
        if not evidence.count_rows(site, tables.webhook_deliveries, waiting):
            return
        time.sleep(_LOOK_SECONDS)


def _shown(address: str, customers: Sequence[Customer]) -> Counter[str]:
    """What the customers see over HTTP: jobs by status."""
    return Counter(
        job["status"]
        for customer in customers
        for job in list_all(address, customer.token, "/v1/jobs")
    )


def _judge(site: Site, report: ChaosReport, shown: Mapping[str, int]) -> None:
    jobs: list[Job] = evidence.read_jobs(site)
    report.attempts = dict(evidence.count_attempts(site))
    if dict(shown) != report.statuses:
        report.faults.append(f"HTTP shows {dict(shown)}")
    report.faults += evidence.find_faults(site, jobs)
    report.faults += evidence.find_damage(site.store, jobs, site.folder / "evidence")
    report.faults += evidence.find_litter(site, jobs)


def _judge_messages(site: Site, inbox: Inbox, report: ChaosReport) -> None:
    told = Counter(inbox.jobs("job.succeeded"))
    report.n_told = len(told)
    report.n_told_again = inbox.n_received - len(inbox.messages)
    twice = [job_id for job_id, n in told.items() if n > 1]
    if twice:
        report.faults.append(f"{len(twice)} jobs were told of under two message ids")
    if inbox.n_bad:
        report.faults.append(f"{inbox.n_bad} messages had a wrong signature")
    undelivered = tables.webhook_deliveries.c.status != "delivered"
    if n := evidence.count_rows(site, tables.webhook_deliveries, undelivered):
        report.faults.append(f"{n} messages were not delivered")


def _count_starts(programs: Sequence[Any]) -> Counter[str]:
    """How often each kind of process was started."""
    counted: Counter[str] = Counter()
    for program in programs:
        counted[program.name.partition("-")[0]] += program.n_starts
    return counted
