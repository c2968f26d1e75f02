"""Face regions: mesh, landmarks and colour decide together."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.preprocess.regions import (
    LABEL,
    ProjectedMesh,
    RegionModel,
    RegionSample,
    draw_mesh,
    label_regions,
    learn_regions,
)
from shared import landmarks as lm

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

SIZE = 160
SKIN, HAIR, SHIRT, WALL = (220, 170, 150), (60, 40, 30), (40, 60, 160), (200, 200, 190)


def ellipse(
    outline: tuple[int, ...], centre: tuple[float, float], radii: tuple[float, float]
) -> dict[int, tuple[float, float]]:
    """Landmarks of an outline on an ellipse, from its top clockwise."""
    angles = np.linspace(0, 2 * np.pi, len(outline), endpoint=False)
    return {
        index: (centre[0] + radii[0] * np.sin(a), centre[1] - radii[1] * np.cos(a))
        for index, a in zip(outline, angles, strict=True)
    }


def make_landmarks() -> F32:
    """An upright face in the middle of the picture, the mouth open. [478, 3]"""
    places: dict[int, tuple[float, float]] = {}
    places |= ellipse(lm.FACE_OVAL, (80, 70), (28, 38))
    places |= ellipse(lm.NOSE, (80, 72), (6, 12))
    places |= ellipse(lm.RIGHT_BROW, (68, 52), (7, 2))
    places |= ellipse(lm.LEFT_BROW, (92, 52), (7, 2))
    places |= ellipse(lm.RIGHT_EYE, (68, 60), (6, 3))
    places |= ellipse(lm.LEFT_EYE, (92, 60), (6, 3))
    places |= ellipse(lm.OUTER_LIPS, (80, 92), (12, 8))
    places |= ellipse(lm.INNER_LIPS, (80, 92), (9, 5))
    places |= {lm.NOSE_ROOT: (80, 60), lm.CHIN: (80, 108), lm.FOREHEAD_TOP: (80, 32)}
    landmarks = np.full((lm.N_LANDMARKS, 3), 80, np.float32)
    for index, place in places.items():
        landmarks[index, :2] = place
    return landmarks


def make_mesh() -> ProjectedMesh:
    """Hair around the face, a neck below it, no shoulders: as a bare head model. Squares."""
    squares = [
        ((40, 20, 120, 100), 0.5, LABEL["hair"]),
        ((66, 100, 94, 160), 0.6, LABEL["neck"]),
    ]
    points: list[tuple[int, int]] = []
    depth: list[float] = []
    faces: list[tuple[int, int, int]] = []
    labels: list[int] = []
    for (left, top, right, bottom), distance, label in squares:
        start = len(points)
        points += [(left, top), (right, top), (right, bottom), (left, bottom)]
        depth += [distance] * 4
        faces += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
        labels += [label] * 2
    return ProjectedMesh(
        np.array(points, np.float32),
        np.array(depth, np.float32),
        np.array(faces),
        np.array(labels, np.uint8),
    )


def make_sample() -> RegionSample:
    """A drawn person: hair, face with ears, neck in a shirt with a wide collar."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    frame = np.full((SIZE, SIZE, 3), WALL, np.uint8)
    hair = ((columns - 80) / 40) ** 2 + ((rows - 60) / 48) ** 2 < 1
    hair &= rows < 90
    neck = (np.abs(columns - 80) < 12) & (rows > 95)
    shirt = (rows > 125) & (np.abs(columns - 80) < 60) & ~neck
    face = ((columns - 80) / 28) ** 2 + ((rows - 70) / 38) ** 2 < 1
    ears = (np.abs(np.abs(columns - 80) - 31) < 4) & (np.abs(rows - 70) < 12)
    for mask, colour in ((hair, HAIR), (neck, SKIN), (shirt, SHIRT), (face, SKIN), (ears, SKIN)):
        frame[mask] = colour
    mouth = ((columns - 80) / 9) ** 2 + ((rows - 92) / 5) ** 2 < 1
    frame[mouth] = (60, 20, 20)
    frame[mouth & (rows < 92)] = (235, 230, 220)
    matte = np.where(hair | neck | shirt | face | ears, 255, 0).astype(np.uint8)
    noise = np.random.default_rng(0).integers(-4, 5, frame.shape)
    frame = np.clip(frame.astype(int) + noise, 0, 255).astype(np.uint8)
    return RegionSample(frame, matte, make_landmarks(), make_mesh())


@pytest.fixture(scope="module")
def labels() -> U8:
    """The drawn person's regions."""
    sample = make_sample()
    return label_regions(sample, learn_regions([sample]))


@pytest.mark.parametrize(
    ("name", "row", "column"),
    [
        ("background", 10, 10),
        ("hair", 22, 80),
        ("face", 75, 62),
        ("ears", 70, 112),
        ("eyes", 60, 68),
        ("brows", 52, 92),
        ("nose", 75, 80),
        ("lips", 99, 80),
        ("teeth", 90, 80),
        ("mouth_inside", 94, 80),
        ("neck", 120, 80),
        ("torso", 145, 45),
    ],
)
def test_each_region_is_where_it_is_drawn(labels: U8, name: str, row: int, column: int) -> None:
    """One pixel well inside each region has its label."""
    assert LABEL[name] == labels[row, column]


def test_collar_is_clothes_though_the_mesh_shows_a_neck(labels: U8) -> None:
    """Colour overrules the mesh where it knows nothing of clothes."""
    assert LABEL["torso"] == labels[150, 95]
    assert LABEL["neck"] == labels[150, 80]


def test_background_is_what_the_matte_says(labels: U8) -> None:
    """No region outside the person but drawn parts of the face."""
    outside = make_sample().matte < 128

    assert (labels[outside] == 0).mean() > 0.99


def test_closed_mouth_has_no_teeth() -> None:
    """Where no training mouth shows anything bright, nothing is called teeth."""
    sample = make_sample()
    frame = sample.frame.copy()
    frame[80:105, 66:95] = (150, 60, 60)
    dark = sample._replace(frame=frame)

    model = learn_regions([dark])

    assert float("inf") == model.teeth_level
    assert LABEL["teeth"] not in label_regions(dark, model)


def test_large_frames_are_labelled_alike() -> None:
    """Twice the size gives the same regions, twice as large."""
    small = make_sample()
    large = RegionSample(
        small.frame.repeat(2, 0).repeat(2, 1),
        small.matte.repeat(2, 0).repeat(2, 1),
        2 * small.landmarks,
        small.mesh._replace(points=2 * small.mesh.points),
    )

    expected = label_regions(small, learn_regions([small]))
    found = label_regions(large, learn_regions([large]))[1::2, 1::2]

    assert (expected == found).mean() > 0.95


def test_nearer_triangles_hide_farther_ones() -> None:
    """The mesh is drawn from far to near, whatever the order of its faces."""
    points = np.array([(0, 0), (40, 0), (0, 40), (0, 0), (40, 0), (0, 40)], np.float32)
    depth = np.array([1, 1, 1, 2, 2, 2], np.float32)
    mesh = ProjectedMesh(
        points, depth, np.array([(0, 1, 2), (3, 4, 5)]), np.array([1, 2], np.uint8)
    )

    assert 1 == draw_mesh(mesh, 40)[5, 5]


def test_model_is_plain_values() -> None:
    """Shares of colours sum to one for each material."""
    model = learn_regions([make_sample()])

    assert isinstance(model, RegionModel)
    assert np.ones(3) == pytest.approx(np.exp(model.log_colour).sum(axis=1), abs=1e-3)
