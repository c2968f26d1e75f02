"""Sets up threads and determinism, once per process and before anything heavy runs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from shared.settings import Settings


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
    if "numba" in sys.modules:
        import numba

        numba.set_num_threads(min(n_threads, numba.config.NUMBA_NUM_THREADS))
    else:
        limit_threads(n_threads)
    import torch

    torch.set_num_threads(n_threads)
    # As use_deterministic_algorithms(True), which imports torch's compiler for a second first.
    torch.set_deterministic_debug_mode("error")
    return n_threads


def limit_threads(n_threads: int) -> None:
    """Tell Numba, OpenMP and NumPy's BLAS what they read when they are loaded, and never again.

    Threads that wait are to sleep. Torch and Numba bring a pool each, and other processes share the
    cores: pools that spin at their barriers starve each other. Two trainings of two threads side by
    side on two cores took over 250 s so, and 34 s asleep; one alone takes as long either way.
    OpenBLAS only knows how to spin, and our systems of equations are too small for a second thread.
    """
    os.environ["NUMBA_NUM_THREADS"] = str(n_threads)
    os.environ["OMP_NUM_THREADS"] = str(n_threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


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


def available_cores() -> int:
    """Cores this process may run on, which a container may have fewer of than the machine."""
    return len(os.sched_getaffinity(0))
