"""Threads are set before the libraries that read them are loaded."""

import os
import subprocess
import sys

PROGRAM = """
import os, sys
from shared.compute import prepare_compute
from shared.settings import Settings
prepare_compute(Settings(n_threads=1))
assert "numba" not in sys.modules
import numba, torch
waiting = [os.environ[name] for name in ("OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS")]
print(numba.get_num_threads(), torch.get_num_threads(), *waiting)
"""
WAITING = {"OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS"}
"""This process has them already: ``tests/conftest.py``."""


def run_program(**settings: str) -> str:
    """What it prints when nothing but the given settings says how threads wait."""
    unset = {name: value for name, value in os.environ.items() if name not in WAITING}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        check=True,
        capture_output=True,
        text=True,
        env={**unset, **settings},
    )
    return done.stdout.strip()


def test_threads_hold_for_numba_that_is_imported_later() -> None:
    """And it is not imported for their sake: not every service has it."""
    assert "1 1 PASSIVE 1" == run_program()


def test_an_operator_s_own_way_of_waiting_stays() -> None:
    """Who has a core for each thread may let them spin."""
    assert "1 1 ACTIVE 2" == run_program(OMP_WAIT_POLICY="ACTIVE", OPENBLAS_NUM_THREADS="2")
