"""Measures the rasterizer on random scenes: 2D part and whole pipeline, warm medians.

The 2D part is sorting, binning and blending of RGB; the whole adds spherical harmonics of
degree 3 and the projection, with gradients to means, quaternions, scales, opacities and
harmonics. Surfels are timed beside them, from given colours. ``against`` takes the path of another
2D rasterizer for development, a Python file with ``R(n, height, width)`` that has
``forward(means2d, conics, colors, opacities, depths)`` and
``backward(conics, colors, opacities, image_gradient)``; it runs in turn with ours.
"""

import importlib.util
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from shared.errors import InvalidInput
from shared.gaussians import Gaussians, Surfels
from shared.raster_kernels import drawing
from shared.raster_kernels.drawing import FloatArray
from shared.raster_kernels.spherical_harmonics import spherical_harmonics
from shared.rasterizer import Rasterizer
from shared.rasterizer_choice import open_rasterizer

FRAME_MS = 40.0
"""Of real time, at 25 frames per second."""

SH_DEGREE = 3


class Scene(NamedTuple):
    """A disc of random Gaussians in front of a pinhole camera."""

    n_gaussians: int
    side: int  # px
    sigma: float  # px, median


SCENES = (Scene(10_000, 256, 1.5), Scene(20_000, 512, 2.0), Scene(50_000, 512, 1.5))


class RasterTiming(NamedTuple):
    """Milliseconds, medians over rounds; ``learn`` is forward and backward together."""

    scene: Scene
    first: float
    """The first picture and gradient, compiling included where nothing is cached."""
    plane_draw: float
    """2D part."""
    plane_learn: float
    draw: float
    """Given colours, without gradients: what rendering a frame costs."""
    whole_learn: float
    surfels_draw: float
    """The same discs as surfels, given colours, without gradients."""
    surfels_learn: float
    """Forward and backward, with gradients in colours, normals and distortion."""
    against_draw: float | None
    """2D part of the other rasterizer."""
    against_learn: float | None

    @property
    def times_real_time(self) -> float:
        """Pictures per 40 ms."""
        return FRAME_MS / self.draw

    @property
    def ratios(self) -> tuple[float, float] | None:
        """Our 2D part's time over the other's, drawing and learning."""
        if self.against_draw is None or self.against_learn is None:
            return None
        return self.plane_draw / self.against_draw, self.plane_learn / self.against_learn


def bench_raster(
    rasterizer: str = "cpu",
    n_rounds: int = 9,
    scenes: tuple[Scene, ...] = SCENES,
    against: Path | None = None,
) -> list[RasterTiming]:
    """Time ``rasterizer`` on ``scenes``; all kinds of work take turns within a round.

    The 2D part is always that of the CPU kernels.
    """
    _, module = open_rasterizer(rasterizer)
    return [_time_scene(module, scene, n_rounds, against) for scene in scenes]


def _time_scene(
    module: Rasterizer, scene: Scene, n_rounds: int, against: Path | None
) -> RasterTiming:
    space, plane = make_space(scene), make_plane(scene)
    works: dict[str, Callable[[], object]] = {
        "plane_draw": partial(draw_plane, plane),
        "plane_learn": partial(learn_plane, plane),
        "draw": partial(_draw, module, space),
        "whole_learn": partial(_learn, module, space),
        "surfels_draw": partial(_draw_surfels, module, space),
        "surfels_learn": partial(_learn_surfels, module, space),
    }
    if against is not None:
        other = _load(against).R(scene.n_gaussians, scene.side, scene.side)
        works["against_draw"] = partial(_draw_other, other, plane)
        works["against_learn"] = partial(_learn_other, other, plane)
    first = _milliseconds(works["whole_learn"])
    for work in works.values():
        work()  # compiles
        work()  # warms
    rounds = [{name: _milliseconds(work) for name, work in works.items()} for _ in range(n_rounds)]
    medians = {name: median(each[name] for each in rounds) for name in works}
    return RasterTiming(
        scene=scene,
        first=first,
        plane_draw=medians["plane_draw"],
        plane_learn=medians["plane_learn"],
        draw=medians["draw"],
        whole_learn=medians["whole_learn"],
        surfels_draw=medians["surfels_draw"],
        surfels_learn=medians["surfels_learn"],
        against_draw=medians.get("against_draw"),
        against_learn=medians.get("against_learn"),
    )


class Plane(NamedTuple):
    """Gaussians in the image plane."""

    means2d: FloatArray  # [N, 2] px
    conics: FloatArray  # [N, 3] px^-2
    colors: FloatArray  # [N, 3]
    opacities: FloatArray  # [N]
    depths: FloatArray  # [N]
    image_gradient: FloatArray  # [H, W, 3]


class Space(NamedTuple):
    """Gaussians in front of a camera at the origin."""

    gaussians: Gaussians
    harmonics: Tensor  # [N, 16, 3]
    K: Tensor  # [3, 3]
    image_gradient: Tensor  # [H, W, 3]


def make_plane(scene: Scene) -> Plane:
    """Sizes log-normal around ``sigma``, any orientation, opacities 0.3 to 1."""
    random = np.random.default_rng(0)
    n, side = scene.n_gaussians, scene.side
    sigmas = np.exp(random.normal(np.log(scene.sigma), 0.4, (n, 2)))
    turn = random.uniform(0, np.pi, n)
    axes = np.stack([np.cos(turn), np.sin(turn), -np.sin(turn), np.cos(turn)], 1).reshape(n, 2, 2)
    conics = axes.transpose(0, 2, 1) @ (axes / sigmas[:, :, None] ** 2)
    arrays = (
        _disc(random, n, side),
        conics.reshape(n, 4)[:, [0, 1, 3]],
        random.uniform(0, 1, (n, 3)),
        random.uniform(0.3, 1, n),
        random.uniform(2, 6, n),
        random.normal(size=(side, side, 3)),
    )
    return Plane(*(array.astype(np.float32) for array in arrays))


def make_space(scene: Scene) -> Space:
    """The same kind of disc, 2 to 6 m away."""
    random = np.random.default_rng(1)
    n, side = scene.n_gaussians, scene.side
    focal = 1.2 * side
    depth = random.uniform(2, 6, n)
    flat = np.concatenate([_disc(random, n, side) - side / 2, np.full((n, 1), focal)], 1)
    arrays = (
        flat * (depth / focal)[:, None],
        random.normal(size=(n, 4)),
        np.exp(random.normal(np.log(scene.sigma), 0.4, (n, 3))) * (depth / focal)[:, None],
        random.uniform(0.3, 1, n),
        random.uniform(0, 1, (n, 3)),
    )
    return Space(
        Gaussians(*(torch.from_numpy(array.astype(np.float32)) for array in arrays)),
        torch.from_numpy(random.normal(0, 0.1, (n, (SH_DEGREE + 1) ** 2, 3)).astype(np.float32)),
        torch.tensor([[focal, 0, side / 2], [0, focal, side / 2], [0, 0, 1]]),
        torch.from_numpy(random.normal(size=(side, side, 3)).astype(np.float32)),
    )


def _disc(random: np.random.Generator, n: int, side: int) -> FloatArray:
    """Points in an ellipse that fills most of the picture. [n, 2] px"""
    angle, radius = random.uniform(0, 2 * np.pi, n), np.sqrt(random.uniform(0, 1, n))
    x, y = 0.40 * radius * np.cos(angle), 0.45 * radius * np.sin(angle)
    return (np.stack([x, y], 1) + 0.5) * side


class DrawnPlane(NamedTuple):
    """The 2D part's result."""

    splats: drawing.Splats
    lists: drawing.Lists
    images: drawing.Images  # colours, alpha, depth, flat


def draw_plane(plane: Plane) -> DrawnPlane:
    """The 2D part forward."""
    height, width = plane.image_gradient.shape[:2]
    images = tuple(np.empty(height * width * k, np.float32) for k in (3, 1, 1))
    splats = drawing.splats_in_plane(
        plane.means2d, plane.conics, plane.opacities, plane.depths, (width, height)
    )
    background = np.zeros(3, np.float32)
    lists = drawing.blend_rgb(splats, plane.colors, background, (width, height), images)
    return DrawnPlane(splats, lists, images)


def learn_plane(plane: Plane) -> drawing.Footprints:
    """The 2D part forward and backward."""
    height, width = plane.image_gradient.shape[:2]
    splats, lists, images = draw_plane(plane)
    nothing = np.empty(0, np.float32)
    gradients = (plane.image_gradient.reshape(-1), nothing, nothing)
    return drawing.blend_rgb_backward(
        splats.values, lists, plane.colors, (width, height), (images, gradients)
    )


def _draw(module: Rasterizer, space: Space) -> Tensor:
    side = space.image_gradient.shape[0]
    with torch.inference_mode():
        return module.rasterize(space.gaussians, torch.eye(4), space.K, side, side).colors


def _learn(module: Rasterizer, space: Space) -> None:
    """Spherical harmonics, projection and 2D part, forward and backward."""
    side = space.image_gradient.shape[0]
    leaves = Gaussians(*(tensor.detach().requires_grad_() for tensor in space.gaussians))
    harmonics = space.harmonics.detach().requires_grad_()
    colors = spherical_harmonics(SH_DEGREE, leaves.means, harmonics) + 0.5
    shaded = leaves._replace(colors=colors)
    rendered = module.rasterize(shaded, torch.eye(4), space.K, side, side)
    rendered.colors.backward(space.image_gradient)


def _surfels_of(space: Space) -> Surfels:
    """The Gaussians without their third axis."""
    return Surfels(*space.gaussians._replace(scales=space.gaussians.scales[:, :2]))


def _draw_surfels(module: Rasterizer, space: Space) -> Tensor:
    side = space.image_gradient.shape[0]
    with torch.inference_mode():
        return module.rasterize_surfels(
            _surfels_of(space), torch.eye(4), space.K, side, side
        ).colors


def _learn_surfels(module: Rasterizer, space: Space) -> None:
    """Projection and 2D part, forward and backward, as training with 2DGS's losses does."""
    side = space.image_gradient.shape[0]
    leaves = Surfels(*(tensor.detach().requires_grad_() for tensor in _surfels_of(space)))
    rendered = module.rasterize_surfels(leaves, torch.eye(4), space.K, side, side)
    torch.autograd.backward(
        (rendered.colors, rendered.normals, rendered.distortion),
        (space.image_gradient, space.image_gradient, space.image_gradient[..., 0]),
    )


def _load(path: Path) -> Any:  # noqa: ANN401 - a module that is known by its path only
    """Import a Python file.

    Raises:
        InvalidInput: ``bad_rasterizer_path``.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InvalidInput("bad_rasterizer_path", f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where Numba's cache looks for it
    spec.loader.exec_module(module)
    return module


def _draw_other(other: Any, plane: Plane) -> None:  # noqa: ANN401 - same
    other.forward(*plane[:5])


def _learn_other(other: Any, plane: Plane) -> None:  # noqa: ANN401 - same
    other.forward(*plane[:5])
    other.backward(plane.conics, plane.colors, plane.opacities, plane.image_gradient)


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)
