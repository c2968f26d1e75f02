"""What every head model must hold, whatever its mesh."""

from pathlib import Path

import pytest
import torch

from shared.contracts.tracked_dataset import REGIONS
from shared.head_model import (
    N_JOINTS,
    HeadModel,
    HeadPose,
    load_head_model,
    neutral_vertices,
    pose_vertices,
    save_head_model,
)
from shared.landmarks import CHIN, FOREHEAD_TOP, N_LANDMARKS, NOSE_TIP
from shared.plugins import load_plugin, plugin_names

PACKAGE = "shared.head_models"


@pytest.fixture(scope="module", params=plugin_names(PACKAGE))
def head(request: pytest.FixtureRequest) -> HeadModel:
    """Each head model that needs no operator's file."""
    plugin = load_plugin(PACKAGE, request.param)
    if plugin.NEEDS_FILE is not None:
        pytest.skip(f"{request.param} needs {plugin.NEEDS_FILE}")
    model = plugin.build()
    assert isinstance(model, HeadModel)
    return model


def moved(head: HeadModel, **changes: torch.Tensor) -> torch.Tensor:
    """The mean head with some parameters set. [V, 3]"""
    zero = torch.zeros(1, 3)
    pose = HeadPose(
        torch.zeros(1, len(head.expression_names)), zero, zero, zero, torch.zeros(1, 6), zero
    )
    return pose_vertices(head, head.template, pose._replace(**changes))[0]


def test_stored_and_read_again_is_equal(head: HeadModel, tmp_path: Path) -> None:
    """The arrays satisfy the contract's table and survive the file."""
    save_head_model(tmp_path / "head_model.npz", head)

    again = load_head_model(tmp_path / "head_model.npz")

    assert head.expression_names == again.expression_names
    for name in ("template", "shape_basis", "expr_basis", "joints", "weights", "faces"):
        assert torch.equal(getattr(head, name), getattr(again, name)), name


def test_numbers_are_in_range(head: HeadModel) -> None:
    """Indices point at vertices, weights sum to one, regions are known, all is finite."""
    n_vertices = len(head.template)

    assert head.joints.shape == (N_JOINTS, 3)
    assert head.landmark_vertices.shape == (N_LANDMARKS,)
    for indices in (head.faces, head.landmark_vertices):
        assert 0 <= int(indices.min()) <= int(indices.max()) < n_vertices
    assert torch.allclose(head.weights.sum(1), torch.ones(n_vertices), atol=1e-5)
    assert float(head.weights.min()) >= -1e-6
    assert int(head.face_regions.max()) < len(REGIONS)
    assert bool(torch.isfinite(head.template).all())
    assert bool(torch.isfinite(head.shape_basis).all())
    assert bool(torch.isfinite(head.expr_basis).all())


def test_no_pose_changes_nothing(head: HeadModel) -> None:
    """With all parameters zero the posed head is the template."""
    rest = neutral_vertices(head, torch.zeros(len(head.shape_basis)))

    assert torch.allclose(head.template, rest)
    assert torch.allclose(head.template, moved(head), atol=1e-6)


def test_axes_are_left_up_and_forward(head: HeadModel) -> None:
    """The nose is in front, the forehead above the chin, the left eye at positive x."""
    marks = head.template[head.landmark_vertices]

    assert float(marks[NOSE_TIP, 2]) > float(marks[FOREHEAD_TOP, 2])
    assert float(marks[FOREHEAD_TOP, 1]) > float(marks[CHIN, 1])
    assert float(marks[473, 0]) > 0 > float(marks[468, 0])


def test_size_is_a_head_in_metres(head: HeadModel) -> None:
    """Pupils are six to seven centimetres apart."""
    marks = head.template[head.landmark_vertices]

    assert 0.055 < float((marks[473] - marks[468]).norm()) < 0.072


def test_rotation_moves_the_head_rigidly(head: HeadModel) -> None:
    """Distances between landmarks stay when the head turns."""
    marks = head.template[head.landmark_vertices]

    turned = moved(head, rotation=torch.tensor([[0.1, 0.4, -0.2]]))[head.landmark_vertices]

    before = (marks[:, None] - marks).norm(dim=2)
    after = (turned[:, None] - turned).norm(dim=2)
    assert torch.allclose(before, after, atol=1e-5)


def test_translation_is_added_last(head: HeadModel) -> None:
    """All vertices move by the translation."""
    shift = torch.tensor([[0.1, -0.2, 0.3]])

    assert torch.allclose(head.template + shift, moved(head, translation=shift), atol=1e-6)


def test_jaw_opens_downwards(head: HeadModel) -> None:
    """A positive turn about x lowers the chin and leaves the forehead."""
    marks = moved(head, jaw_pose=torch.tensor([[0.2, 0.0, 0.0]]))[head.landmark_vertices]
    rest = head.template[head.landmark_vertices]

    assert float(marks[CHIN, 1]) < float(rest[CHIN, 1]) - 0.005
    assert torch.allclose(marks[FOREHEAD_TOP], rest[FOREHEAD_TOP], atol=1e-4)
