"""The animated photograph."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.embedded.puppet.babble import Spoken
from services.embedded.puppet.capture import SIZE, Stage, draw_frame, set_stage
from services.embedded.puppet.drawing import Mesh, paint
from services.embedded.puppet.face_rig import Pose
from services.embedded.puppet.performance import perform

REST = Pose(
    jaw=0.0,
    width=0.0,
    press=1.0,
    tuck=0.0,
    blink=0.0,
    brows=0.0,
    rotation=(0.0, 0.0, 0.0),
    translation=(0.0, 0.0, 0.0),
)
UPPER_LIP, LOWER_LIP, LEFT_CORNER, RIGHT_CORNER = 13, 14, 78, 308
UPPER_LID, LOWER_LID, NOSE_TIP = 159, 145, 1


@pytest.fixture(scope="module")
def stage() -> Stage:
    """The photograph, cut and rigged once."""
    return set_stage()


def _landmarks(stage: Stage, pose: Pose) -> NDArray[np.float32]:
    return draw_frame(stage, pose, (0.0, 0.0))[1]


def test_pressed_lips_touch_and_an_open_jaw_parts_them(stage: Stage) -> None:
    """The gap between the inner lips follows jaw and press."""
    shut = _landmarks(stage, REST)
    wide = _landmarks(stage, REST._replace(press=0.0, jaw=0.2))

    assert shut[LOWER_LIP, 1] - shut[UPPER_LIP, 1] < 1.0
    assert wide[LOWER_LIP, 1] - wide[UPPER_LIP, 1] > 12.0


def test_rounding_narrows_the_mouth(stage: Stage) -> None:
    """The corners come in for a rounded vowel and go out for a spread one."""
    widths = [
        np.ptp(_landmarks(stage, REST._replace(width=width))[[LEFT_CORNER, RIGHT_CORNER], 0])
        for width in (-1.0, 0.0, 1.0)
    ]

    assert sorted(widths) == widths
    assert widths[2] > 1.3 * widths[0]


def test_a_blink_shuts_the_eye_and_leaves_the_mouth(stage: Stage) -> None:
    """Lids meet; lips do not move."""
    open_eyes = _landmarks(stage, REST)
    shut_eyes = _landmarks(stage, REST._replace(blink=1.0))

    gaps = [face[LOWER_LID, 1] - face[UPPER_LID, 1] for face in (open_eyes, shut_eyes)]
    assert gaps[1] < 0.25 * gaps[0]
    assert np.abs(shut_eyes[[UPPER_LIP, LOWER_LIP]] - open_eyes[[UPPER_LIP, LOWER_LIP]]).max() < 0.1


def test_turning_the_head_moves_the_nose_more_than_the_face_outline(stage: Stage) -> None:
    """Depth is real: what is nearer the camera moves further."""
    turned = _landmarks(stage, REST._replace(rotation=(0.0, 0.15, 0.0))) - _landmarks(stage, REST)

    assert abs(turned[NOSE_TIP, 0]) > 1.3 * abs(turned[[234, 454], 0].mean())


def test_the_background_stays_while_the_person_moves(stage: Stage) -> None:
    """Corners of the picture show the same wall in every frame; the face does not."""
    still, _ = draw_frame(stage, REST, (0.0, 0.0))
    moved, _ = draw_frame(stage, REST._replace(translation=(12.0, 4.0, 0.0)), (6.0, 0.0))

    assert (SIZE, SIZE, 3) == still.shape
    assert np.array_equal(still[:60, :60], moved[:60, :60])
    assert np.abs(still[150:250, 120:260].astype(int) - moved[150:250, 120:260]).mean() > 5


def test_an_open_mouth_shows_its_dark_inside(stage: Stage) -> None:
    """Nothing of the lips is stretched over the opening."""
    picture, landmarks = draw_frame(stage, REST._replace(press=0.0, jaw=0.2), (0.0, 0.0))
    x, y = (0.4 * landmarks[UPPER_LIP] + 0.6 * landmarks[LOWER_LIP]).astype(int)

    shut, _ = draw_frame(stage, REST, (0.0, 0.0))
    assert picture[y, x].mean() < 0.5 * shut[y, x].mean()


def test_paint_draws_the_nearer_triangle() -> None:
    """Where two triangles of a mesh overlap, the smaller depth wins."""
    corners = np.array([[0, 0], [8, 0], [0, 8]], np.float32)
    texture = np.zeros((8, 16, 4), np.float32)
    texture[..., 3] = 1
    texture[:, :8, 0] = 1  # red at the left, green at the right
    texture[:, 8:, 1] = 1
    uv = np.concatenate([corners * 0.5, corners * 0.5 + np.array([10, 0], np.float32)])
    triangles = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    canvas = np.zeros((8, 8, 3), np.float32)

    points = np.concatenate([corners, corners])
    depths = np.array([2, 2, 2, 1, 1, 1], np.float32)
    paint(canvas, Mesh(triangles, uv.astype(np.float32), texture), points, depths)

    assert [0.0, 1.0, 0.0] == canvas[1, 1].tolist()
    assert [0.0, 0.0, 0.0] == canvas[7, 7].tolist()


def test_lips_close_for_a_labial_and_open_for_a_vowel() -> None:
    """The performance follows the script at its times."""
    script = (Spoken("a", 0.0, 0.4, 1.0), Spoken("m", 0.4, 0.12, 1.0), Spoken("a", 0.52, 0.4, 1.0))

    poses, torso = perform(script, n_frames=23, fps=25, seed=1)

    assert (23, 2) == torso.shape
    assert poses[11].press > 0.8
    assert poses[4].press < 0.1
    assert poses[4].jaw > 0.15
