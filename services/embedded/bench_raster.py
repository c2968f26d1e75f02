"""Measures the rasterizer on random scenes: warm medians, forward, and forward with backward."""

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from shared.gaussians import Gaussians
from shared.plugins import load_plugin
from shared.raster_kernels.spherical_harmonics import spherical_harmonics
from shared.rasterizer import Rasterizer

FRAME_MS = 40.0
"""Of real time, at 25 frames per second."""
_SH_DEGREE = 3
_N_SH = (_SH_DEGREE + 1) ** 2


class Scene(NamedTuple):
    """A disc of random Gaussians in front of a pinhole camera."""

    n_gaussians: int
    side: int  # px
    sigma: float  # px, median


SCENES = (Scene(10_000, 256, 1.5), Scene(20_000, 512, 2.0), Scene(50_000, 512, 1.5))


class RasterTiming(NamedTuple):
    """Milliseconds, medians over rounds."""

    scene: Scene
    first_ms: float
    """The first picture, compiling included where nothing is cached."""
    draw_ms: float
    """Given colours: projection, sorting, blending."""
    whole_ms: float
    """Spherical harmonics of degree 3 too."""
    learn_ms: float
    """The whole, forward and backward to means, quaternions, scales, opacities and harmonics."""

    @property
    def times_real_time(self) -> float:
        """Whole pictures per 40 ms."""
        return FRAME_MS / self.whole_ms


class _Made(NamedTuple):
    gaussians: Gaussians
    harmonics: Tensor  # [N, 16, 3]
    K: Tensor
    side: int


def bench_raster(rasterizer: str, n_rounds: int = 9) -> list[RasterTiming]:
    """Time ``rasterizer`` on SCENES; kinds of work take turns within a round."""
    module: Rasterizer = load_plugin("shared.rasterizers", rasterizer)
    timings = []
    for scene in SCENES:
        made = _make_scene(scene)
        first = _milliseconds(partial(_draw, module, made))
        works: dict[str, Callable[[], object]] = {
            "draw": partial(_draw, module, made),
            "whole": partial(_draw_whole, module, made),
            "learn": partial(_learn, module, made),
        }
        for work in works.values():
            work()  # compiles
        rounds = [
            {name: _milliseconds(work) for name, work in works.items()} for _ in range(n_rounds)
        ]
        medians = {name: median(each[name] for each in rounds) for name in works}
        timings.append(
            RasterTiming(scene, first, medians["draw"], medians["whole"], medians["learn"])
        )
    return timings


def _draw(module: Rasterizer, made: _Made) -> Tensor:
    with torch.inference_mode():
        return module.rasterize(made.gaussians, torch.eye(4), made.K, made.side, made.side).colors


def _draw_whole(module: Rasterizer, made: _Made) -> Tensor:
    with torch.inference_mode():
        return _shade_and_draw(module, made)


def _learn(module: Rasterizer, made: _Made) -> None:
    learnt = Gaussians(*(values.detach().requires_grad_() for values in made.gaussians))
    harmonics = made.harmonics.detach().requires_grad_()
    picture = _shade_and_draw(module, made._replace(gaussians=learnt, harmonics=harmonics))
    picture.sum().backward()


def _shade_and_draw(module: Rasterizer, made: _Made) -> Tensor:
    means = made.gaussians.means
    colors = (spherical_harmonics(_SH_DEGREE, means, made.harmonics) + 0.5).clamp_min(0)
    gaussians = made.gaussians._replace(colors=colors)
    return module.rasterize(gaussians, torch.eye(4), made.K, made.side, made.side).colors


def _make_scene(scene: Scene) -> _Made:
    """Gaussians two to six metres away that fill most of the picture."""
    generator = torch.Generator().manual_seed(0)
    n, side = scene.n_gaussians, float(scene.side)
    angle, radius, depth, opacity = torch.rand(4, n, generator=generator)
    depth = 2 + 4 * depth
    focal = 1.2 * side
    x = 0.40 * side * radius.sqrt() * torch.cos(2 * torch.pi * angle)
    y = 0.45 * side * radius.sqrt() * torch.sin(2 * torch.pi * angle)
    spread = torch.exp(0.4 * torch.randn(n, 3, generator=generator)) * scene.sigma
    harmonics = 0.1 * torch.randn(n, _N_SH, 3, generator=generator)
    return _Made(
        Gaussians(
            means=torch.stack([x, y, torch.full_like(x, focal)], 1) * (depth / focal)[:, None],
            quats=torch.randn(n, 4, generator=generator),
            scales=spread * (depth / focal)[:, None],
            opacities=0.3 + 0.7 * opacity,
            colors=torch.rand(n, 3, generator=generator),
        ),
        harmonics,
        torch.tensor([[focal, 0, side / 2], [0, focal, side / 2], [0, 0, 1]]),
        scene.side,
    )


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)
