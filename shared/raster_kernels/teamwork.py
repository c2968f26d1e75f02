"""Runs a kernel on all of Numba's threads."""

import threading
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

_TEAM = threading.Lock()
"""Numba's simplest threading layer must not be entered by two threads at once."""


def work_together(kernel: Callable[..., None], n_stages: int, *arguments: Any) -> None:
    """Call ``kernel(n_threads, counters, *arguments)``.

    Args:
        kernel: Shares out its items by the counters, see ``sharing.py``.
        n_stages: One counter for each.
        arguments: The kernel's own.
    """
    counters = np.zeros((n_stages, 2), np.int64)
    with _TEAM:
        kernel(numba.get_num_threads(), counters, *arguments)
