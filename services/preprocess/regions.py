"""Face regions: a label per pixel from the projected mesh, the landmarks, the matte and colour.

The mesh says roughly what is where; lids, lips, brows and nose are drawn from the landmarks; at
the borders of hair, skin and clothes, which no mesh knows, colours learnt from training frames
decide.
"""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from shared import landmarks as lm
from shared.contracts.tracked_dataset import REGIONS

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

LABEL = {name: label for label, name in enumerate(REGIONS)}

_PERSON_MATTE = 128
_BINS = 16  # per colour channel
_MATERIALS = ("hair", "face", "torso")
"""What colour tells apart; "face" stands for all skin."""
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


def learn_regions(samples: Iterable[RegionSample]) -> RegionModel:
    """Learn a person's colours from some training frames."""
    counts = np.ones((len(_MATERIALS), _BINS**3), dtype=np.float64)
    whiteness: list[NDArray[np.float32]] = []
    for sample in samples:
        places = _places(sample)
        codes = _colour_codes(sample.frame)
        for index, material in enumerate(_MATERIALS):
            is_material = places == LABEL[material]
            counts[index] += np.bincount(codes[is_material], minlength=_BINS**3)
        inside = _filled(sample.frame.shape[0], sample.landmarks, lm.INNER_LIPS)
        whiteness.append(_whiteness(sample.frame)[inside > 0])
    # Neighbouring colours share their counts: skin has more shades than the samples show.
    cube = counts.reshape(-1, _BINS, _BINS, _BINS)
    smooth = sum(np.roll(cube, shift, axis) for axis in (1, 2, 3) for shift in (-1, 0, 1))
    shares = np.asarray(smooth).reshape(len(_MATERIALS), -1)
    shares = shares / shares.sum(axis=1, keepdims=True)
    return RegionModel(np.log(shares).astype(np.float32), _teeth_level(np.concatenate(whiteness)))


def label_regions(sample: RegionSample, model: RegionModel) -> U8:
    """Label every pixel of a frame. [S, S]"""
    size = sample.frame.shape[0]
    is_person = sample.matte >= _PERSON_MATTE
    places = _places(sample)
    material = _materials(sample.frame, places, model)
    labels = np.where(is_person, material, LABEL["background"]).astype(np.uint8)
    skin = is_person & (material == LABEL["face"])
    oval = _filled(size, sample.landmarks, lm.FACE_OVAL) > 0
    labels[skin & ~oval] = _skin_parts(size, sample.landmarks)[skin & ~oval]
    below_brows = _below_brows(size, sample.landmarks)
    labels[oval & below_brows] = LABEL["face"]
    for name, outlines in _DRAWN:
        for outline in outlines:
            labels[_filled(size, sample.landmarks, outline) > 0] = LABEL[name]
    mouth = _filled(size, sample.landmarks, lm.INNER_LIPS) > 0
    is_teeth = _whiteness(sample.frame) > model.teeth_level
    labels[mouth] = np.where(is_teeth, LABEL["teeth"], LABEL["mouth_inside"])[mouth]
    return labels


_DRAWN = (
    ("nose", (lm.NOSE,)),
    ("brows", (lm.RIGHT_BROW, lm.LEFT_BROW)),
    ("eyes", (lm.RIGHT_EYE, lm.LEFT_EYE)),
    ("lips", (lm.OUTER_LIPS,)),
)


def _places(sample: RegionSample) -> U8:
    """Rough label of each pixel: the mesh's, its nearest one for the person's other pixels."""
    size = sample.frame.shape[0]
    drawn = draw_mesh(sample.mesh, size)
    drawn[_filled(size, sample.landmarks, lm.FACE_OVAL) > 0] = LABEL["face"]
    materials = np.zeros(len(REGIONS), dtype=np.uint8)
    for name, material in (("hair", "hair"), ("neck", "face"), ("torso", "torso")):
        materials[LABEL[name]] = LABEL[material]
    for name in ("face", "lips", "teeth", "mouth_inside", "eyes", "brows", "nose", "ears"):
        materials[LABEL[name]] = LABEL["face"]
    rough = materials[drawn]
    if not rough.any():
        return np.where(sample.matte >= _PERSON_MATTE, LABEL["hair"], 0).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(
        (rough == 0).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(int(nearest.max()) + 1, dtype=np.uint8)
    of_label[nearest[rough > 0]] = rough[rough > 0]
    return np.where(sample.matte >= _PERSON_MATTE, of_label[nearest], 0).astype(np.uint8)


def draw_mesh(mesh: ProjectedMesh, size: int) -> U8:
    """Draw the triangles' labels from far to near. [S, S], 0 where there is no mesh"""
    drawn = np.zeros((size, size), dtype=np.uint8)
    corners = np.clip(mesh.points[mesh.faces], -4 * size, 5 * size)  # [F, 3, 2]
    order = np.argsort(-mesh.depth[mesh.faces].mean(axis=1), kind="stable")
    fixed = np.rint((corners - 0.5) * 16).astype(np.int32)  # four fractional bits
    for face in order:
        cv2.fillConvexPoly(drawn, fixed[face], int(mesh.labels[face]), shift=4)
    return drawn


def _materials(frame: U8, places: U8, model: RegionModel) -> U8:
    """Hair, skin or clothes by place and colour, both averaged over a few pixels. [S, S]"""
    radius = max(round(frame.shape[0] * _BLUR), 1)
    window = (2 * radius + 1, 2 * radius + 1)
    codes = _colour_codes(frame)
    scores = []
    for index, material in enumerate(_MATERIALS):
        is_place = (places == LABEL[material]).astype(np.float32)
        # The mesh's border is uncertain by a few percent of the picture.
        place = cv2.blur(is_place, (4 * radius + 1, 4 * radius + 1))
        colour = cv2.blur(np.maximum(model.log_colour[index][codes], -12.0), window)
        scores.append(colour + np.log(_OTHER_PLACE + place))
    labels = np.array([LABEL[material] for material in _MATERIALS], dtype=np.uint8)
    return np.asarray(labels[np.argmax(scores, axis=0)])


def _skin_parts(size: int, landmarks: F32) -> U8:
    """Which part skin outside the face's outline is: neck below, ears beside, else face."""
    up, right, eye_level, ear_low, centre = _face_axes(landmarks)
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) + 0.5
    height = columns * up[0] + rows * up[1]
    sideways = np.abs((columns - centre[0]) * right[0] + (rows - centre[1]) * right[1])
    half_width = np.linalg.norm(landmarks[454, :2] - landmarks[234, :2]) / 2
    parts = np.full((size, size), LABEL["face"], dtype=np.uint8)
    parts[height < ear_low] = LABEL["neck"]
    is_beside = (height >= ear_low) & (height < eye_level) & (sideways > 0.8 * half_width)
    parts[is_beside] = LABEL["ears"]
    return parts


def _below_brows(size: int, landmarks: F32) -> NDArray[np.bool_]:
    """Below the brows, where the face's outline holds no hair. [S, S]"""
    up = _face_axes(landmarks)[0]
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) + 0.5
    brows = landmarks[list(lm.RIGHT_BROW + lm.LEFT_BROW), :2]
    return np.asarray(columns * up[0] + rows * up[1] < float((brows @ up).max()))


def _face_axes(landmarks: F32) -> tuple[F32, F32, float, float, F32]:
    """Up and sideways in the picture; heights of the eyes and of the ears' lower end; centre."""
    axis = landmarks[lm.NOSE_ROOT, :2] - landmarks[lm.CHIN, :2]
    up = axis / max(float(np.linalg.norm(axis)), 1e-6)
    right = np.array([-up[1], up[0]], dtype=np.float32)
    brow_level = float((landmarks[[70, 300], :2] @ up).mean())
    mouth_level = float((landmarks[list(lm.MOUTH_CORNERS), :2] @ up).mean())
    return up, right, brow_level, mouth_level, landmarks[lm.NOSE_ROOT, :2]


def _filled(size: int, landmarks: F32, outline: tuple[int, ...]) -> U8:
    """Inside of a closed outline. [S, S] 0 or 1"""
    mask = np.zeros((size, size), dtype=np.uint8)
    points = np.rint((landmarks[list(outline), :2] - 0.5) * 16).astype(np.int32)
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
