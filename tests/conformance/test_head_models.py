"""What every head model must hold, whatever its mesh.

Those that need an operator's file are tried on files of the same layout that ``tests.head_files``
makes, and ``ict_face`` on the real one too, where ``TALKSPLAT_TEST_DATA`` has it.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import torch

from shared.contracts.tracked_dataset import REGIONS
from shared.head_model import (
    N_FACE_LANDMARKS,
    N_JOINTS,
    HeadModel,
    HeadPose,
    HeadSource,
    MeanHead,
    joints_of,
    landmark_patch,
    landmarks_on,
    load_head_model,
    neutral_vertices,
    pose_vertices,
    save_head_model,
)
from shared.landmarks import (
    CHIN,
    EYE_CORNERS,
    FOREHEAD_TOP,
    INNER_LIP_PAIRS,
    N_LANDMARKS,
    NOSE_TIP,
)
from shared.plugins import load_plugin, plugin_names
from tests.head_files import write_flame, write_ict

PACKAGE = "shared.head_models"
REAL_ICT = "ict_face, real"
WRITERS: dict[str, Callable[[Path], object]] = {"flame": write_flame, "ict_face": write_ict}
REQUIRED_REGIONS = {"hair", "face", "lips", "teeth", "eyes", "brows", "nose", "neck", "torso"}
"""What methods and preprocessing look for; FLAME's mouth has no inside."""


@pytest.fixture(scope="module", params=[*plugin_names(PACKAGE), REAL_ICT])
def mean_head(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MeanHead:
    """Each head model."""
    name: str = request.param
    if name == REAL_ICT:
        folder = Path(os.environ.get("TALKSPLAT_TEST_DATA", "")) / "models"
        if not (folder / "ict_facekit_light.npz").is_file():
            pytest.skip("no ict_facekit_light.npz in TALKSPLAT_TEST_DATA")
        return cast("HeadSource", load_plugin(PACKAGE, "ict_face")).mean_head(folder)
    source = cast("HeadSource", load_plugin(PACKAGE, name))
    if source.NEEDS_FILE is None:
        return source.mean_head()
    folder = tmp_path_factory.mktemp(name)
    WRITERS[name](folder)
    return source.mean_head(folder)


@pytest.fixture(scope="module")
def head(mean_head: MeanHead) -> HeadModel:
    """Its arrays."""
    return mean_head.model


def still(head: HeadModel) -> HeadPose:
    """All parameters zero."""
    zero = torch.zeros(1, 3)
    expr = torch.zeros(1, len(head.expression_names))
    return HeadPose(expr, zero, zero, zero, torch.zeros(1, 6), zero)


def moved(head: HeadModel, **changes: torch.Tensor) -> torch.Tensor:
    """The mean head with some parameters set. [V, 3]"""
    return pose_vertices(head, head.template, still(head)._replace(**changes))[0]


def test_stored_and_read_again_is_equal(head: HeadModel, tmp_path: Path) -> None:
    """The arrays satisfy the contract's tables and survive the file, to the bit."""
    save_head_model(tmp_path / "head_model.npz", head)

    again = load_head_model(tmp_path / "head_model.npz")

    for name, value in head._asdict().items():
        other = getattr(again, name)
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, other), name
        else:
            assert value == other, name


def test_numbers_are_in_range(head: HeadModel) -> None:
    """Indices point at vertices, weights sum to one, regions are known, all is finite."""
    n_vertices = len(head.template)

    assert head.joints.shape == (N_JOINTS, 3)
    assert head.landmark_vertices.shape == (N_LANDMARKS,)
    for indices in (head.faces, head.landmark_vertices):
        assert 0 <= int(indices.min()) <= int(indices.max()) < n_vertices
    assert torch.allclose(head.weights.sum(1), torch.ones(n_vertices), atol=1e-5)
    assert float(head.weights.min()) >= -1e-6
    for value in head:
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            assert bool(torch.isfinite(value).all())


def test_regions_are_named_and_none_is_missing(head: HeadModel) -> None:
    """Every face has a region of the contract, and methods find those they look for."""
    found = {REGIONS[label] for label in head.face_regions.unique().tolist()}

    assert "background" not in found
    assert set() == REQUIRED_REGIONS - found
    assert len(head.faces) == len(head.face_regions)


def test_landmarks_are_there(head: HeadModel) -> None:
    """All 478 lie on the head, each next to the vertex that stands for it."""
    marks = landmarks_on(head, head.template)
    edges = head.template[head.faces] - head.template[head.faces.roll(1, 1)]

    assert (N_LANDMARKS, 3) == marks.shape
    away = (marks - head.template[head.landmark_vertices]).norm(dim=1)
    assert float(away.max()) <= float(edges.norm(dim=2).max())


def test_the_patch_has_the_same_landmarks(head: HeadModel) -> None:
    """A model reduced to its landmarks puts them where the whole one does."""
    pose = still(head)._replace(
        jaw_pose=torch.tensor([[0.2, 0.0, 0.0]]), rotation=torch.tensor([[0.1, 0.3, 0.0]])
    )
    pose.expr[0, 3] = 0.7

    patch, members = landmark_patch(head)

    whole = landmarks_on(head, pose_vertices(head, head.template, pose))
    reduced = landmarks_on(patch, pose_vertices(patch, head.template[members], pose))
    assert torch.allclose(whole, reduced, atol=1e-6)


def test_fitting_gets_what_it_needs(mean_head: MeanHead) -> None:
    """Joints follow the shape, vertices the landmarks, and trust is a share."""
    model = mean_head.model
    n_shape = len(model.shape_basis)

    assert (n_shape, N_JOINTS, 3) == mean_head.joint_basis.shape
    assert torch.equal(model.joints, joints_of(mean_head, torch.zeros(n_shape)))
    assert (len(model.template), N_FACE_LANDMARKS) == mean_head.follow.shape
    assert 0 < float(mean_head.landmark_trust.min()) <= float(mean_head.landmark_trust.max()) <= 1
    own = landmarks_on(model, mean_head.follow)[:N_FACE_LANDMARKS]
    assert float((own - torch.eye(N_FACE_LANDMARKS)).abs().max(1).values.median()) < 0.02


def test_no_pose_changes_nothing(head: HeadModel) -> None:
    """With all parameters zero the posed head is the template."""
    rest = neutral_vertices(head, torch.zeros(len(head.shape_basis)))

    assert torch.allclose(head.template, rest)
    assert torch.allclose(head.template, moved(head), atol=1e-6)


def test_gradients_are_finite(head: HeadModel) -> None:
    """Of every parameter, at rest too, and none but the neck's is without effect."""
    pose = HeadPose(*(values.clone().requires_grad_() for values in still(head)))
    shape = torch.zeros(len(head.shape_basis), requires_grad=True)

    vertices = pose_vertices(head, neutral_vertices(head, shape), pose)[0]
    (vertices * torch.linspace(-1, 1, vertices.numel()).view_as(vertices)).sum().backward()

    for values in (shape, *pose):
        assert values.grad is not None
        assert bool(torch.isfinite(values.grad).all())
        assert float(values.grad.abs().max()) > 0


def test_axes_are_left_up_and_forward(head: HeadModel) -> None:
    """The nose is in front, the forehead above the chin, the left eye at positive x."""
    marks = landmarks_on(head, head.template)

    assert float(marks[NOSE_TIP, 2]) > float(marks[FOREHEAD_TOP, 2])
    assert float(marks[FOREHEAD_TOP, 1]) > float(marks[CHIN, 1])
    assert float(marks[473, 0]) > 0 > float(marks[468, 0])


def test_faces_look_outwards(head: HeadModel) -> None:
    """Triangles of the skin are counter-clockwise from outside, the torso's too."""
    corners = head.template[head.faces]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    middles = corners.mean(1)
    for region in ("nose", "hair", "torso"):
        chosen = head.face_regions == REGIONS.index(region)
        axis = landmarks_on(head, head.template)[list(EYE_CORNERS)].mean(0) - torch.tensor(
            [0.0, 0.0, 0.08]
        )
        axis = torch.stack([axis[0], middles[chosen, 1].mean(), axis[2]])
        outwards = ((middles[chosen] - axis) * normals[chosen]).sum()
        assert float(outwards) > 0, region


def test_size_is_a_head_in_metres(head: HeadModel) -> None:
    """Pupils are six to seven centimetres apart."""
    marks = landmarks_on(head, head.template)

    assert 0.055 < float((marks[473] - marks[468]).norm()) < 0.072


def test_rotation_moves_the_head_rigidly(head: HeadModel) -> None:
    """Distances between landmarks stay when the head turns."""
    marks = landmarks_on(head, head.template)

    turned = landmarks_on(head, moved(head, rotation=torch.tensor([[0.1, 0.4, -0.2]])))

    before = (marks[:, None] - marks).norm(dim=2)
    after = (turned[:, None] - turned).norm(dim=2)
    assert torch.allclose(before, after, atol=1e-5)


def test_translation_is_added_last(head: HeadModel) -> None:
    """All vertices move by the translation."""
    shift = torch.tensor([[0.1, -0.2, 0.3]])

    assert torch.allclose(head.template + shift, moved(head, translation=shift), atol=1e-6)


def test_eyes_turn_about_their_centres(head: HeadModel) -> None:
    """A turn to the left moves both irises to the left and nothing else's landmarks."""
    rest = landmarks_on(head, head.template)

    looking = landmarks_on(
        head, moved(head, eyes_pose=torch.tensor([[0.0, 0.3, 0.0, 0.0, 0.3, 0.0]]))
    )

    shift = looking - rest
    assert all(float(shift[iris, 0]) > 0.002 for iris in (468, 473))
    assert float(shift[[CHIN, NOSE_TIP, FOREHEAD_TOP]].norm(dim=1).max()) < 1e-3


def test_jaw_opens_the_lips_downwards(head: HeadModel) -> None:
    """A positive turn about x parts the lips, lowers the chin and leaves the forehead."""
    rest = landmarks_on(head, head.template)

    opened = landmarks_on(head, moved(head, jaw_pose=torch.tensor([[0.2, 0.0, 0.0]])))

    upper, lower = INNER_LIP_PAIRS[4]
    gap_before = float(rest[upper, 1] - rest[lower, 1])
    assert float(opened[upper, 1] - opened[lower, 1]) > gap_before + 0.004
    assert float(opened[CHIN, 1]) < float(rest[CHIN, 1]) - 0.005
    assert float((opened[FOREHEAD_TOP] - rest[FOREHEAD_TOP]).norm()) < 2e-3
