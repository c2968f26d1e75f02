"""FLAME's files: read, refused, and posed as an independent reference poses them."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from shared.errors import InvalidInput, MissingModel
from shared.head_model import (
    HeadModel,
    HeadPose,
    MeanHead,
    joints_of,
    landmarks_on,
    neutral_vertices,
    pose_vertices,
)
from shared.head_models import flame, open_head
from shared.scanned_heads.array_pickle import dense, read_pickle
from shared.scanned_heads.flame_teeth import LOWER_LIP, UPPER_LIP
from tests.head_files import flame_arrays, write_flame

Floats = NDArray[np.float64]

N_PUBLISHED, N_WITH_TEETH = 5023, 5143


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with all files."""
    path = tmp_path_factory.mktemp("models")
    write_flame(path)
    return path


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    """What the files hold."""
    return flame_arrays()


@pytest.fixture(scope="module")
def head(folder: Path) -> MeanHead:
    """The head read from them."""
    return flame.mean_head(folder)


def reference(arrays: dict[str, Any], beta: Floats, psi: Floats, angles: Floats) -> Floats:
    """FLAME as the paper writes it, one joint after another. angles [5, 3] -> [5023, 3]"""
    shaped = arrays["v_template"] + arrays["shapedirs"] @ np.concatenate([beta, psi])
    joints = arrays["J_regressor"] @ (arrays["v_template"] + arrays["shapedirs"][..., :300] @ beta)
    turns = [Rotation.from_rotvec(angle).as_matrix() for angle in angles]
    feature = np.concatenate([(turn - np.eye(3)).ravel() for turn in turns[1:]])
    shaped = shaped + arrays["posedirs"] @ feature
    chain: list[Floats] = []
    for joint, parent in enumerate((-1, 0, 1, 1, 1)):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        chain.append(local if parent < 0 else chain[parent] @ local)
    posed = np.zeros_like(shaped)
    for vertex, place in enumerate(shaped):
        blended = np.zeros((4, 4))
        for joint, share in enumerate(arrays["weights"][vertex]):
            away = np.eye(4)
            away[:3, 3] = -joints[joint]
            blended += share * chain[joint] @ away
        posed[vertex] = (blended @ [*place, 1])[:3]
    return posed


def test_vertices_are_those_of_the_papers_equations(head: MeanHead, arrays: dict[str, Any]) -> None:
    """Shape, expression, correctives and skinning agree with a plain reference to a micrometre."""
    rng = np.random.default_rng(4)
    beta, psi = 0.5 * rng.normal(size=300), 0.5 * rng.normal(size=100)
    angles = np.array([[0.1, 0.4, -0.1], [0.1, 0, 0.05], [0.25, 0.02, 0], [0, 0.2, 0], [0, 0.2, 0]])
    shape = torch.from_numpy(beta).float()
    turned = torch.from_numpy(angles).float()[None]
    pose = HeadPose(
        torch.from_numpy(psi).float()[None],
        rotation=turned[:, 0],
        neck_pose=turned[:, 1],
        jaw_pose=turned[:, 2],
        eyes_pose=turned[:, 3:].flatten(1),
        translation=torch.tensor([[0.01, 0.02, 0.03]]),
    )

    person = head.model._replace(joints=joints_of(head, shape))
    found = pose_vertices(person, neutral_vertices(person, shape), pose)[0, :N_PUBLISHED]

    expected = reference(arrays, beta, psi, angles) + np.array([0.01, 0.02, 0.03])
    assert 0 == pytest.approx(np.abs(expected - found.double().numpy()).max(), abs=1e-6)


def test_layout_is_that_of_gaussian_avatars(head: MeanHead, arrays: dict[str, Any]) -> None:
    """5143 vertices and 10144 faces come first, FLAME's own numbered as published."""
    faces = head.model.faces.numpy()

    assert np.array_equal(arrays["f"], faces[:9976])
    assert [0 + 5023, 31 + 5023, 30 + 5023] == faces[9976].tolist()
    assert [118 + 5023, 119 + 5023, 59 + 5023] == faces[10143].tolist()
    assert faces[9976:10144].max() == N_WITH_TEETH - 1
    assert faces[10144:].min() >= N_WITH_TEETH


def test_teeth_hang_on_neck_and_jaw_behind_the_lips(head: MeanHead, arrays: dict[str, Any]) -> None:
    """Upper rows go with the neck, lower ones with the jaw; none with an expression."""
    model = head.model
    upper = torch.cat([torch.arange(*rows) for rows in ((0, 15), (30, 45), (60, 90))]) + 5023
    lower = torch.cat([torch.arange(*rows) for rows in ((15, 30), (45, 60), (90, 120))]) + 5023
    lips = arrays["v_template"][[*UPPER_LIP, *LOWER_LIP]]

    assert torch.equal(torch.ones(60), model.weights[upper, 1])
    assert torch.equal(torch.ones(60), model.weights[lower, 2])
    assert 0 == float(model.expr_basis[:, 5023:5143].abs().max())
    assert 0 < float(model.shape_basis[:, 5023:5143].abs().max())
    edge = model.template[5023 + 30 : 5023 + 45]
    gap = np.linalg.norm(lips[:15] - lips[15:], axis=1).mean()
    expected = (lips[:15, 2] + lips[15:, 2]) / 2 - 1.5 * gap
    assert expected == pytest.approx(edge[:, 2].numpy(), abs=1e-6)


def test_known_landmarks_are_taken_as_they_are(head: MeanHead, folder: Path) -> None:
    """The 105 of the user's file lie where it says; the others within a millimetre."""
    mean = open_head.build()
    truth = mean.template[mean.landmark_vertices]
    with np.load(folder / "mediapipe_landmark_embedding.npz") as stored:
        known = torch.from_numpy(stored["landmark_indices"])

    away = (landmarks_on(head.model, head.model.template) - truth).norm(dim=1)

    assert float(away[known].max()) < 1e-6
    assert float(away.max()) < 1e-3


def test_the_other_embedding_is_enough(folder: Path, tmp_path: Path) -> None:
    """Without MediaPipe's file the 68 landmarks carry the rest."""
    for name in ("flame2023.pkl", "FLAME_masks.pkl", "landmark_embedding_with_eyes.npy"):
        (tmp_path / name).hardlink_to(folder / name)
    mean = open_head.build()

    model = flame.build(tmp_path)

    away = landmarks_on(model, model.template) - mean.template[mean.landmark_vertices]
    assert float(away.norm(dim=1).median()) < 1e-3


def test_editions_have_names_of_their_own(tmp_path: Path, head: MeanHead) -> None:
    """2020 as npz gives the same mesh; motions of one are no motions of the other."""
    write_flame(tmp_path, "generic_model.npz")

    other: HeadModel = flame.build(tmp_path)

    assert torch.equal(head.model.template, other.template)
    assert "flame2023_000" == head.model.expression_names[0]
    assert "flame2020_099" == other.expression_names[-1]


def test_a_missing_file_is_named(folder: Path, tmp_path: Path) -> None:
    """With the folder it belongs in and the way without it."""
    with pytest.raises(MissingModel, match=r"flame2023\.pkl") as refusal:
        flame.build(tmp_path)
    assert "missing_model_file" == refusal.value.code

    (tmp_path / "flame2023.pkl").hardlink_to(folder / "flame2023.pkl")
    with pytest.raises(MissingModel, match=r"FLAME_masks.pkl"):
        flame.build(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"v_template": np.zeros((6890, 3))}, r"v_template is \[6890, 3\]"),
        ({"shapedirs": np.zeros((5023, 3, 150))}, "another model or edition"),
        ({"weights": None}, "has no 'weights'"),
        ({"weights": np.zeros((5023, 5))}, "do not sum to 1"),
        ({"f": np.full((9976, 3), 9000)}, "names vertices"),
        ({"v_template": np.full((5023, 3), np.nan)}, "not finite"),
        ({"v_template": "a word"}, "holds no numbers"),
        ({"kintree_table": np.zeros((2, 5))}, "joints"),
    ],
)
def test_other_models_are_refused(
    arrays: dict[str, Any], tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    """Wrong shapes, missing keys and nonsense: a typed error that says what was found."""
    content = {name: value for name, value in (arrays | change).items() if value is not None}
    (tmp_path / "generic_model.pkl").write_bytes(pickle.dumps(content, protocol=2))

    with pytest.raises(InvalidInput, match=said) as refusal:
        flame.build(tmp_path)

    assert "bad_head_file" == refusal.value.code


class _Touch:
    """Pickles as a call that makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", ["generic_model.pkl", "FLAME_masks.pkl"])
def test_a_malicious_pickle_runs_nothing(folder: Path, tmp_path: Path, name: str) -> None:
    """It is refused by the name it calls, and the file that it does make elsewhere is not there."""
    trace = tmp_path / "trace"
    (tmp_path / "generic_model.pkl").hardlink_to(folder / "flame2023.pkl")
    (tmp_path / name).unlink(missing_ok=True)
    content = pickle.dumps({"v_template": _Touch(trace)}, protocol=2)
    (tmp_path / name).write_bytes(content)
    pickle.loads(content)["v_template"].close()  # noqa: S301 - shows that it would
    trace.unlink()

    with pytest.raises(InvalidInput, match="open") as refusal:
        flame.build(tmp_path)

    assert "unsafe_head_file" == refusal.value.code
    assert not trace.exists()


def test_a_malicious_npy_runs_nothing(folder: Path, tmp_path: Path) -> None:
    """Pickles inside npy files go the same way."""
    trace = tmp_path / "trace"
    for name in ("flame2023.pkl", "FLAME_masks.pkl"):
        (tmp_path / name).hardlink_to(folder / name)
    content = np.array({"full_lmk_faces_idx": _Touch(trace)}, dtype=object)
    np.save(tmp_path / "landmark_embedding_with_eyes.npy", content, allow_pickle=True)

    with pytest.raises(InvalidInput) as refusal:
        flame.build(tmp_path)

    assert "unsafe_head_file" == refusal.value.code
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps([1, 2, 3])])
def test_what_is_no_dictionary_of_arrays_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty, torn or other file is told apart from a wrong edition."""
    (tmp_path / "flame2023.pkl").write_bytes(content)

    with pytest.raises(InvalidInput) as refusal:
        flame.build(tmp_path)

    assert "bad_head_file" == refusal.value.code


def test_chumpy_and_sparse_matrices_are_read_without_their_libraries(
    folder: Path, arrays: dict[str, Any]
) -> None:
    """The published pickle names chumpy; its numbers come out as they went in."""
    stored = read_pickle(folder / "flame2023.pkl")

    for name in ("v_template", "J_regressor", "weights"):
        assert np.array_equal(arrays[name], np.asarray(dense(stored[name])))
