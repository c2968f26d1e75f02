"""How fast ``talksplat serve`` answers while it trains: ``python -m tests.load.responsiveness``.

One client asks for the list of jobs at a steady rate while a training takes all cores. A request's
time runs from when it was due, so one that waits behind a slow one counts as slow too.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx2

from services.embedded.puppet.capture import demo_files, film_demo
from shared.progress import silent
from tests.e2e.http_user import HttpUser, stage_of
from tests.e2e.serve_program import Serve
from tests.load.programs import kept, wait_until_ready

MAX_P95_MS = 100.0
_WARM_PROGRESS = 0.01
"""Share of the training after which its loops are compiled."""


def main(arguments: Sequence[str]) -> int:
    """Measure, print the figures as JSON, and fail above the bar."""
    parser = argparse.ArgumentParser(prog="tests.load.responsiveness", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--per-second", type=float, default=5.0)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="talksplat-responsiveness-") as folder:
        figures = measure(Path(folder), chosen.requests, chosen.per_second)
    print(json.dumps(figures, indent=2))  # noqa: T201 - a command
    return 0 if figures["p95_ms"] < MAX_P95_MS else 1


def measure(folder: Path, n_requests: int, per_second: float) -> dict[str, float]:
    """Serve, train, and ask; times in milliseconds.

    Raises:
        AssertionError: an answer was no success, or the training did not last.
    """
    files = demo_files(folder / "capture")
    film_demo(files, silent)
    serve = Serve(folder)
    with kept([serve.program]):
        wait_until_ready(serve.address)
        key = serve.first_key()
        user = HttpUser(serve.address, key)
        capture = user.upload(files.capture, "capture", "video/mp4")
        job_id = user.ask_for_avatar(capture, {"preset": "high"})["job_id"]
        user.wait_for_stage(job_id, "train", _WARM_PROGRESS)
        times = ask_steadily(serve.address, key, n_requests, per_second)
        assert "running" == stage_of(user.get(f"/v1/jobs/{job_id}"), "train")["status"]
        user.close()
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {
        "n_requests": len(times),
        "per_second": per_second,
        "p50_ms": round(cuts[49], 1),
        "p95_ms": round(cuts[94], 1),
        "p99_ms": round(cuts[98], 1),
        "max_ms": round(max(times), 1),
    }


def ask_steadily(address: str, key: str, n_requests: int, per_second: float) -> list[float]:
    """Times of requests that fall due at a steady rate."""
    times = []
    headers = {"Authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=address, headers=headers, timeout=60, trust_env=False) as client:
        began = time.perf_counter()
        for number in range(n_requests):
            due = began + number / per_second
            time.sleep(max(0.0, due - time.perf_counter()))
            answer = client.get("/v1/jobs")
            times.append(1000 * (time.perf_counter() - due))
            assert 200 == answer.status_code, answer.text
    return times


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
