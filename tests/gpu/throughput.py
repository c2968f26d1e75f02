"""Frames per second of a rasterizer at 512x512, single and batched, as JSON.

    python -m tests.gpu.throughput --out bench_gpu.json

``draw`` is pictures without gradients, tensors staying on the device; ``learn`` one picture
forward and backward. Scenes are the disc of ``talksplat bench``. With ``--rasterizer cpu`` the
same is measured on the CPU.
"""

import argparse
import json
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from services.embedded.bench_raster import Scene, Space, make_space
from shared.gaussians import Gaussians, Surfels
from shared.rasterizer import Rasterizer
from shared.rasterizer_choice import open_rasterizer

KINDS: dict[str, type[Gaussians | Surfels]] = {"gaussians": Gaussians, "surfels": Surfels}
SIGMA_PX = 1.5
N_WARM = 5


def main(arguments: list[str]) -> int:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--rasterizer", default="gsplat_cuda")
    parser.add_argument("--counts", default="10000,50000,100000")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    name, module = open_rasterizer(chosen.rasterizer)
    device = torch.device("cpu" if name == "cpu" else "cuda")
    rows = [
        measure(module, kind, make_space(Scene(int(n), chosen.side, SIGMA_PX)), device, chosen)
        for kind in KINDS
        for n in chosen.counts.split(",")
    ]
    told = {
        "command": shlex.join(["python", "-m", "tests.gpu.throughput", *arguments]),
        "rasterizer": name,
        **describe(device),
        "side": chosen.side,
        "batch": chosen.batch,
        "rows": rows,
    }
    chosen.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
    return 0


def measure(
    module: Rasterizer,
    kind: str,
    space: Space,
    device: torch.device,
    chosen: argparse.Namespace,
) -> dict[str, Any]:
    """Frames per second of one kind and count."""
    side, n_frames = chosen.side, chosen.batch
    gaussians = space.gaussians
    n_scales = 2 if kind == "surfels" else 3
    gaussians = gaussians._replace(scales=gaussians.scales[:, :n_scales].contiguous())
    splats = KINDS[kind](*(tensor.to(device) for tensor in gaussians))
    batch = KINDS[kind](*(torch.stack([tensor] * n_frames) for tensor in splats))
    leaves = KINDS[kind](*(tensor.clone().requires_grad_() for tensor in splats))
    one = module.rasterize_surfels if kind == "surfels" else module.rasterize
    many = module.rasterize_surfels_batch if kind == "surfels" else module.rasterize_batch
    viewmat, K = torch.eye(4), space.K
    wanted = space.image_gradient.to(device)

    def draw() -> None:
        with torch.inference_mode():
            one(splats, viewmat, K, side, side)  # type: ignore[arg-type]

    def draw_batch() -> None:
        with torch.inference_mode():
            many(
                batch,  # type: ignore[arg-type]
                viewmat.expand(n_frames, 4, 4),
                K.expand(n_frames, 3, 3),
                side,
                side,
            )

    def learn() -> None:
        one(leaves, viewmat, K, side, side).colors.backward(wanted)  # type: ignore[arg-type]

    return {
        "kind": kind,
        "n": splats.means.shape[0],
        "draw_fps": round(_per_second(draw, device, chosen.seconds), 1),
        "draw_batch_fps": round(n_frames * _per_second(draw_batch, device, chosen.seconds), 1),
        "learn_fps": round(_per_second(learn, device, chosen.seconds), 1),
    }


def _per_second(work: Callable[[], None], device: torch.device, seconds: float) -> float:
    """Calls per second, warm; the device's queue is empty at both ends."""
    for _ in range(N_WARM):
        work()
    _finish(device)
    started, n_calls = time.perf_counter(), 0
    while n_calls < N_WARM or time.perf_counter() - started < seconds:
        work()
        n_calls += 1
    _finish(device)
    return n_calls / (time.perf_counter() - started)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def describe(device: torch.device) -> dict[str, str]:
    """What it ran on."""
    told = {"torch": torch.__version__, "python": platform.python_version()}
    if device.type == "cpu":
        return told | {"device": platform.processor() or platform.machine(), "driver": ""}
    import gsplat  # noqa: PLC0415 - where it was asked for, it is there

    driver = subprocess.run(
        ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
        check=False,
        capture_output=True,
        text=True,
    ).stdout.strip()
    return told | {
        "gsplat": gsplat.__version__,
        "cuda": str(torch.version.cuda),
        "device": torch.cuda.get_device_name(),
        "driver": driver,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
