"""Random numbers of their own for each purpose."""

import zlib

import numpy as np


def random_stream(purpose: str, seed: int) -> np.random.Generator:
    """Draws that do not change when another purpose draws more."""
    return np.random.default_rng([zlib.crc32(purpose.encode()), seed])
