"""How many threads compute libraries take, and what they do while they wait."""

import os
import sys


def limit_threads(n_threads: int) -> None:
    """Tell Numba, OpenMP and NumPy's BLAS what they read when they are loaded, and never again.

    What is loaded stays as it is; processes that this one starts read it, too. Values that an
    operator has set for waiting and for the BLAS stay.

    Threads that wait are to sleep. Torch and Numba bring a pool each, and other processes share the
    cores: pools that spin at their barriers starve each other. Two trainings of two threads side by
    side on two cores took over 250 s so, and 34 s asleep; one alone takes as long either way.
    OpenBLAS only knows how to spin, and our systems of equations are too small for a second thread.
    """
    if "numba" not in sys.modules:  # once loaded, Numba fails when its variable changes
        os.environ["NUMBA_NUM_THREADS"] = str(n_threads)
    os.environ["OMP_NUM_THREADS"] = str(n_threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def available_cores() -> int:
    """Cores this process may run on, which a container may have fewer of than the machine."""
    return len(os.sched_getaffinity(0))
