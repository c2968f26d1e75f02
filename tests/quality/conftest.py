"""Real footage is on few machines: these tests run by ``make quality`` only."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from services.embedded.run_result import RunResult


class Run(NamedTuple):
    """A finished ``talksplat run``."""

    folder: Path
    result: RunResult


@pytest.fixture(scope="session")
def footage() -> Path:
    """Folder with captures/, awkward/ and speech/, which ``TALKSPLAT_TEST_DATA`` names."""
    return Path(os.environ["TALKSPLAT_TEST_DATA"]).resolve()


@pytest.fixture(scope="session")
def may(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Ten seconds of May, 3.3 s held out."""
    return _run(footage / "captures" / "may_13s_512.mp4", 3.3, tmp_path_factory.mktemp("may"))


@pytest.fixture(scope="session")
def obama(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """24 seconds of Obama, 6 s held out."""
    capture = footage / "captures" / "obama_wh_30s_256_av.mp4"
    return _run(capture, 6.0, tmp_path_factory.mktemp("obama"))


def talksplat(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "services.embedded.cli", *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
    )


def _run(capture: Path, holdout: float, out: Path) -> Run:
    done = talksplat("run", "--capture", capture, "--holdout", holdout, "--out", out, "--json")
    assert 0 == done.returncode, done.stderr
    return Run(out, RunResult.model_validate(json.loads(done.stdout)))
