"""The hair shell brought to the outline of the subject's hair, as the person mattes show it.

Around the head's centre, in head directions (so that a tilted head is looked at upright), each
ray leaves the matte at some radius; the shell is scaled by the median ratio of that radius to
its own. Long hair that runs into the shoulders, or a head cut off by the picture, says nothing.
"""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.spatial import cKDTree

from services.preprocess.head_fit import HeadFit
from services.preprocess.head_surface import FACE_REGIONS, vertices_of
from shared.geometry.cameras import project
from shared.head_model import HeadPose, landmarks_on, neutral_vertices, pose_vertices
from shared.landmarks import CHIN, FACE_OVAL, FOREHEAD_TOP

ReadMatte = Callable[[int], NDArray[np.uint8]]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_FRAMES = 24
N_RAYS = 48
WIDEST_RAY_RAD = 2.0
"""Angle from the crown beyond which rays meet shoulders rather than hair."""
RAY_WIDTH_RAD = 0.16
"""Half the width of a ray: the shell's own columns stand a quarter of a radian apart."""
RADII = np.linspace(0.3, 1.6, 131)
"""Where rays are looked at, as shares of the shell's own radius."""
PERSON = 127
RATIO_RANGE = (0.60, 1.40)
MIN_FRAMES = 4
"""Frames in which a ray must be of use before it says anything."""
FULL_AFTER_M = 0.03
"""Distance from the face's outline at which the shell takes over the whole ratio."""


def fit_shell(
    fit: HeadFit, read_matte: ReadMatte, n_train: int, is_valid: NDArray[np.bool_]
) -> HeadFit:
    """The fit with its hair shell scaled to the mattes of training frames.

    Args:
        fit: Fit to landmarks.
        read_matte: Person matte of a frame, 255 = person. [S, S] uint8
        n_train: Frames that may be learnt from.
        is_valid: Frames that are tracked. [T]
    """
    train = np.flatnonzero(is_valid[:n_train])
    chosen = train[:: max(1, -(-len(train) // MAX_FRAMES))]
    rest = neutral_vertices(fit.head_model, fit.shape)
    shell = _shell_vertices(fit)
    angles = np.linspace(-WIDEST_RAY_RAD, WIDEST_RAY_RAD, N_RAYS)
    ratios = np.stack(
        [_exit_ratios(fit, int(frame), rest, read_matte(int(frame)), angles) for frame in chosen]
    )  # [n, rays]
    is_known = (~np.isnan(ratios)).sum(0) >= min(MIN_FRAMES, len(chosen))
    if not is_known.any():
        return fit
    ratio = np.nanmedian(ratios[:, is_known], axis=0)
    return _scaled(fit, rest.double().numpy(), shell, np.stack([angles[is_known], ratio]))


def _shell_vertices(fit: HeadFit) -> Ints:
    """Vertices of the shell that are not the face's; ears go with the hair that may cover them."""
    model = fit.head_model
    return np.setdiff1d(vertices_of(model, ("hair", "ears")), vertices_of(model, FACE_REGIONS))


def _exit_ratios(
    fit: HeadFit, frame: int, rest: torch.Tensor, matte: NDArray[np.uint8], angles: Floats
) -> Floats:
    """Radius at which each ray leaves the matte over the head's own radius, NaN unknown. [R]"""
    pose = HeadPose(*[getattr(fit, name)[[frame]] for name in HeadPose._fields])
    posed = pose_vertices(fit.head_model, rest, pose)[0]
    shell = _shell_vertices(fit)
    members = np.concatenate([vertices_of(fit.head_model, FACE_REGIONS), shell])
    pixels = project(posed[members], fit.viewmat, fit.Ks[frame]).double().numpy()
    centre = pixels[-len(shell) :].mean(0)
    roll = _roll(landmarks_on(fit.head_model, posed).double().numpy())
    offset = pixels - centre
    radius = np.linalg.norm(offset, axis=1)
    angle = (np.arctan2(offset[:, 0], -offset[:, 1]) - roll + np.pi) % (2 * np.pi) - np.pi
    own = _envelope(angle, radius, angles)
    reach = own[:, None] * RADII  # [R, n]
    x = centre[0] + reach * np.sin(angles + roll)[:, None]
    y = centre[1] - reach * np.cos(angles + roll)[:, None]
    seen = cv2.remap(
        matte, (x - 0.5).astype(np.float32), (y - 0.5).astype(np.float32), cv2.INTER_LINEAR
    )
    size = matte.shape[0]
    is_inside = (x > 1) & (y > 1) & (x < size - 1) & (y < size - 1)
    is_out = (seen <= PERSON) | ~is_inside
    first = is_out.argmax(1)
    rows = np.arange(len(angles))
    is_known = is_out.any(1) & is_inside[rows, first] & (first > 0)
    return np.where(is_known, RADII[first], np.nan)


def _roll(marks: Floats) -> float:
    """Tilt of the head in the picture, from chin to forehead, clockwise."""
    up = marks[FOREHEAD_TOP] - marks[CHIN]
    return float(np.arctan2(up[0], up[1]))


def _envelope(angle: Floats, radius: Floats, angles: Floats) -> Floats:
    """Outermost radius of points near each ray. [R]"""
    apart = np.abs((angle[None] - angles[:, None] + np.pi) % (2 * np.pi) - np.pi)
    near = np.where(apart < RAY_WIDTH_RAD, radius[None], 0.0)
    outermost: Floats = near.max(1)
    return np.maximum(outermost, 1.0)


def _scaled(fit: HeadFit, rest: Floats, shell: Ints, known: Floats) -> HeadFit:
    """The shell scaled about its axis; the change becomes a shape coefficient of one."""
    centre = rest[shell].mean(0)
    offset = rest[shell] - centre
    angle = np.arctan2(offset[:, 0], offset[:, 1])
    # Single strands go by the median; rays that know nothing take their neighbours' ratio.
    ratio = np.interp(
        np.linspace(-np.pi, np.pi, 73), known[0], median_filter(known[1], 7, mode="nearest")
    )
    for _ in range(3):
        ratio = np.convolve(np.pad(ratio, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
    ratio = np.clip(np.interp(angle, np.linspace(-np.pi, np.pi, 73), ratio), *RATIO_RANGE)
    marks = landmarks_on(fit.head_model, torch.from_numpy(rest)).numpy()
    away, _ = cKDTree(marks[list(FACE_OVAL)]).query(rest[shell])
    share = np.clip(away / FULL_AFTER_M, 0, 1)
    moved = np.zeros_like(rest)
    moved[shell] = offset * ((ratio - 1) * share)[:, None]
    # The back of the head follows the mean: no camera sees its depth.
    moved[shell, 2] = offset[:, 2] * (ratio.mean() - 1) * share * (offset[:, 2] < 0)
    model = fit.head_model
    mode = torch.from_numpy(moved).float()[None]
    model = model._replace(shape_basis=torch.cat([model.shape_basis, mode]))
    return fit._replace(head_model=model, shape=torch.cat([fit.shape, torch.ones(1)]))
