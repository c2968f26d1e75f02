"""A stage cannot take the memory of its worker."""

import os
import subprocess
import sys

import pytest

from shared.worker.child import _is_out_of_memory

_CHILD = """
from pathlib import Path
from shared.worker.child import _limit_memory
_limit_memory()
score = Path("/proc/self/oom_score_adj")
print(score.read_text("ascii").strip() if score.exists() else "500")
try:
    bytearray(2_000_000_000)
except MemoryError:
    print("refused")
"""


@pytest.mark.parametrize(("limit", "told"), [("1.5", ["500", "refused"]), ("0", ["500"])])
def test_the_operator_s_limit_holds(limit: str, told: list[str]) -> None:
    """And without one the kernel takes the stage before the worker."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "TALKSPLAT_STAGE_MEMORY_GB": limit,
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )

    assert told == done.stdout.split()


def test_torch_s_errors_are_told_as_what_they_are() -> None:
    """It raises RuntimeErrors when memory runs out, on a GPU under a name of its own."""

    class OutOfMemoryError(RuntimeError):
        """As torch has it."""

    found = [
        _is_out_of_memory(error)
        for error in (
            MemoryError(),
            OutOfMemoryError("CUDA out of memory"),
            RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"),
            RuntimeError("shapes do not fit"),
            ValueError("not enough memory"),
        )
    ]

    assert [True, True, True, False, False] == found
