"""GPU memory as the driver tells it, with a driver made for the test."""

import sys
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from shared.observability.worker_telemetry import GpuCollector, GpuMemory, read_gpu_memory


class _Error(Exception):
    """What the library raises."""


def _library(calls: list[str], *, has_driver: bool = True, n_gpus: int = 2) -> SimpleNamespace:
    def start() -> None:
        calls.append("init")
        if not has_driver:
            raise _Error

    def memory(handle: int) -> SimpleNamespace:
        if handle >= 2:
            raise _Error
        return SimpleNamespace(used=1000 + handle, total=2000)

    return SimpleNamespace(
        NVMLError=_Error,
        nvmlInit=start,
        nvmlShutdown=lambda: calls.append("shutdown"),
        nvmlDeviceGetCount=lambda: n_gpus,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetMemoryInfo=memory,
    )


def test_every_gpu_is_told_and_the_driver_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry each."""
    calls: list[str] = []
    monkeypatch.setitem(sys.modules, "pynvml", _library(calls))

    assert [GpuMemory(0, 1000, 2000), GpuMemory(1, 1001, 2000)] == read_gpu_memory()
    assert ["init", "shutdown"] == calls


def test_a_machine_without_driver_has_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no error."""
    monkeypatch.setitem(sys.modules, "pynvml", _library([], has_driver=False))

    assert [] == read_gpu_memory()


def test_a_machine_without_the_library_has_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra [gpu] is optional."""
    monkeypatch.setitem(sys.modules, "pynvml", None)

    assert [] == read_gpu_memory()


def test_a_gpu_that_fell_off_the_bus_does_not_break_a_scrape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The driver answers with an error."""
    calls: list[str] = []
    monkeypatch.setitem(sys.modules, "pynvml", _library(calls, n_gpus=3))
    registry = CollectorRegistry()
    registry.register(GpuCollector(read_gpu_memory))

    assert {"talksplat_gpu_memory_used_bytes", "talksplat_gpu_memory_total_bytes"} == {
        family.name for family in registry.collect()
    }
    assert ["init", "shutdown"] == calls
