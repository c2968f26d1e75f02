"""Inner loops of the photometric refinement: look points up in a picture, align a frame.

Compiled by Numba on first use and cached. Sums run in a fixed order in float64.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

FACING_FROM, FACING_SPAN = 0.1, 0.3
"""A point counts from this cosine between normal and view, fully after the span."""
MIN_GAIN, MAX_GAIN = 0.5, 2.0
CAUCHY_SCALE = 4.0
"""Squared deviations, in units of a point's own variance, that halve a point's weight."""
CONVERGED = 2e-5
"""Step below which a pose is left alone: rad and metres, both a hundredth of a pixel."""

SMALL_TURN = 1e-4
"""Below this angle, in rad, sine and cosine are taken from their series."""

N_POSE = 6
N_COLUMNS = 8


@njit(cache=True, nogil=True)
def look_up(  # noqa: PLR0917 - Numba takes arrays, not records
    picture: F32, points: F32, normals: F32, turn: F64, shift: F64, camera: F64, out: F64
) -> None:
    """Place points by a head pose and read the picture there.

    Args:
        picture: Grey and its derivatives along x and y. [h, w, 3]
        points: Head points about the root joint. [P, 3] m
        normals: Head normals. [P, 3]
        turn: Head rotation. [3, 3]
        shift: Root joint plus translation. [3] m
        camera: Focal length and centre in pixels, distance in metres. [3]
        out: Filled with world point (3), grey, change of grey per metre along the world's
            axes (3), weight. [P, 8]
    """
    height, width = picture.shape[0], picture.shape[1]
    focal, centre, distance = camera[0], camera[1], camera[2]
    for p in range(points.shape[0]):
        x = turn[0, 0] * points[p, 0] + turn[0, 1] * points[p, 1] + turn[0, 2] * points[p, 2]
        y = turn[1, 0] * points[p, 0] + turn[1, 1] * points[p, 1] + turn[1, 2] * points[p, 2]
        z = turn[2, 0] * points[p, 0] + turn[2, 1] * points[p, 1] + turn[2, 2] * points[p, 2]
        x += shift[0]
        y += shift[1]
        z += shift[2]
        out[p, 0], out[p, 1], out[p, 2] = x, y, z
        depth = distance - z
        inverse = 1.0 / depth
        u = focal * x * inverse + centre - 0.5
        v = -focal * y * inverse + centre - 0.5
        column, row = math.floor(u), math.floor(v)
        for k in range(3, N_COLUMNS):
            out[p, k] = 0.0
        if column < 1 or row < 1 or column >= width - 2 or row >= height - 2:
            continue
        a, b = u - column, v - row
        i, j = int(row), int(column)
        grey = 0.0
        along_x = 0.0
        along_y = 0.0
        for di in range(2):
            for dj in range(2):
                share = (b if di else 1.0 - b) * (a if dj else 1.0 - a)
                grey += share * picture[i + di, j + dj, 0]
                along_x += share * picture[i + di, j + dj, 1]
                along_y += share * picture[i + di, j + dj, 2]
        along_x *= focal * inverse
        along_y *= focal * inverse
        nx = turn[0, 0] * normals[p, 0] + turn[0, 1] * normals[p, 1] + turn[0, 2] * normals[p, 2]
        ny = turn[1, 0] * normals[p, 0] + turn[1, 1] * normals[p, 1] + turn[1, 2] * normals[p, 2]
        nz = turn[2, 0] * normals[p, 0] + turn[2, 1] * normals[p, 1] + turn[2, 2] * normals[p, 2]
        facing = (depth * nz - x * nx - y * ny) / math.sqrt(x * x + y * y + depth * depth)
        out[p, 3] = grey
        out[p, 4] = along_x
        out[p, 5] = -along_y
        out[p, 6] = (along_x * x - along_y * y) * inverse
        out[p, 7] = min(1.0, max(0.0, (facing - FACING_FROM) / FACING_SPAN))


@njit(cache=True, nogil=True)
def brightness(texture: F64, seen: F64, trust: F64) -> tuple[float, float]:
    """Gain and offset that bring the texture nearest to what ``look_up`` read."""
    total = 1e-12
    mean_texture = 0.0
    mean_grey = 0.0
    for p in range(texture.shape[0]):
        weight = seen[p, 7] * trust[p]
        total += weight
        mean_texture += weight * texture[p]
        mean_grey += weight * seen[p, 3]
    mean_texture /= total
    mean_grey /= total
    spread = 1e-12
    shared = 0.0
    for p in range(texture.shape[0]):
        weight = seen[p, 7] * trust[p]
        spread += weight * (texture[p] - mean_texture) ** 2
        shared += weight * (texture[p] - mean_texture) * (seen[p, 3] - mean_grey)
    gain = min(MAX_GAIN, max(MIN_GAIN, shared / spread))
    return gain, mean_grey - gain * mean_texture


@njit(cache=True, nogil=True)
def pose_columns(seen: F64, p: int, centre: F64, columns: F64) -> None:
    """Change of point ``p``'s grey with the turn about ``centre`` and the shift. [6]"""
    x, y, z = seen[p, 0] - centre[0], seen[p, 1] - centre[1], seen[p, 2] - centre[2]
    gx, gy, gz = seen[p, 4], seen[p, 5], seen[p, 6]
    columns[0] = y * gz - z * gy
    columns[1] = z * gx - x * gz
    columns[2] = x * gy - y * gx
    columns[3], columns[4], columns[5] = gx, gy, gz


@njit(cache=True, nogil=True)
def points_mean(seen: F64, out: F64) -> None:
    """Mean of the points' places in the world. [3]"""
    for axis in range(3):
        total = 0.0
        for p in range(seen.shape[0]):
            total += seen[p, axis]
        out[axis] = total / seen.shape[0]


@njit(cache=True, nogil=True)
def pose_normals(  # noqa: PLR0917 - as above
    seen: F64, texture: F64, trust: F64, normal: F64, right: F64, centre: F64
) -> None:
    """Normal equations of pose, gain and offset for one frame.

    Args:
        seen: What ``look_up`` filled. [P, 8]
        texture: Grey of each point. [P]
        trust: Inverse variance of each point. [P]
        normal: Filled. [8, 8]
        right: Filled. [8]
        centre: Filled with the points' mean, which the turn is about. [3]
    """
    gain, offset = brightness(texture, seen, trust)
    points_mean(seen, centre)
    for i in range(N_COLUMNS):
        right[i] = 0.0
        for j in range(N_COLUMNS):
            normal[i, j] = 0.0
    columns = np.zeros(N_COLUMNS)
    for p in range(seen.shape[0]):
        weight = seen[p, 7] * trust[p]
        if weight == 0.0:
            continue
        residual = gain * texture[p] + offset - seen[p, 3]
        # A hand, a shadow or a strand of hair must not pull the head.
        weight /= 1.0 + weight * residual * residual / CAUCHY_SCALE
        pose_columns(seen, p, centre, columns)
        columns[6] = -texture[p]
        columns[7] = -1.0
        for i in range(N_COLUMNS):
            right[i] += columns[i] * weight * residual
            for j in range(i, N_COLUMNS):
                normal[i, j] += columns[i] * weight * columns[j]
    for i in range(N_COLUMNS):
        for j in range(i):
            normal[i, j] = normal[j, i]


@njit(cache=True, nogil=True)
def small_turn(x: float, y: float, z: float, out: F64) -> None:
    """Rodrigues' formula into ``out``. [3, 3]"""
    squared = x * x + y * y + z * z
    angle = math.sqrt(squared)
    sine = 1.0 - squared / 6.0
    cosine = 0.5 - squared / 24.0
    if angle > SMALL_TURN:
        sine = math.sin(angle) / angle
        cosine = (1.0 - math.cos(angle)) / squared
    out[0, 0] = 1.0 - cosine * (y * y + z * z)
    out[1, 1] = 1.0 - cosine * (x * x + z * z)
    out[2, 2] = 1.0 - cosine * (x * x + y * y)
    out[0, 1], out[1, 0] = cosine * x * y - sine * z, cosine * x * y + sine * z
    out[0, 2], out[2, 0] = cosine * x * z + sine * y, cosine * x * z - sine * y
    out[1, 2], out[2, 1] = cosine * y * z - sine * x, cosine * y * z + sine * x


@njit(cache=True, nogil=True)
def turn_by(rotation: F64, turn: F64, shift: F64, centre: F64) -> None:
    """Turn a pose, in place, about a point of the world."""
    column = np.empty(3)
    for j in range(3):
        for i in range(3):
            column[i] = turn[i, j]
        for i in range(3):
            turn[i, j] = (
                rotation[i, 0] * column[0] + rotation[i, 1] * column[1] + rotation[i, 2] * column[2]
            )
    for i in range(3):
        column[i] = shift[i] - centre[i]
    for i in range(3):
        shift[i] = centre[i] + (
            rotation[i, 0] * column[0] + rotation[i, 1] * column[1] + rotation[i, 2] * column[2]
        )


@njit(cache=True, nogil=True)
def eliminate(matrix: F64, right: F64, first: int) -> None:
    """Gaussian elimination, in place, of the unknowns from ``first`` on, last one first.

    ``matrix`` is symmetric and positive definite. Afterwards the equations above ``first`` hold
    for the remaining unknowns alone; with ``first`` 0, ``right`` becomes the solution.
    """
    size = matrix.shape[0]
    for pivot in range(size - 1, first - 1, -1):
        inverse = 1.0 / matrix[pivot, pivot]
        for row in range(pivot):
            factor = matrix[row, pivot] * inverse
            right[row] -= factor * right[pivot]
            for column in range(pivot):
                matrix[row, column] -= factor * matrix[pivot, column]
    if first == 0:
        for row in range(size):
            value = right[row]
            for column in range(row):
                value -= matrix[row, column] * right[column]
            right[row] = value / matrix[row, row]


@njit(cache=True, nogil=True)
def align_frame(  # noqa: PLR0913, PLR0917 - as above
    picture: F32,
    points: F32,
    normals: F32,
    turn: F64,
    shift: F64,
    camera: F64,
    texture: F64,
    trust: F64,
    strength: F64,
    n_steps: int,
) -> Any:  # noqa: ANN401 - numba is untyped; turn [3, 3], shift [3], information
    """Head pose that brings the points onto the texture, from a first guess.

    ``strength`` is the prior's inverse variance on how far each pose number moves. [6]
    Besides the pose, returns how well the picture determines a turn about the points' mean and
    a shift: the normal matrix with brightness eliminated. [6, 6]
    """
    seen = np.empty((points.shape[0], N_COLUMNS))
    normal = np.empty((N_COLUMNS, N_COLUMNS))
    step = np.empty(N_COLUMNS)
    centre = np.empty(3)
    moved = np.zeros(N_POSE)
    information = np.zeros((N_POSE, N_POSE))
    rotation = np.empty((3, 3))
    turn, shift = turn.copy(), shift.copy()
    for _ in range(n_steps):
        look_up(picture, points, normals, turn, shift, camera, seen)
        pose_normals(seen, texture, trust, normal, step, centre)
        for i in range(N_COLUMNS):
            normal[i, i] += 1e-9
        eliminate(normal, step, N_POSE)
        for i in range(N_POSE):
            for j in range(N_POSE):
                information[i, j] = normal[i, j]
            normal[i, i] += strength[i]
            step[i] -= strength[i] * moved[i]
        eliminate(normal[:N_POSE, :N_POSE], step[:N_POSE], 0)
        small_turn(step[0], step[1], step[2], rotation)
        largest = 0.0
        for i in range(N_POSE):
            moved[i] += step[i]
            largest = max(largest, abs(step[i]))
        turn_by(rotation, turn, shift, centre)
        for i in range(3):
            shift[i] += step[3 + i]
        if largest < CONVERGED:
            break
    return turn, shift, information
