"""RGB frames to the Y'CbCr planes that encoders take, BT.709, limited range, 4:2:0.

Done here rather than by swscale: exactly rounded, and faster than its accurate path. Each chroma
sample is the mean of its 2x2 pixels; the streams are tagged so ("center").
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

U8 = NDArray[np.uint8]


class Planes:
    """Reused plane buffers of one frame size; sides are even, odd frames repeat their edge."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width + width % 2
        self.height = height + height % 2
        self.y: U8 = np.empty((self.height, self.width), np.uint8)
        self.u: U8 = np.empty((self.height // 2, self.width // 2), np.uint8)
        self.v: U8 = np.empty_like(self.u)
        self.alpha: U8 = np.full_like(self.y, 255)

    def fill(self, frame: U8) -> None:
        """Convert an RGB or RGBA frame. [H, W, 3 or 4]"""
        _fill_planes(frame, self.y, self.u, self.v)
        if frame.shape[2] == 4:  # noqa: PLR2004 - RGBA
            height, width = frame.shape[:2]
            self.alpha[:height, :width] = frame[..., 3]
            self.alpha[height:] = self.alpha[height - 1]
            self.alpha[:, width:] = self.alpha[:, width - 1 : width]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # Numba has no types
def _fill_planes(frame: U8, y: U8, u: U8, v: U8) -> None:
    # ITU-R BT.709: luma weights 0.2126, 0.7152, 0.0722; 219 and 224 steps (limited range).
    # Fixed point with 16 bits; the added half rounds to nearest.
    height, width = frame.shape[0], frame.shape[1]
    yr, yg, yb = np.int32(11966), np.int32(40254), np.int32(4064)
    ur, ug, ub = np.int32(-6596), np.int32(-22188), np.int32(28784)
    vr, vg, vb = np.int32(28784), np.int32(-26145), np.int32(-2639)
    half = np.int32(1 << 15)
    for row in range(y.shape[0] // 2):
        top = min(2 * row, height - 1)
        bottom = min(2 * row + 1, height - 1)
        for column in range(y.shape[1] // 2):
            left = 2 * column
            right = min(left + 1, width - 1)
            red = np.int32(0)
            green = np.int32(0)
            blue = np.int32(0)
            for dy in range(2):
                source = bottom if dy else top
                for dx in range(2):
                    at = right if dx else left
                    r = np.int32(frame[source, at, 0])
                    g = np.int32(frame[source, at, 1])
                    b = np.int32(frame[source, at, 2])
                    y[2 * row + dy, left + dx] = 16 + ((yr * r + yg * g + yb * b + half) >> 16)
                    red += r
                    green += g
                    blue += b
            u[row, column] = 128 + ((ur * red + ug * green + ub * blue + 4 * half) >> 18)
            v[row, column] = 128 + ((vr * red + vg * green + vb * blue + 4 * half) >> 18)
