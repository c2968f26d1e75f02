"""Sets up threads and determinism, once per process and before anything heavy runs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from shared.settings import Settings
from shared.threads import available_cores, limit_threads


def prepare_compute(settings: Settings) -> int:
    """Give torch and Numba the settings' threads and make torch deterministic.

    To be called before anything imports Numba: in a process that has it already, only the calling
    thread is limited.

    Returns:
        The number of threads.
    """
    n_threads = settings.n_threads or available_cores()
    # Torch refuses cuBLAS in deterministic mode without it; read when CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    limit_threads(n_threads)
    if "numba" in sys.modules:
        import numba

        numba.set_num_threads(min(n_threads, numba.config.NUMBA_NUM_THREADS))
    import torch

    torch.set_num_threads(n_threads)
    # As use_deterministic_algorithms(True), which imports torch's compiler for a second first.
    torch.set_deterministic_debug_mode("error")
    return n_threads


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work alone: what is small only waits for further threads, and sums in any order."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
