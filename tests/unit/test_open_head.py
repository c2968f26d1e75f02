"""The open head: topology, closed lips, units, skinning, parts."""

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.contracts.tracked_dataset import REGIONS
from shared.head_model import HeadModel, HeadPose, neutral_vertices, pose_vertices
from shared.head_models import open_head
from shared.landmarks import EYELID_PAIRS, INNER_LIP_PAIRS, INNER_LIPS, LEFT_EYE, RIGHT_EYE
from shared.open_head_parts.canonical_face import N_FACE_VERTICES, load_canonical_face
from shared.open_head_parts.canonical_face_maker import make_canonical_face

FOREHEAD, CHIN = 10, 152


@pytest.fixture(scope="module")
def head() -> HeadModel:
    """The mean open head."""
    return open_head.build()


def still(n_frames: int, n_expr: int) -> HeadPose:
    """A head at rest in every frame."""
    zero = torch.zeros(n_frames, 3)
    return HeadPose(torch.zeros(n_frames, n_expr), zero, zero, zero, torch.zeros(n_frames, 6), zero)


def posed(head: HeadModel, pose: HeadPose) -> Tensor:
    """Vertices of the mean head under one frame's pose. [V, 3]"""
    return pose_vertices(head, head.template, pose)[0]


def jaw_opened(head: HeadModel, angle: float) -> Tensor:
    """The mean head with its jaw turned. [V, 3]"""
    pose = still(1, len(head.expression_names))
    return posed(head, pose._replace(jaw_pose=torch.tensor([[angle, 0.0, 0.0]])))


def with_unit(head: HeadModel, name: str) -> Tensor:
    """The mean head with one unit at full activation. [V, 3]"""
    expr = torch.zeros(1, len(head.expression_names))
    expr[0, head.expression_names.index(name)] = 1
    return posed(head, still(1, expr.shape[1])._replace(expr=expr))


def gap(vertices: Tensor, pair: tuple[int, int]) -> float:
    """Distance between two vertices, m."""
    return float((vertices[pair[0]] - vertices[pair[1]]).norm())


def test_stored_face_is_what_its_maker_makes() -> None:
    """The committed file can be made again from the portrait."""
    stored = load_canonical_face()

    made = make_canonical_face()

    assert np.array_equal(stored.faces, made.faces)
    assert np.array_equal(stored.mirror, made.mirror)
    assert np.abs(stored.vertices - made.vertices).max() < 2e-4


def test_canonical_face_is_symmetric() -> None:
    """Each vertex is the mirror image of its partner."""
    face = load_canonical_face()

    mirrored = face.vertices[face.mirror] * [-1, 1, 1]

    assert np.abs(mirrored - face.vertices).max() < 1e-6


def test_triangles_are_wound_alike(head: HeadModel) -> None:
    """No edge is run along twice in the same direction, so all faces look the same way."""
    faces = head.faces.numpy()

    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])

    assert len(directed) == len(np.unique(directed, axis=0))


@pytest.mark.parametrize("region", ["face", "brows", "eyes", "hair", "neck"])
def test_outside_faces_outwards(head: HeadModel, region: str) -> None:
    """Triangles of the outside turn their front away from the head's inside."""
    corners = head.template[head.faces[head.face_regions == REGIONS.index(region)]]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inside = torch.tensor([0.0, -0.03, -0.08])

    outward = (normals * (corners.mean(1) - inside)).sum(1)

    assert (outward > 0).float().mean() > 0.95


@pytest.mark.parametrize("ring", [INNER_LIPS, RIGHT_EYE, LEFT_EYE])
def test_mouth_and_eyes_are_holes_of_the_face(ring: tuple[int, ...]) -> None:
    """Edges along lips and lids have a face triangle on one side only."""
    faces = load_canonical_face().faces
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    along = np.sort(np.stack([ring, np.roll(ring, -1)], axis=1), axis=1)

    n_faces = [int((edges == edge).all(1).sum()) for edge in along]

    assert [1] * len(ring) == n_faces


def test_every_person_is_at_rest_with_closed_lips(head: HeadModel) -> None:
    """No shape coefficient opens the mouth."""
    shape = torch.randn(len(head.shape_basis), generator=torch.Generator().manual_seed(0))

    rest = neutral_vertices(head, 2 * shape)

    assert max(gap(rest, pair) for pair in INNER_LIP_PAIRS) < 1e-5


def test_jaw_opens_the_mouth_and_moves_the_chin_only(head: HeadModel) -> None:
    """Turning the jaw by 0.3 rad parts the lips by centimetres; the forehead stays."""
    opened = jaw_opened(head, 0.3)

    assert 0.01 < gap(opened, (13, 14)) < 0.05
    assert opened[CHIN, 1] < head.template[CHIN, 1] - 0.01
    assert torch.allclose(opened[FOREHEAD], head.template[FOREHEAD])


def test_lower_teeth_follow_the_jaw_and_upper_teeth_do_not(head: HeadModel) -> None:
    """The biting edges part when the jaw opens."""
    is_tooth = head.face_regions == REGIONS.index("teeth")
    teeth = torch.unique(head.faces[is_tooth])
    is_lower = head.weights[teeth, 2] > 0

    moved = (jaw_opened(head, 0.3) - head.template)[teeth].norm(dim=1)

    assert float(moved[~is_lower].max()) < 1e-6
    assert float(moved[is_lower].min()) > 0.01


@pytest.mark.parametrize(("side", "closed", "other"), [("R", 0, 1), ("L", 1, 0)])
def test_blink_closes_one_eye(head: HeadModel, side: str, closed: int, other: int) -> None:
    """The upper lid comes down to the lower one; the other eye stays open."""
    blinking = with_unit(head, f"eyeBlink_{side}")

    before = [gap(head.template, pair) for pair in EYELID_PAIRS]
    after = [gap(blinking, pair) for pair in EYELID_PAIRS]

    assert after[closed] < 0.2 * before[closed]
    assert after[other] == pytest.approx(before[other], abs=1e-4)


def test_left_units_mirror_right_ones(head: HeadModel) -> None:
    """Each _R unit is its _L partner reflected."""
    mirror = torch.from_numpy(load_canonical_face().mirror)
    names = head.expression_names
    fields = dict(zip(names, head.expr_basis[:, :N_FACE_VERTICES], strict=True))
    flip = torch.tensor([-1.0, 1.0, 1.0])

    for name in names:
        if name.endswith("_L"):
            reflected = fields[name][mirror] * flip
            assert torch.allclose(fields[name[:-2] + "_R"], reflected, atol=1e-7), name


def test_units_have_arkit_names(head: HeadModel) -> None:
    """Names are lower camel case with ICT's side suffix, each once."""
    bare = {name.removesuffix("_L").removesuffix("_R") for name in head.expression_names}

    assert {"browInnerUp", "eyeBlink", "mouthSmile", "mouthFunnel", "mouthClose"} <= bare
    assert len(set(head.expression_names)) == len(head.expression_names)


def test_eyeballs_turn_about_their_centres(head: HeadModel) -> None:
    """A turned eye keeps its iris at the ball's radius and moves it to the side."""
    eyes = torch.tensor([[0.0, 0.3, 0.0, 0.0, 0.3, 0.0]])
    pose = still(1, len(head.expression_names))._replace(eyes_pose=eyes)

    turned = posed(head, pose)[head.landmark_vertices]

    for joint, iris in ((3, 473), (4, 468)):
        offset = turned[iris] - head.joints[joint]
        assert float(offset.norm()) == pytest.approx(0.012, abs=1e-5)
        assert float(offset[0]) == pytest.approx(0.012 * np.sin(0.3), abs=1e-5)


def test_carried_expression_moves_the_mouth_but_not_the_torso(head: HeadModel) -> None:
    """Displacements of the face spread to what hangs on it and no further."""
    face = torch.full((1, N_FACE_VERTICES, 3), 0.01)
    torso = torch.unique(head.faces[head.face_regions == REGIONS.index("torso")])

    carried = torch.einsum("vf,efc->evc", open_head.mean_head().follow, face)[0]

    assert torch.equal(carried[:N_FACE_VERTICES], face[0])
    lowest = torso[head.template[torso, 1].argmin()]
    assert float(carried[lowest].norm()) == 0.0
