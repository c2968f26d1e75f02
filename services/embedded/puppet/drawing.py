"""Draws textured triangle meshes: where does each pixel look in the texture?"""

from typing import NamedTuple

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
_TINY = 1e-9  # px^2, area of a triangle seen from its edge
_SLACK = 1e-5  # so that no pixel on a shared edge is left out
_OUTSIDE = -16.0  # a place outside every texture, where cv2.remap reads zero


class Mesh(NamedTuple):
    """A textured sheet of triangles."""

    triangles: NDArray[np.int32]  # [F, 3] vertex numbers
    uv: F32  # [V, 2] each vertex in the texture, px
    texture: F32  # [H, W, 4] premultiplied RGBA


def paint(canvas: F32, mesh: Mesh, points: F32, depths: F32) -> None:
    """Draw a mesh over the canvas, nearer triangles over further ones.

    Args:
        canvas: Picture to draw on, in place. [S, S, 3]
        mesh: What to draw.
        points: Its vertices in the picture. [V, 2] px
        depths: Their distance. [V]
    """
    size = canvas.shape[0]
    low = np.clip(np.floor(points.min(0)), 0, size).astype(int)
    high = np.clip(np.ceil(points.max(0)), 0, size).astype(int)
    width, height = high - low
    if width <= 0 or height <= 0:
        return
    where = np.full((2, height, width), _OUTSIDE, np.float32)
    nearest = np.full((height, width), np.inf, np.float32)
    local = (points - low).astype(np.float32)
    _rasterize(local, depths, mesh.triangles, mesh.uv, where, nearest)
    layer = cv2.remap(
        mesh.texture, where[0], where[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    window = canvas[low[1] : high[1], low[0] : high[0]]
    window *= 1 - layer[..., 3:]
    window += layer[..., :3]


@numba.njit(cache=True, fastmath=False)
def _rasterize(  # noqa: PLR0917 - a compiled kernel that fills its arguments
    points: F32,
    depths: F32,
    triangles: NDArray[np.int32],
    uv: F32,
    where: F32,
    nearest: F32,
) -> None:
    height, width = nearest.shape
    for f in range(triangles.shape[0]):
        i, j, k = triangles[f]
        xi, yi, xj, yj, xk, yk = (
            points[i, 0],
            points[i, 1],
            points[j, 0],
            points[j, 1],
            points[k, 0],
            points[k, 1],
        )
        area = (xj - xi) * (yk - yi) - (xk - xi) * (yj - yi)
        if abs(area) < _TINY:
            continue
        left = max(0, int(np.ceil(min(xi, xj, xk) - 0.5)))
        right = min(width - 1, int(np.floor(max(xi, xj, xk) - 0.5)))
        top = max(0, int(np.ceil(min(yi, yj, yk) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(yi, yj, yk) - 0.5)))
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                px, py = x + 0.5, y + 0.5
                b = ((px - xi) * (yk - yi) - (xk - xi) * (py - yi)) / area
                c = ((xj - xi) * (py - yi) - (px - xi) * (yj - yi)) / area
                a = 1 - b - c
                if a < -_SLACK or b < -_SLACK or c < -_SLACK:
                    continue
                depth = a * depths[i] + b * depths[j] + c * depths[k]
                if depth < nearest[y, x]:
                    nearest[y, x] = depth
                    where[0, y, x] = a * uv[i, 0] + b * uv[j, 0] + c * uv[k, 0] - 0.5
                    where[1, y, x] = a * uv[i, 1] + b * uv[j, 1] + c * uv[k, 1] - 0.5
