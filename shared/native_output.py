"""Keeps native libraries from writing to the terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Swallow what is written to file descriptor 2, by any thread, inside the block.

    For the start of MediaPipe's graphs, which write notes whatever the log settings are; what
    fails is raised as an exception all the same.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(sink)
        os.close(kept)
