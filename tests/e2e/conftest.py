"""Runs the product's own demo once for all end-to-end tests."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from services.embedded.demo import DemoOutcome


class Demo(NamedTuple):
    """A finished demo."""

    folder: Path
    outcome: DemoOutcome
    seconds: float


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """What ``talksplat demo`` leaves, with the time it took."""
    folder = tmp_path_factory.mktemp("demo")
    started = time.monotonic()

    done = subprocess.run(
        [*talksplat(), "demo", "--out", str(folder), "--json"],
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )

    seconds = time.monotonic() - started
    assert 0 == done.returncode
    return Demo(folder, DemoOutcome.model_validate(json.loads(done.stdout)), seconds)


def talksplat() -> list[str]:
    """The command line of this environment."""
    return [sys.executable, "-m", "services.embedded.cli"]
