"""Which rasterizer a machine draws with."""

import logging
import sys

import pytest
import torch

from shared.errors import InvalidInput, MissingModel
from shared.rasterizer_choice import choose_rasterizer, open_rasterizer
from tests.fake_gsplat import make_fake_gsplat


@pytest.fixture
def _gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device and gsplat, as far as a choice can see."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "gsplat", make_fake_gsplat())


@pytest.fixture
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """No device."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("_gpu")
def test_auto_takes_a_gpu_where_there_is_one() -> None:
    """By its registry name, which goes into manifests."""
    assert "gsplat_cuda" == choose_rasterizer("auto").name
    assert "gsplat_cuda" == open_rasterizer("auto")[0]


@pytest.mark.usefixtures("_no_gpu")
def test_auto_takes_the_cpu_and_logs_why(caplog: pytest.LogCaptureFixture) -> None:
    """The reason names what is missing."""
    caplog.set_level(logging.INFO)

    choice = choose_rasterizer("auto")

    assert "cpu" == choice.name
    assert "no CUDA device" in choice.reason
    assert ["rasterizer_chosen"] == [record.message for record in caplog.records]


@pytest.mark.usefixtures("_gpu")
def test_a_device_without_gsplat_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Auto says what to install; cuda refuses."""
    monkeypatch.setitem(sys.modules, "gsplat", None)

    assert ".[gpu]" in choose_rasterizer("auto").reason
    with pytest.raises(MissingModel) as refusal:
        choose_rasterizer("cuda")
    assert "missing_library" == refusal.value.code


@pytest.mark.usefixtures("_no_gpu")
def test_what_was_named_is_never_replaced() -> None:
    """Cuda and gsplat_cuda are refused without a device, an unknown name anywhere."""
    for ask in (lambda: choose_rasterizer("cuda"), lambda: open_rasterizer("gsplat_cuda")):
        with pytest.raises(MissingModel) as refusal:
            ask()
        assert "no_gpu" == refusal.value.code
    with pytest.raises(InvalidInput) as unknown:
        open_rasterizer("abacus")
    assert "unknown_plugin" == unknown.value.code


@pytest.mark.usefixtures("_gpu")
def test_the_cpu_can_be_asked_for_beside_a_gpu() -> None:
    """No look at the device."""
    assert "cpu" == choose_rasterizer("cpu").name
    assert "cpu" == open_rasterizer("cpu")[0]
