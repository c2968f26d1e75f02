"""What the doctor says of GPUs: driver, CUDA, memory, and whether they fit each other."""

from typing import Any, NamedTuple

from services.embedded.finding import Finding

_NEEDED_GB = 8.0
_OLDEST_CAPABILITY = (7, 0)
"""gsplat's kernels are built for Volta and later."""
_GB = 1e9


class Gpu(NamedTuple):
    """One GPU."""

    name: str
    total_bytes: int
    free_bytes: int
    capability: tuple[int, int]


class GpuFacts(NamedTuple):
    """What driver and torch say."""

    driver: str | None
    """Version of NVIDIA's driver; None without one."""
    gpus: tuple[Gpu, ...]
    torch_cuda: str | None
    """CUDA version that torch was built for; None for a build without."""
    is_usable: bool
    """Whether torch can use a GPU now."""


def judge_gpus(facts: GpuFacts) -> list[Finding]:
    """What is wrong with the GPUs, and what to do; a machine without any is well."""
    if facts.driver is None:
        text = (
            "no NVIDIA driver, or no extra gpu to ask it with: stages run on the CPU; on a machine "
            "with a GPU install its driver and pip install -e '.[gpu]'"
        )
        return [Finding("gpu", is_well=True, text=text)]
    found = [Finding("driver", is_well=True, text=f"NVIDIA {facts.driver}")]
    if not facts.gpus:
        text = "the driver shows none: give the container one (--gpus, nvidia.com/gpu)"
        return [*found, Finding("gpu", is_well=False, text=text)]
    found.append(_cuda(facts))
    return found + [_gpu(number, gpu) for number, gpu in enumerate(facts.gpus)]


def read_gpu_facts() -> GpuFacts:
    """Ask NVIDIA's driver and torch; either may be missing."""
    driver, gpus = _ask_driver()
    try:
        import torch
    except ImportError:
        return GpuFacts(driver, gpus, None, is_usable=False)
    return GpuFacts(driver, gpus, torch.version.cuda, torch.cuda.is_available())


def _cuda(facts: GpuFacts) -> Finding:
    if facts.torch_cuda is None:
        text = "torch is a build without CUDA: install the CUDA build that constraints.txt pins"
        return Finding("cuda", is_well=False, text=text)
    if not facts.is_usable:
        text = (
            f"torch was built for CUDA {facts.torch_cuda} and cannot use the GPU with driver "
            f"{facts.driver}: install a driver for CUDA {facts.torch_cuda} or later"
        )
        return Finding("cuda", is_well=False, text=text)
    return Finding("cuda", is_well=True, text=f"torch for CUDA {facts.torch_cuda} can use it")


def _gpu(number: int, gpu: Gpu) -> Finding:
    total, free = gpu.total_bytes / _GB, gpu.free_bytes / _GB
    capability = ".".join(map(str, gpu.capability))
    text = f"{gpu.name}, capability {capability}, {free:.1f} of {total:.1f} GB free"
    problems = []
    if gpu.capability < _OLDEST_CAPABILITY:
        oldest = ".".join(map(str, _OLDEST_CAPABILITY))
        problems.append(f"gsplat needs capability {oldest}: use --device cpu")
    if free < _NEEDED_GB:
        busy = "another process holds the rest" if total >= _NEEDED_GB else "use preset draft"
        problems.append(f"{_NEEDED_GB:.0f} GB are needed: {busy}")
    return Finding(f"gpu {number}", is_well=not problems, text="; ".join([text, *problems]))


def _ask_driver() -> tuple[str | None, tuple[Gpu, ...]]:
    try:
        import pynvml
    except ModuleNotFoundError:
        return None, ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None, ()
    try:
        gpus = tuple(_ask_gpu(pynvml, n) for n in range(pynvml.nvmlDeviceGetCount()))
        return str(pynvml.nvmlSystemGetDriverVersion()), gpus
    finally:
        pynvml.nvmlShutdown()


def _ask_gpu(nvml: Any, number: int) -> Gpu:  # noqa: ANN401 - an untyped library
    handle = nvml.nvmlDeviceGetHandleByIndex(number)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    capability = tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle))
    return Gpu(
        str(nvml.nvmlDeviceGetName(handle)),
        int(memory.total),
        int(memory.free),
        (int(capability[0]), int(capability[1])),
    )
