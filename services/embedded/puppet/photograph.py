"""The photograph behind the demo: Eileen Collins, NASA, public domain, carried by scikit-image.

It is cut into three layers, so that the head can move over the torso and both over the background.
All outlines and landmarks are in texture pixels: 768 x 768, three per pixel of the photograph.
"""

from typing import NamedTuple

import cv2
import numpy as np
import scipy.ndimage
import skimage.data
from numpy.typing import NDArray

from shared.plugins import load_plugin
from shared.tracker import Tracker

F32 = NDArray[np.float32]

TEXTURE_SIZE = 768
_N_LANDMARKS = 468
_CROP_LEFT, _CROP_TOP, _CROP_SIDE = 98, 2, 256

# Traced by hand on the texture; the colours then decide within a band around each line.
_TORSO_OUTLINE = (
    *((-20, 645), (12, 632), (36, 617), (48, 602), (45, 572), (44, 556), (60, 534), (80, 518)),
    *((87, 492), (106, 472), (140, 453), (183, 441), (225, 437), (262, 440), (340, 448)),
    *((410, 470), (473, 516), (506, 532), (541, 559), (573, 594), (598, 633), (612, 668)),
    *((618, 695), (654, 710), (686, 731), (712, 757), (730, 790), (-20, 790)),
)
_HEAD_OUTLINE = (
    *((166, 204), (169, 183), (184, 155), (211, 130), (246, 112), (270, 98), (281, 80)),
    *((316, 60), (366, 46), (415, 41), (457, 50), (506, 67), (548, 88), (573, 112), (591, 148)),
    *((601, 190), (610, 232), (608, 260), (598, 302), (584, 334), (556, 362), (541, 387)),
    *((524, 404), (508, 402), (503, 424), (492, 462), (480, 488), (460, 506), (430, 521)),
    *((384, 528), (345, 527), (310, 516), (282, 497), (265, 474), (256, 434), (252, 390)),
    *((242, 388), (228, 372), (216, 346), (200, 336), (178, 308), (170, 262), (168, 232)),
)
# Above the line between these two points the head stands before the background; below it before
# the neck and the collar, where its colours do not tell it apart.
_SILHOUETTE_ENDS = ((256, 430), (486, 495))


class Photograph(NamedTuple):
    """The layers, RGB and alpha in [0, 1], S = TEXTURE_SIZE."""

    plate: F32  # [S, S, 3] what is behind the person
    torso: F32  # [S, S, 4] premultiplied
    head: F32  # [S, S, 4] premultiplied
    texture: F32  # [S, S, 3] the photograph itself
    landmarks: F32  # [468, 3] MediaPipe face mesh, x, y and depth (away from the camera)


def load_photograph() -> Photograph:
    """Cut the photograph into layers and find its face mesh."""
    left, top, side = _CROP_LEFT, _CROP_TOP, _CROP_SIDE
    crop = skimage.data.astronaut()[top : top + side, left : left + side]
    texture = cv2.resize(crop, (TEXTURE_SIZE, TEXTURE_SIZE), interpolation=cv2.INTER_LANCZOS4)
    landmarks = _find_landmarks(texture)
    image = texture.astype(np.float32) / 255
    torso_distance = _signed_distance(_TORSO_OUTLINE)  # [S, S] > 0 inside
    head_distance = _signed_distance(_HEAD_OUTLINE)
    person_distance = np.maximum(torso_distance, head_distance)

    plate = _fill(image, person_distance < -12)  # noqa: PLR2004 - pixels clear of stray hair
    plate += _grain(plate.shape) * 0.006
    torso_alpha = _alpha(image, plate, torso_distance, band=4)
    is_torso = (torso_distance > 3) & (head_distance < -4)  # noqa: PLR2004 - pixels
    torso = _fill(image, is_torso)
    head_alpha = _alpha(image, plate, head_distance, band=9)
    before_torso = np.clip(0.5 + head_distance / 3, 0, 1)
    rows, columns = np.mgrid[:TEXTURE_SIZE, :TEXTURE_SIZE].astype(np.float32)
    (x0, y0), (x1, y1) = _SILHOUETTE_ENDS
    line = y0 + (columns - x0) * (y1 - y0) / (x1 - x0)
    lower = np.clip((rows - line) / 12 + 0.5, 0, 1)  # 0 above, 1 below
    head_alpha = head_alpha * (1 - lower) + before_torso * lower
    head = _fill(image, head_distance > 5)  # noqa: PLR2004 - pixels
    return Photograph(
        plate=plate.clip(0, 1),
        torso=_premultiplied(torso, torso_alpha),
        head=_premultiplied(head, head_alpha),
        texture=image,
        landmarks=landmarks,
    )


def _find_landmarks(texture: NDArray[np.uint8]) -> F32:
    """MediaPipe face mesh of a picture, without irises. -> [468, 3] px"""
    tracker: Tracker = load_plugin("shared.trackers", "mediapipe_mesh")
    found = next(tracker.track_landmarks([texture]))
    assert found is not None, "the photograph shows a face"
    depth = 0.8  # the mesh is deeper than it looks once its sides are seen
    return found[:_N_LANDMARKS] * np.array([1, 1, depth], np.float32)


def _signed_distance(outline: tuple[tuple[int, int], ...]) -> F32:
    """Distance to a polygon, positive inside. -> [S, S] px"""
    inside = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE), np.uint8)
    smooth = _smooth_polygon(np.array(outline, np.float32))
    cv2.fillPoly(inside, [np.round(smooth).astype(np.int32)], 1)
    distance = scipy.ndimage.distance_transform_edt(inside)
    distance -= scipy.ndimage.distance_transform_edt(1 - inside)
    return np.asarray(scipy.ndimage.gaussian_filter(distance, 1.5), dtype=np.float32)


def _smooth_polygon(points: F32) -> F32:
    """Closed Catmull-Rom curve through the points, eight pieces per side."""
    before, after, then = (np.roll(points, k, axis=0) for k in (1, -1, -2))
    t = np.linspace(0, 1, 8, endpoint=False, dtype=np.float32)[:, None, None]
    curve = points + t / 2 * (
        (after - before)
        + t * (2 * before - 5 * points + 4 * after - then)
        + t * t * (3 * (points - after) + then - before)
    )
    return np.asarray(curve.transpose(1, 0, 2).reshape(-1, 2), dtype=np.float32)


def _fill(image: F32, known: NDArray[np.bool_]) -> F32:
    """Continue the known pixels smoothly over the unknown ones, coarse to fine."""
    weight = known.astype(np.float32)[..., None]
    levels = [(image * weight, weight)]
    while levels[-1][1].shape[0] > 3:  # noqa: PLR2004 - coarsest level
        values, weights = levels[-1]
        halves = [cv2.pyrDown(array) for array in (values, weights)]
        half_weight = halves[1].reshape(*halves[1].shape[:2], 1)
        trust = np.clip(4 * half_weight, 0, 1)  # one known pixel of four is enough
        levels.append((halves[0] * trust / np.maximum(half_weight, 1e-6), trust))
    values, weights = levels[-1]
    filled = values / np.maximum(weights, 1e-6)
    for values, weights in reversed(levels[:-1]):
        height, width = values.shape[:2]
        coarse = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)
        sure = np.clip(weights, 0, 1)
        filled = values / np.maximum(weights, 1e-6) * sure + coarse * (1 - sure)
    return np.asarray(filled, dtype=np.float32)


def _alpha(image: F32, plate: F32, distance: F32, *, band: float) -> F32:
    """Matte: sure away from the line, by colour within ``band`` pixels of it. -> [S, S]"""
    inner = _fill(image, distance > band)
    difference = inner - plate
    share = ((image - plate) * difference).sum(-1) / np.maximum(
        (difference * difference).sum(-1), 1e-3
    )
    share = np.clip((share - 0.1) / 0.75, 0, 1)
    soft = np.clip(0.5 + distance / (2 * band), 0, 1)
    is_sure = np.abs(distance) > band
    return np.asarray(
        np.where(is_sure, distance > 0, share * np.clip(2 * soft, 0, 1)), dtype=np.float32
    )


def _grain(shape: tuple[int, ...]) -> F32:
    """Film grain, the same on every run."""
    noise = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    return np.asarray(scipy.ndimage.gaussian_filter(noise, (1.5, 1.5, 0)) * 5, dtype=np.float32)


def _premultiplied(colors: F32, alpha: F32) -> F32:
    return np.concatenate([colors * alpha[..., None], alpha[..., None]], axis=-1).astype(np.float32)
