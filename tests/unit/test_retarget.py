"""Another face's motion on this face."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.audio2motion.lip_artefacts import lip_artefacts
from services.audio2motion.retarget import (
    TargetFace,
    carry_vertices,
    face_of,
    retarget_coefficients,
    retarget_vertices,
)
from services.audio2motion.tracks import coefficients_of
from shared.errors import InvalidInput
from shared.head_model import HeadModel, HeadPose, neutral_vertices, pose_vertices
from shared.landmarks import INNER_LIP_PAIRS
from tests.spoken_dataset import NAMES, make_head_model, make_opening, make_tracks

F32 = NDArray[np.float32]
JAW = len(NAMES)


@pytest.fixture(scope="module")
def seen() -> F32:
    """What the target did in its capture."""
    return coefficients_of(make_tracks(make_opening(200)))


@pytest.fixture(scope="module")
def target(seen: F32) -> TargetFace:
    """The made-up speaker."""
    return face_of(make_head_model(), np.zeros(1, np.float32), seen)


def mesh_of(model: HeadModel, coefficients: F32) -> tuple[F32, F32]:
    """Vertices of a still head, and its neutral. [T, V, 3], [V, 3]"""
    values = torch.from_numpy(coefficients)
    still = torch.zeros(len(values), 3)
    neutral = neutral_vertices(model, torch.zeros(1))
    pose = HeadPose(values[:, :-9], still, still, values[:, -9:-6], values[:, -6:], still)
    return pose_vertices(model, neutral, pose).numpy(), neutral.numpy()


def test_own_mesh_gives_own_jaw(target: TargetFace, seen: F32) -> None:
    """What the target did itself comes back."""
    vertices, neutral = mesh_of(target.model, seen)

    found = retarget_vertices(vertices, neutral, target)

    assert np.corrcoef(found[:, JAW], seen[:, JAW])[0, 1] > 0.98
    assert np.abs(found[:, JAW] - seen[:, JAW]).mean() < 0.02


def test_the_driver_s_size_does_not_matter(target: TargetFace, seen: F32) -> None:
    """A head twice as large says the same."""
    vertices, neutral = mesh_of(target.model, seen[:50])

    found = retarget_vertices(2 * vertices, 2 * neutral, target)

    np.testing.assert_allclose(retarget_vertices(vertices, neutral, target), found, atol=1e-4)


def test_a_face_of_another_head_model_drives_it(target: TargetFace, seen: F32) -> None:
    """Expressions in another order and scale arrive where they belong."""
    model = make_head_model()
    order = [4, 3, 2, 1, 0]
    other = model._replace(
        expr_basis=model.expr_basis[order] * 0.5, expression_names=tuple("abcde")
    )
    theirs = np.concatenate([2 * seen[:, order], seen[:, JAW:]], axis=1)
    source = face_of(other, np.zeros(1, np.float32), theirs)

    found = retarget_coefficients(theirs, source, target)

    assert np.corrcoef(found[:, JAW], seen[:, JAW])[0, 1] > 0.98
    assert np.corrcoef(found[:, 3], seen[:, 3])[0, 1] > 0.9


def test_lips_do_not_break(target: TargetFace, seen: F32) -> None:
    """Where the driver's displacements cross this subject's lips, the retargeted ones do not."""
    wild = seen.copy()
    wild[:, JAW] = 3 * seen[:, JAW] - 0.25
    vertices, neutral = mesh_of(target.model, wild)
    carried = carry_vertices(vertices, neutral, target)

    found, _ = mesh_of(target.model, retarget_vertices(vertices, neutral, target))

    before, after = lip_artefacts(carried, vertices), lip_artefacts(found, vertices)
    assert before.crossed_frames > 10
    assert 0 == after.crossed_frames == after.crossed_pairs


def test_motion_stays_in_the_range_seen(target: TargetFace, seen: F32) -> None:
    """However far the driver goes."""
    vertices, neutral = mesh_of(target.model, 5 * seen)

    found = retarget_vertices(vertices, neutral, target)

    assert (found <= target.mouth.high + 1e-5).all()
    assert (found >= target.mouth.low - 1e-5).all()


def test_missing_teeth_follow_the_jaw(seen: F32) -> None:
    """A driver without teeth moves the lower ones with its jaw and leaves the upper ones."""
    model = make_head_model()
    teeth = torch.tensor([[0.0, 0.002, 0.09], [0.0, -0.002, 0.09]])
    longer = model._replace(
        template=torch.cat([model.template, teeth]),
        shape_basis=torch.cat([model.shape_basis, torch.zeros(1, 2, 3)], 1),
        expr_basis=torch.cat([model.expr_basis, torch.zeros(len(NAMES), 2, 3)], 1),
        weights=torch.cat([model.weights, torch.tensor([[0, 1.0, 0, 0, 0], [0, 0, 1.0, 0, 0]])]),
    )
    target = face_of(longer, np.zeros(1, np.float32), seen)
    vertices, neutral = mesh_of(model, seen[:20])
    chin = INNER_LIP_PAIRS[4][1]

    carried = carry_vertices(vertices, neutral, target)

    np.testing.assert_allclose(carried[:, -2], np.tile(teeth[0], (20, 1)), atol=1e-6)
    dropped = carried[:, -1, 1] - teeth[1, 1].item()
    assert np.corrcoef(dropped, carried[:, chin, 1])[0, 1] > 0.97


def test_a_mesh_of_another_topology_is_refused(target: TargetFace) -> None:
    """With a code, naming both."""
    with pytest.raises(InvalidInput, match="478 vertices") as refused:
        retarget_vertices(np.zeros((2, 600, 3), np.float32), np.zeros((600, 3), np.float32), target)

    assert "mesh_mismatch" == refused.value.code
