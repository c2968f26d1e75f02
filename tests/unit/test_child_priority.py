"""Stages leave the machine to whoever answers requests."""

import os
import subprocess
import sys

_CHILD = """
import os
from pathlib import Path
from shared.worker.child import _share_machine
before = os.nice(0)
_share_machine()
group = Path("/proc/self/autogroup")
print(os.nice(0) - before, group.read_text("ascii").split()[-1] if group.exists() else "7")
names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")
print(*(os.environ[name] for name in names))
"""


def test_a_stage_takes_the_operator_s_priority_and_threads() -> None:
    """Its own, and that of its session, by which Linux may share the machine."""
    settings = {"TALKSPLAT_NICENESS": "7", "TALKSPLAT_THREADS": "3"}
    # Ours comes from tests/conftest.py, and would stay.
    unset = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}

    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**unset, **settings, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )

    assert ["7 7", "3 3 PASSIVE"] == done.stdout.splitlines()
