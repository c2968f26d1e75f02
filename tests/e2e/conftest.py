"""Runs the product's own demo once for all end-to-end tests."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from services.embedded.demo import DemoOutcome
from services.embedded.puppet.capture import DemoFiles, demo_files, film_demo
from shared.progress import silent
from tests.integration.conftest import server_urls

__all__ = ["server_urls"]  # a fixture; it skips where there are no servers

BRIEF_SECONDS = 4.0
"""And three more, which the demo holds out."""


class Demo(NamedTuple):
    """A finished demo."""

    folder: Path
    outcome: DemoOutcome
    seconds: float


@pytest.fixture(scope="session")
def filmed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    """The demo's capture and speech, filmed once."""
    if any("demo" in getattr(item, "fixturenames", ()) for item in request.session.items):
        demo: Demo = request.getfixturevalue("demo")
        return demo_files(demo.folder / "capture")
    files = demo_files(tmp_path_factory.mktemp("filmed"))
    film_demo(files, silent)
    return files


@pytest.fixture(scope="session")
def filmed_briefly(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    """A capture of half the demo's length, for what does not judge how the avatar looks."""
    files = demo_files(tmp_path_factory.mktemp("filmed_briefly"))
    film_demo(files, silent, BRIEF_SECONDS)
    return files


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
