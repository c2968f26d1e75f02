"""Tests that need a CUDA device; elsewhere they are skipped and say why."""

import pytest

from shared.errors import MissingModel
from shared.rasterizers import gsplat_cuda


@pytest.fixture(autouse=True)
def _needs_a_gpu() -> None:
    """Skip by name where gsplat_cuda cannot draw."""
    try:
        gsplat_cuda.require_ready()
    except MissingModel as missing:
        pytest.skip(f"gsplat_cuda: {missing.message}")
