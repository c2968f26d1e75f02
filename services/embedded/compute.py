"""Sets up threads and determinism, once per process and before anything heavy runs."""

import os

from shared.settings import Settings


def prepare_compute(settings: Settings) -> int:
    """Give torch and Numba the settings' threads and make torch deterministic.

    Returns:
        The number of threads.
    """
    # Numba reads its variable when it is first imported, and OpenMP when its library loads.
    n_threads = settings.n_threads or available_cores()
    os.environ["NUMBA_NUM_THREADS"] = str(n_threads)
    os.environ["OMP_NUM_THREADS"] = str(n_threads)
    import torch

    torch.set_num_threads(n_threads)
    torch.use_deterministic_algorithms(mode=True)
    return n_threads


def available_cores() -> int:
    """Cores this process may run on, which a container may have fewer of than the machine."""
    return len(os.sched_getaffinity(0))
