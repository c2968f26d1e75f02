"""What is seen when the puppet's lips part: cavity, tongue and teeth.

The upper teeth are the photograph's own; the rest is painted. Each patch is a small textured mesh
in the same texture space as the face.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from services.embedded.puppet.drawing import Mesh
from services.embedded.puppet.face_rig import INNER_LOWER, INNER_UPPER
from services.embedded.puppet.photograph import TEXTURE_SIZE

F32 = NDArray[np.float32]


class Patch(NamedTuple):
    """A textured sheet inside the mouth."""

    rest: F32  # [V, 3]
    mesh: Mesh


class Mouth(NamedTuple):
    """Painted back to front."""

    cavity: Patch  # fixed to the head
    tongue: Patch  # fixed to the jaw, lower teeth included
    teeth: Patch  # fixed to the head


def build_mouth(texture: F32, landmarks: F32) -> Mouth:
    """Paint the patches around the photograph's mouth."""
    corners = landmarks[[78, 308]]
    center = landmarks[[13, 14]].mean(0)
    half_width = float(abs(corners[1, 0] - corners[0, 0]) / 2)
    back = float(landmarks[[13, 14], 2].max())
    sheet = _sheet(center, half_width, depth=back)

    def patch(behind: float, painting: F32) -> Patch:
        rest = sheet + np.array([0, 0, behind], np.float32)
        return Patch(rest, Mesh(_sheet_triangles(), np.ascontiguousarray(sheet[:, :2]), painting))

    return Mouth(
        cavity=patch(45, _paint_cavity(center, half_width)),
        tongue=patch(14, _paint_tongue(center, half_width)),
        teeth=patch(9, _cut_teeth(texture, landmarks)),
    )


_N_COLUMNS, _N_ROWS = 9, 7


def _sheet(center: F32, half_width: float, *, depth: float) -> F32:
    """A sheet bent around the dental arch. -> [63, 3]"""
    x, y = np.meshgrid(np.linspace(-1.15, 1.15, _N_COLUMNS), np.linspace(-0.7, 1.0, _N_ROWS))
    z = depth + 0.35 * half_width * x**2
    columns = [center[0] + half_width * x, center[1] + half_width * y, z]
    return np.stack(columns, -1).reshape(-1, 3).astype(np.float32)


def _sheet_triangles() -> NDArray[np.int32]:
    index = np.arange(_N_COLUMNS * _N_ROWS).reshape(_N_ROWS, _N_COLUMNS)
    a, b, c, d = (
        part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:])
    )
    return np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)]).astype(np.int32)


def _grid(center: F32, half_width: float) -> tuple[F32, F32]:
    """Texture pixels in units of half the mouth's width from its centre."""
    y, x = np.mgrid[:TEXTURE_SIZE, :TEXTURE_SIZE].astype(np.float32)
    return (x + 0.5 - center[0]) / half_width, (y + 0.5 - center[1]) / half_width


def _paint_cavity(center: F32, half_width: float) -> F32:
    """Dark flesh, darker towards the throat."""
    x, y = _grid(center, half_width)
    light = np.clip(0.5 * (x**2 + (1.2 * y - 0.2) ** 2), 0, 1)[..., None]
    color = np.array([0.13, 0.045, 0.045]) + light * np.array([0.13, 0.06, 0.055])
    return np.concatenate([color, np.ones_like(light)], -1).astype(np.float32)


def _paint_tongue(center: F32, half_width: float) -> F32:
    """Tongue and the row of lower teeth before it, which the lower lip mostly hides."""
    x, y = _grid(center, half_width)
    bulge = np.clip(1 - (x / 0.72) ** 2 - ((y - 0.26) / 0.36) ** 2, 0, 1)
    alpha = np.clip(bulge * 6, 0, 1)
    shade = (0.45 + 0.5 * bulge - 0.15 * np.exp(-((x / 0.06) ** 2)))[..., None]
    tongue = shade * np.array([0.62, 0.31, 0.30])
    top = 0.13 + 0.10 * x**2
    tooth = np.clip((y - top) / 0.03, 0, 1) * np.clip((0.78 - np.abs(x)) / 0.1, 0, 1)
    gaps = 1 - 0.28 * np.exp(-((((x * 5.5) % 1 - 0.5) / 0.09) ** 2))
    dim = (0.64 - 0.3 * np.abs(x))[..., None] * gaps[..., None]
    teeth = dim * np.array([1.0, 0.94, 0.86])
    color = tongue * alpha[..., None] * (1 - tooth[..., None]) + teeth * tooth[..., None]
    total = 1 - (1 - alpha) * (1 - tooth)
    return np.concatenate([color, total[..., None]], -1).astype(np.float32)


def _cut_teeth(texture: F32, landmarks: F32) -> F32:
    """The photograph's upper teeth, continued upwards under the lip."""
    outline = landmarks[[*INNER_UPPER, *INNER_LOWER[-2:0:-1]], :2]
    visible = np.zeros(texture.shape[:2], np.uint8)
    cv2.fillPoly(visible, [np.round(outline).astype(np.int32)], 1)
    clear = cv2.erode(visible, np.ones((5, 5), np.uint8)).astype(bool)
    brightness = texture.min(-1)
    rows, columns = np.nonzero(clear & (brightness > 0.45))  # noqa: PLR2004 - enamel
    teeth = texture.copy()
    alpha = np.zeros(texture.shape[:2], np.float32)
    for column in range(int(columns.min()), int(columns.max()) + 1):
        own = rows[columns == column]
        if own.size == 0:
            continue
        first, last = int(own.min()), int(own.max()) - 3
        alpha[first : last + 1, column] = 1
        # Enamel goes on above what the lip leaves free; a lip that rises finds teeth there.
        reach = max(0, first - 30)
        teeth[reach:first, column] = teeth[first : first + 3, column].mean(0)
        alpha[reach:first, column] = 1
    alpha = cv2.GaussianBlur(alpha, (0, 0), 1.6)
    return np.concatenate([teeth * alpha[..., None], alpha[..., None]], -1).astype(np.float32)
