"""The head's mean texture, and frames aligned with it."""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from services.preprocess.head_fit import HeadFit
from services.preprocess.head_surface import SurfacePoints, local_points, surface_points
from services.preprocess.photometric_kernels import align_frame, brightness, look_up
from shared.head_model import HeadPose, neutral_vertices

Floats = NDArray[np.float64]
Greys = NDArray[np.uint8]
Ints = NDArray[np.int64]

WORK_SIZES = (256, 384, 512)
"""Sides of the pictures that poses are refined on; sub-pixel steps make the smallest enough
where the head fills the picture."""
MIN_EYES_PX = 40.0
"""Distance of the eyes that a working picture should have, if the frames have it."""
POINT_SPACING_PX = 2.3
N_STEPS = 6
BLUR_PX = 0.8
NOISE_GREY = 3.0
"""Noise of grey values, 0 to 255."""
OUTLIER_GREY = 15.0
MIN_SEEN = 0.3
"""Share of the frames that must show a point before it is trusted."""
POSE_SIGMA = (0.03, 0.03, 0.03, 0.004, 0.004, 0.02)
"""How far the landmarks' pose may be off: turn in rad, shift in m, depth last."""
N_ALIKE = 1e4
"""Neighbouring points share their errors: so many count as one measurement."""


class Texture(NamedTuple):
    """What the head looks like on average, and how constant each point is."""

    grey: Floats  # [P] 0..255
    trust: Floats  # [P] inverse variance


class Head(NamedTuple):
    """What stays the same while poses are refined."""

    points: SurfacePoints
    size: int  # side of the working picture, px
    focal: float  # px of the working picture
    distance: float  # m
    strength: Floats  # [6] prior of a pose


class Frames(NamedTuple):
    """Frames at work: pictures, points without head pose, current poses."""

    greys: Greys  # [n, size, size]
    local: NDArray[np.float32]  # [n, P, 3]
    turn: Floats  # [n, 3, 3]
    shift: Floats  # [n, 3] of the root joint
    information: Floats  # [n, 6, 6] of a turn about the points' mean and a shift


def head_of(fit: HeadFit) -> Head:
    """Points and camera of a fitted head."""
    frame_size = 2 * float(fit.Ks[0, 0, 2])
    distance = float(fit.viewmat[2, 3])
    joints = fit.head_model.joints
    eyes_share = float((joints[3] - joints[4]).norm() * fit.Ks[0, 0, 0]) / distance / frame_size
    useful = [side for side in WORK_SIZES if side <= max(frame_size, WORK_SIZES[0])]
    size = next((side for side in useful if side * eyes_share >= MIN_EYES_PX), useful[-1])
    focal = float(fit.Ks[0, 0, 0]) * size / frame_size
    points = surface_points(fit.head_model, rest_of(fit), focal / distance, POINT_SPACING_PX)
    strength = len(points.corners) / N_ALIKE / np.square(POSE_SIGMA)
    return Head(points, size, focal, distance, strength)


def align_frames(head: Head, frames: Frames, texture: Texture, scale: int) -> Frames:
    """Each frame's pose moved until its pixels agree with the texture."""
    turn, shift = np.empty_like(frames.turn), np.empty_like(frames.shift)
    information = np.empty_like(frames.information)
    for index, grey in enumerate(frames.greys):
        turn[index], shift[index], information[index] = align_frame(
            _picture(grey, scale),
            frames.local[index],
            head.points.normals,
            frames.turn[index],
            frames.shift[index],
            _camera(head, scale),
            texture.grey,
            texture.trust,
            head.strength,
            N_STEPS,
        )
    return frames._replace(turn=turn, shift=shift, information=information)


def build_texture(head: Head, frames: Frames, scale: int) -> Texture:
    """Robust mean of what each point showed, brightness evened out between frames."""
    shape = (len(frames.greys), len(head.points.corners))
    grey, weight = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for index in range(len(grey)):
        seen = seen_in(head, frames, index, scale)
        grey[index], weight[index] = seen[:, 3], seen[:, 7]
    middle = np.median(grey, axis=0).astype(np.float64)
    seen = np.zeros((shape[1], 8))
    for index in range(len(grey)):
        seen[:, 3], seen[:, 7] = grey[index], weight[index]
        gain, offset = brightness(middle, seen, np.ones(shape[1]))
        grey[index] = (seen[:, 3] - offset) / gain
    total = weight.sum(0)
    mean = (weight * grey).sum(0) / np.maximum(total, 1e-9)
    for _ in range(3):
        steady = weight / (1 + np.square((grey - mean) / OUTLIER_GREY))
        sum_steady = np.maximum(steady.sum(0), 1e-9)
        mean = (steady * grey).sum(0) / sum_steady
    variance = (steady * np.square(grey - mean)).sum(0) / sum_steady
    trust = np.where(total > MIN_SEEN * len(grey), 1 / (variance + NOISE_GREY**2), 0)
    return Texture(mean.astype(np.float64), trust.astype(np.float64))


def texture_residual(head: Head, frames: Frames, texture: Texture) -> Floats:
    """Root mean square difference of each frame from the texture, grey values. [n]"""
    found = []
    for index in range(len(frames.greys)):
        seen = seen_in(head, frames, index, 1)
        gain, offset = brightness(texture.grey, seen, texture.trust)
        weight = seen[:, 7] * (texture.trust > 0)
        error = np.square(gain * texture.grey + offset - seen[:, 3])
        found.append(np.sqrt((weight * error).sum() / weight.sum()))
    return np.array(found)


def rest_of(fit: HeadFit) -> Floats:
    """The subject at rest. [V, 3]"""
    vertices: Floats = neutral_vertices(fit.head_model, fit.shape).double().numpy()
    return vertices


def local_of(fit: HeadFit, head: Head, frames: Ints) -> NDArray[np.float32]:
    """Points of some frames, about the root joint and without head pose. [n, P, 3]"""
    pose = HeadPose(*[getattr(fit, name)[torch.from_numpy(frames)] for name in HeadPose._fields])
    return local_points(fit.head_model, fit.shape, pose, head.points)


def _camera(head: Head, scale: int) -> Floats:
    return np.array([head.focal / scale, head.size / scale / 2, head.distance])


def seen_in(head: Head, frames: Frames, index: int, scale: int) -> Floats:
    """What ``look_up`` reads in one frame. [P, 8]"""
    out = np.empty((len(head.points.corners), 8))
    look_up(
        _picture(frames.greys[index], scale),
        frames.local[index],
        head.points.normals,
        frames.turn[index],
        frames.shift[index],
        _camera(head, scale),
        out,
    )
    return out


def grey_of(frame: NDArray[np.uint8], size: int) -> Greys:
    """RGB frame as a working picture. [S, S, 3] -> [size, size]"""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    if grey.shape[0] != size:
        shrinks = grey.shape[0] > size
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        grey = cv2.resize(grey, (size, size), interpolation=how)
    result: Greys = grey
    return result


def _picture(grey: Greys, scale: int) -> NDArray[np.float32]:
    """Smoothed grey and its derivatives at a scale. [h, w, 3]"""
    smooth = grey.astype(np.float32)
    if scale > 1:
        side = grey.shape[0] // scale
        smooth = cv2.resize(smooth, (side, side), interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(smooth, (0, 0), BLUR_PX)
    along_x = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 32)
    along_y = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 32)
    return np.dstack([smooth, along_x, along_y])
