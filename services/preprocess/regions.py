"""Face regions: a label per pixel from the projected mesh, the landmarks, the matte and colour.

The mesh says roughly what is where; lids, lips, brows and nose are drawn from the landmarks; at
the borders of hair, skin and clothes, which no mesh knows, colours learnt from training frames
decide.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from shared import landmarks as lm
from shared.contracts.tracked_dataset import REGIONS

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

LABEL = {name: label for label, name in enumerate(REGIONS)}

_PERSON_MATTE = 128
_BINS = 16  # per colour channel
_MATERIALS = ("hair", "skin", "clothes")
"""What colour tells apart."""
_HAIR, _SKIN, _CLOTHES = range(3)
_PLACE_OF = {"hair": "hair", "neck": "neck", "torso": "torso"}
_TEMPLES = (234, 454)
_EAR_DISTANCE = 0.8  # of half the face's width
_REDUCED_PX = 256
_LEAST_LOG_SHARE = -12.0
_OTHER_PLACE = 0.12  # odds of a material where the mesh shows another one
_BLUR = 1 / 64  # of the picture's side
_PERCENT_DARK, _PERCENT_BRIGHT = 10, 90
_MIN_TEETH_CONTRAST = 25.0  # levels between the dark and the bright inside of the mouth


class ProjectedMesh(NamedTuple):
    """The head model's mesh in one picture."""

    points: F32  # [V, 2] pixels
    depth: F32  # [V] metres from the camera
    faces: NDArray[np.int64]  # [F, 3]
    labels: U8  # [F] place in REGIONS


class RegionModel(NamedTuple):
    """Colours of one person, learnt from training frames."""

    log_colour: F32  # [materials, bins] log share of each colour among the material's pixels
    teeth_level: float
    """Whiteness above which the inside of the mouth is teeth; infinite without any."""


class RegionSample(NamedTuple):
    """What a frame offers to tell its regions."""

    frame: U8  # [S, S, 3] RGB
    matte: U8  # [S, S]
    landmarks: F32  # [478, 3] crop pixels
    mesh: ProjectedMesh


def learn_regions(samples: Sequence[RegionSample]) -> RegionModel:
    """Learn a person's colours from some training frames.

    Skin is what lies inside the face's outline, hair what the mesh shows as hair; clothes are
    what lies below the chin and is not coloured like skin, since no mesh knows a collar.
    """
    reduced = [_reduce(sample) for sample in samples]
    counts = np.ones((len(_MATERIALS), _BINS**3), dtype=np.float64)
    for sample in reduced:
        _count(counts[_SKIN], sample, _is_sure_skin(sample))
        _count(counts[_HAIR], sample, _is_sure_hair(sample))
    skin = _log_shares(counts[_SKIN])
    for sample in reduced:
        is_plain = skin[_colour_codes(sample.frame)] < np.log(1.0 / _BINS**3)
        _count(counts[_CLOTHES], sample, _is_below_chin(sample) & is_plain)
    whiteness = [_whiteness(sample.frame)[_filled(sample, lm.INNER_LIPS) > 0] for sample in samples]
    log_colour = np.stack([_log_shares(count) for count in counts])
    return RegionModel(log_colour, _teeth_level(np.concatenate(whiteness)))


def label_regions(sample: RegionSample, model: RegionModel) -> U8:
    """Label every pixel of a frame. [S, S]"""
    size = sample.frame.shape[0]
    reduced = _reduce(sample)
    outer = cv2.medianBlur(_outer_labels(reduced, model), 5)
    labels = cv2.resize(outer, (size, size), interpolation=cv2.INTER_NEAREST)
    labels[sample.matte < _PERSON_MATTE] = LABEL["background"]
    for name, outlines in _DRAWN:
        for outline in outlines:
            labels[_filled(sample, outline) > 0] = LABEL[name]
    mouth = _filled(sample, lm.INNER_LIPS) > 0
    is_teeth = _whiteness(sample.frame) > model.teeth_level
    labels[mouth] = np.where(is_teeth, LABEL["teeth"], LABEL["mouth_inside"])[mouth]
    return np.asarray(labels, dtype=np.uint8)


_DRAWN = (
    ("nose", (lm.NOSE,)),
    ("brows", (lm.RIGHT_BROW, lm.LEFT_BROW)),
    ("eyes", (lm.RIGHT_EYE, lm.LEFT_EYE)),
    ("lips", (lm.OUTER_LIPS,)),
)


def _reduce(sample: RegionSample) -> RegionSample:
    """The sample at no more than ``_REDUCED_PX``, enough for borders that no landmark draws."""
    size = sample.frame.shape[0]
    if size <= _REDUCED_PX:
        return sample
    wanted = (_REDUCED_PX, _REDUCED_PX)
    factor = _REDUCED_PX / size
    return RegionSample(
        frame=np.asarray(cv2.resize(sample.frame, wanted, interpolation=cv2.INTER_AREA)),
        matte=np.asarray(cv2.resize(sample.matte, wanted, interpolation=cv2.INTER_AREA)),
        landmarks=sample.landmarks * np.float32(factor),
        mesh=sample.mesh._replace(points=sample.mesh.points * np.float32(factor)),
    )


def _outer_labels(sample: RegionSample, model: RegionModel) -> U8:
    """Hair, face, ears, neck and torso of every pixel, person or not. [S, S]"""
    material = _materials(sample, model)
    labels = np.array([LABEL["hair"], LABEL["face"], LABEL["torso"]], dtype=np.uint8)[material]
    oval = _filled(sample, lm.FACE_OVAL) > 0
    is_outer_skin = (material == _SKIN) & ~oval
    labels[is_outer_skin] = _skin_parts(sample)[is_outer_skin]
    labels[oval & ((material != _HAIR) | _is_below_brows(sample))] = LABEL["face"]
    return labels


def _materials(sample: RegionSample, model: RegionModel) -> U8:
    """Hair, skin or clothes by place and colour, averaged over a few pixels. [S, S]"""
    size = sample.frame.shape[0]
    radius = max(round(size * _BLUR), 1)
    codes = _colour_codes(sample.frame)
    places = _places(sample)
    allowed = (
        places == LABEL["hair"],
        (places == LABEL["face"]) | (places == LABEL["neck"]),
        (places == LABEL["neck"]) | (places == LABEL["torso"]),
    )
    best = np.zeros((size, size), dtype=np.uint8)
    best_score = np.full((size, size), -np.inf, dtype=np.float32)
    for index, is_allowed in enumerate(allowed):
        # The mesh's border is uncertain by a few percent of the picture.
        place = cv2.blur(is_allowed.astype(np.float32), (4 * radius + 1, 4 * radius + 1))
        colour = np.maximum(model.log_colour[index], _LEAST_LOG_SHARE)[codes]
        colour = cv2.blur(colour, (2 * radius + 1, 2 * radius + 1))
        score = colour + np.log(_OTHER_PLACE + place)
        best[score > best_score] = index
        best_score = np.maximum(score, best_score)
    return best


def _places(sample: RegionSample) -> U8:
    """Rough label of each pixel: hair, face, neck or torso, the mesh's or its nearest. [S, S]"""
    simple = np.array([LABEL[_PLACE_OF.get(name, "face")] for name in REGIONS], dtype=np.uint8)
    simple[0] = 0
    drawn = simple[draw_mesh(sample.mesh, sample.frame.shape[0])]
    drawn[_filled(sample, lm.FACE_OVAL) > 0] = LABEL["face"]
    _, nearest = cv2.distanceTransformWithLabels(
        (drawn == 0).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_nearest = np.zeros(int(nearest.max()) + 1, dtype=np.uint8)
    of_nearest[nearest[drawn > 0]] = drawn[drawn > 0]
    return np.asarray(of_nearest[nearest])


def _is_sure_skin(sample: RegionSample) -> NDArray[np.bool_]:
    is_face = (_filled(sample, lm.FACE_OVAL) > 0) & _is_below_brows(sample)
    for outline in (lm.RIGHT_EYE, lm.LEFT_EYE, lm.OUTER_LIPS):
        is_face &= _filled(sample, outline) == 0
    return is_face


def _is_sure_hair(sample: RegionSample) -> NDArray[np.bool_]:
    axes = _face_axes(sample.landmarks)
    is_above = _heights(sample, axes.up) > axes.mouth_level
    is_hair = (_places(sample) == LABEL["hair"]) & (sample.matte >= _PERSON_MATTE)
    return np.asarray(is_hair & is_above)


def _is_below_chin(sample: RegionSample) -> NDArray[np.bool_]:
    axes = _face_axes(sample.landmarks)
    is_below = _heights(sample, axes.up) < axes.chin_level
    is_body = np.isin(_places(sample), (LABEL["neck"], LABEL["torso"]))
    return np.asarray(is_below & is_body & (sample.matte >= _PERSON_MATTE))


def _count(counts: F64, sample: RegionSample, where: NDArray[np.bool_]) -> None:
    """Add the colours of some pixels to ``counts`` in place."""
    counts += np.bincount(_colour_codes(sample.frame)[where], minlength=_BINS**3)


def _log_shares(counts: F64) -> F32:
    """Log share of each colour; neighbours share their counts, as samples miss shades."""
    cube = counts.reshape(_BINS, _BINS, _BINS)
    smooth = 2 * cube
    for axis in (0, 1, 2):
        smooth = smooth + np.roll(cube, 1, axis) + np.roll(cube, -1, axis)
    return np.asarray(np.log(smooth / smooth.sum()), dtype=np.float32).reshape(-1)


def draw_mesh(mesh: ProjectedMesh, size: int) -> U8:
    """Draw the triangles' labels from far to near. [S, S], 0 where there is no mesh"""
    drawn = np.zeros((size, size), dtype=np.uint8)
    corners = np.clip(mesh.points[mesh.faces], -4 * size, 5 * size)  # [F, 3, 2]
    order = np.argsort(-mesh.depth[mesh.faces].mean(axis=1), kind="stable")
    fixed = np.rint((corners - 0.5) * 16).astype(np.int32)  # four fractional bits
    for face in order:
        cv2.fillConvexPoly(drawn, fixed[face], int(mesh.labels[face]), shift=4)
    return drawn


def _skin_parts(sample: RegionSample) -> U8:
    """Which part skin outside the face's outline is: neck below, ears beside, else face."""
    axes = _face_axes(sample.landmarks)
    height = _heights(sample, axes.up)
    sideways = np.array([-axes.up[1], axes.up[0]], dtype=np.float32)
    middle = float(sample.landmarks[lm.NOSE_ROOT, :2] @ sideways)
    temples = sample.landmarks[list(_TEMPLES), :2] @ sideways
    half_width = float(np.abs(temples - middle).mean())
    distance = np.abs(_heights(sample, sideways) - middle)
    parts = np.full(height.shape, LABEL["face"], dtype=np.uint8)
    parts[height < axes.mouth_level] = LABEL["neck"]
    is_ear_height = (height >= axes.mouth_level) & (height < axes.brow_level)
    parts[is_ear_height & (distance > _EAR_DISTANCE * half_width)] = LABEL["ears"]
    return parts


def _is_below_brows(sample: RegionSample) -> NDArray[np.bool_]:
    """Where the face's outline holds no hair. [S, S]"""
    axes = _face_axes(sample.landmarks)
    return np.asarray(_heights(sample, axes.up) < axes.brow_level)


class _FaceAxes(NamedTuple):
    up: F32  # [2] unit vector in the picture
    brow_level: float
    mouth_level: float
    chin_level: float
    """Heights along ``up``, pixels."""


def _face_axes(landmarks: F32) -> _FaceAxes:
    axis = landmarks[lm.NOSE_ROOT, :2] - landmarks[lm.CHIN, :2]
    up = axis / max(float(np.linalg.norm(axis)), 1e-6)
    height = landmarks[:, :2] @ up
    return _FaceAxes(
        up=up,
        brow_level=float(height[list(lm.RIGHT_BROW + lm.LEFT_BROW)].max()),
        mouth_level=float(height[list(lm.MOUTH_CORNERS)].mean()),
        chin_level=float(height[lm.CHIN]),
    )


def _heights(sample: RegionSample, direction: F32) -> F32:
    """Coordinate of each pixel's centre along a direction. [S, S]"""
    along = np.arange(sample.frame.shape[0], dtype=np.float32) + 0.5
    return np.asarray(along[None, :] * direction[0] + along[:, None] * direction[1])


def _filled(sample: RegionSample, outline: tuple[int, ...]) -> U8:
    """Inside of a closed outline of landmarks. [S, S] 0 or 1"""
    mask = np.zeros(sample.frame.shape[:2], dtype=np.uint8)
    points = np.rint((sample.landmarks[list(outline), :2] - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(mask, [points], 1, shift=4)
    return mask


def _colour_codes(frame: U8) -> NDArray[np.int64]:
    """Bin of each pixel's colour. [S, S]"""
    binned = (cv2.cvtColor(frame, cv2.COLOR_RGB2LAB) // (256 // _BINS)).astype(np.int64)
    return np.asarray((binned[..., 0] * _BINS + binned[..., 1]) * _BINS + binned[..., 2])


def _whiteness(frame: U8) -> F32:
    """Lightness less redness; high on teeth, low on tongue, gums and shadow. [S, S]"""
    lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB).astype(np.float32)
    return np.asarray(lab[..., 0] - 2.0 * np.maximum(lab[..., 1] - 128.0, 0.0))


def _teeth_level(whiteness: NDArray[np.float32]) -> float:
    """Otsu's threshold over all training mouths; infinite when nothing in them stands out."""
    if not whiteness.size:
        return float("inf")
    dark, bright = np.percentile(whiteness, [_PERCENT_DARK, _PERCENT_BRIGHT])
    if bright - dark < _MIN_TEETH_CONTRAST:
        return float("inf")
    levels = np.clip(np.rint(whiteness), 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(levels[None], 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return float(threshold)
