"""Threads are set before the libraries that read them are loaded."""

import subprocess
import sys

PROGRAM = """
import os, sys
from shared.compute import prepare_compute
from shared.settings import Settings
prepare_compute(Settings(n_threads=1))
assert "numba" not in sys.modules
import numba, torch
print(numba.get_num_threads(), torch.get_num_threads(), os.environ["OMP_WAIT_POLICY"])
"""


def test_threads_hold_for_numba_that_is_imported_later() -> None:
    """And it is not imported for their sake: not every service has it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True
    )

    assert "1 1 PASSIVE" == done.stdout.strip()
