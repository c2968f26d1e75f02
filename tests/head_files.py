"""Model files of the layouts of FLAME and of ICT FaceKit, made of the open head's mesh.

The real ones may not be distributed or are large. Their sizes, keys, vertex numbers and pickled
classes are kept; geometry, modes and weights are the open head's, spread over as many vertices.
"""

import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix
from scipy.spatial.transform import Rotation
from torch import Tensor

from shared.contracts.tracked_dataset import REGIONS
from shared.head_model import HeadModel
from shared.head_models import open_head
from shared.landmarks import LEFT_BROW, LEFT_EYE, LIPS, NOSE, RIGHT_BROW, RIGHT_EYE
from shared.open_head_parts.lip_rings import OUTER_LOWER, OUTER_UPPER
from shared.scanned_heads.flame_file import MASK_NAMES, N_FACES, N_VERTICES
from shared.scanned_heads.flame_teeth import LOWER_LIP, UPPER_LIP
from shared.scanned_heads.ict_facekit import (
    FILE,
    LANDMARKS_68,
    N_EXPRESSIONS,
    N_IDENTITIES,
    PARTS,
)
from shared.scanned_heads.ict_facekit import N_VERTICES as N_ICT_VERTICES
from shared.scanned_heads.landmark_transfer import IBUG_68

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

JAW_OPEN_RAD = 0.4
SIDED_UNITS = (
    "browDown", "browInnerUp", "browOuterUp", "cheekPuff", "cheekRaiser", "cheekSquint",
    "eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide",
    "mouthDimple", "mouthFrown", "mouthLowerDown", "mouthPress", "mouthSmile", "mouthStretch",
    "mouthUpperUp", "noseSneer", "PupilDilate",
)  # fmt: skip
WHOLE_UNITS = (
    "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthFunnel", "mouthLeft",
    "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
    "mouthShrugUpper",
)  # fmt: skip
ICT_UNITS = (*(f"{name}_{side}" for name in SIDED_UNITS for side in "LR"), *WHOLE_UNITS)


class Mesh(NamedTuple):
    """The open head spread over other vertices."""

    blend: csr_matrix  # [V, n] each vertex as a mean of the open head's
    faces: Ints  # [F, 3]

    def spread(self, values: Tensor | Floats) -> Floats:
        """What the open head has at its vertices, at this one's. [..., n, C] -> [..., V, C]"""
        own = np.asarray(values, dtype=np.float64)
        columns = np.moveaxis(own, -2, 0)  # [n, ..., C]
        spread = (self.blend @ columns.reshape(len(columns), -1)).reshape(-1, *columns.shape[1:])
        return np.moveaxis(spread, 0, -2)


def write_flame(folder: Path, name: str = "flame2023.pkl") -> dict[str, Any]:
    """Write the model, its masks and both landmark embeddings; the model's arrays."""
    arrays = flame_arrays()
    folder.mkdir(parents=True, exist_ok=True)
    if name.endswith(".npz"):
        np.savez(folder / name, **arrays)
    else:
        write_old_pickle(folder / name, arrays)
    mesh, head = _flame_mesh(), open_head.build()
    (folder / "FLAME_masks.pkl").write_bytes(pickle.dumps(_masks(mesh, head), protocol=2))
    numbers = np.array(sorted({*LIPS, *RIGHT_EYE, *LEFT_EYE, *RIGHT_BROW, *LEFT_BROW, *NOSE}))
    faces, weights = _embedding(mesh, numbers[:105])
    np.savez(
        folder / "mediapipe_landmark_embedding.npz",
        lmk_face_idx=faces,
        lmk_b_coords=weights,
        landmark_indices=numbers[:105],
    )
    faces, weights = _embedding(mesh, np.array([*IBUG_68, 159, 386]))
    np.save(
        folder / "landmark_embedding_with_eyes.npy",
        np.array({"full_lmk_faces_idx": faces[None], "full_lmk_bary_coords": weights[None]}),
        allow_pickle=True,
    )
    return arrays


def flame_arrays() -> dict[str, Any]:
    """FLAME's keys and shapes; pose correctives are small and smooth."""
    head, mesh = open_head.build(), _flame_mesh()
    template = mesh.spread(head.template)
    modes = np.concatenate(
        [
            _modes(head.shape_basis.double().numpy(), 300),
            _modes(head.expr_basis.double().numpy(), 100),
        ]
    )
    waves = np.sin(40 * template @ np.random.default_rng(2).normal(size=(3, 36)))  # [V, 36]
    joints = head.joints.double().numpy()
    return {
        "v_template": template,
        "f": mesh.faces.astype(np.uint32),
        "shapedirs": np.moveaxis(mesh.spread(modes), 0, -1),
        "posedirs": 1e-4 * np.repeat(waves[:, None], 3, axis=1),
        "J_regressor": _regressor(template, joints),
        "weights": mesh.spread(head.weights),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.int64),
        "J": joints,
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def write_old_pickle(path: Path, arrays: dict[str, Any]) -> None:
    """Pickle as the published file does: chumpy around some arrays, a SciPy matrix, protocol 2."""
    with _chumpy() as wrap:
        content = dict(arrays)
        for name in ("v_template", "shapedirs", "posedirs"):
            content[name] = wrap(arrays[name])
        content["J_regressor"] = csc_matrix(arrays["J_regressor"])
        path.write_bytes(pickle.dumps(content, protocol=2))


def write_ict(folder: Path) -> None:
    """Write ``ict_facekit_light.npz``."""
    head, mesh = open_head.build(), _ict_mesh()
    template = mesh.spread(head.template)
    names = sorted(ICT_UNITS)
    own = dict(zip(head.expression_names, head.expr_basis.double().numpy(), strict=True))
    still = np.zeros((len(head.template), 3))
    units = mesh.spread(np.stack([own.get(name, still) for name in names]))
    joint = head.joints[2].double().numpy()
    turned = Rotation.from_rotvec([JAW_OPEN_RAD, 0, 0]).apply(template - joint) + joint
    share = mesh.spread(head.weights[:, 2:3])
    units[names.index("jawOpen")] = share * (turned - template)
    modes = _modes(head.shape_basis.double().numpy(), N_IDENTITIES)
    quads = np.concatenate([mesh.faces, mesh.faces[:, 2:]], axis=1)
    assert (N_EXPRESSIONS, N_ICT_VERTICES) == units.shape[:2]
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / FILE,
        v_template=(100 * template).astype(np.float32),
        uv=np.zeros((3, 2), np.float32),
        faces=quads.astype(np.int32),
        faces_uv=np.zeros((len(quads), 4), np.int32),
        identity_deltas=(100 * mesh.spread(modes)).astype(np.float16),
        expression_deltas=(100 * units).astype(np.float16),
        expression_names=np.array(names, dtype="<U16"),
    )


def _flame_mesh() -> Mesh:
    """The open head without teeth and torso on 5023 vertices, by splitting triangles."""
    head = open_head.build()
    labels = head.face_regions.numpy()
    hidden = [REGIONS.index(name) for name in ("teeth", "torso")]
    faces = head.faces.numpy()[~np.isin(labels, hidden)]
    used = np.unique(faces)
    reserved = [*UPPER_LIP, *LOWER_LIP]
    free = np.setdiff1d(np.arange(N_VERTICES), reserved)
    blend = np.zeros((N_VERTICES, len(head.template)))
    blend[free[: len(used)], used] = 1
    place = np.zeros(len(head.template), dtype=np.int64)
    place[used] = free[: len(used)]
    faces = place[faces]
    for vertex in free[len(used) :]:
        blend[vertex] = blend[faces[0]].mean(0)
        faces = np.concatenate([faces[1:], _split(faces[0], int(vertex))])
    for ring, numbers in ((OUTER_UPPER, UPPER_LIP), (OUTER_LOWER, LOWER_LIP)):
        line = place[list(ring)][::-1]  # from the left corner to the right one
        at = np.linspace(0, len(line) - 1, len(numbers))
        left = np.minimum(at.astype(int), len(line) - 2)
        share = (at - left)[:, None]
        blend[list(numbers)] = (1 - share) * blend[line[left]] + share * blend[line[left + 1]]
    missing = N_FACES - len(faces)
    return Mesh(csr_matrix(blend), np.concatenate([faces, faces[:missing]])[:N_FACES])


def _split(face: Ints, vertex: int) -> Ints:
    a, b, c = face
    return np.array([[a, b, vertex], [b, c, vertex], [c, a, vertex]])


def _ict_mesh() -> Mesh:
    """The open head without its torso in ICT's parts; unused numbers repeat their part's."""
    head = open_head.build()
    labels, faces = head.face_regions.numpy(), head.faces.numpy()
    faces = faces[labels != REGIONS.index("torso")]
    labels = labels[labels != REGIONS.index("torso")]
    weights = head.weights.numpy()
    eyes = [np.flatnonzero(weights[:, joint] > 0) for joint in (3, 4)]

    def of(*names: str) -> Ints:
        return np.unique(faces[np.isin(labels, [REGIONS.index(name) for name in names])])

    face = np.arange(468)
    parts = {
        "face": face,
        "head_and_neck": np.setdiff1d(of("hair", "neck"), face),
        "mouth_socket": np.setdiff1d(of("mouth_inside"), face),
        "eye_sockets": eyes[0],
        "gums_and_tongue": of("teeth"),
        "teeth": of("teeth"),
        "left_eyeball": eyes[0],
        "right_eyeball": eyes[1],
        "eye_overlays": eyes[1],
    }
    source = np.zeros(N_ICT_VERTICES, dtype=np.int64)
    place = np.zeros(len(head.template), dtype=np.int64)
    numbers_of = {name: np.arange(*PARTS[name]) for name in parts}
    # The 68 landmarks have numbers of their own.
    parts["face"] = np.concatenate([IBUG_68, np.setdiff1d(face, IBUG_68)])
    others = np.setdiff1d(numbers_of["face"], LANDMARKS_68)
    numbers_of["face"] = np.concatenate([LANDMARKS_68, others])
    for name, members in parts.items():
        numbers = numbers_of[name]
        source[numbers] = np.resize(members, len(numbers))
        if name not in {"eye_sockets", "gums_and_tongue", "eye_overlays"}:
            place[members] = numbers[: len(members)]
    rows = np.arange(N_ICT_VERTICES)
    blend = csr_matrix((np.ones(N_ICT_VERTICES), (rows, source)), (len(rows), len(place)))
    return Mesh(blend, place[faces])


def _modes(own: Floats, n: int) -> Floats:
    """As many modes as a file has: the open head's, repeated smaller. [n, V, 3]"""
    times = -(-n // len(own))
    return np.concatenate([own * 0.5**turn for turn in range(times)])[:n]


def _regressor(template: Floats, joints: Floats) -> Floats:
    """Rows that sum to 1 and give the joints, each of the vertices next to it. [5, V]"""
    rows = np.zeros((len(joints), len(template)))
    for row, joint in zip(rows, joints, strict=True):
        near = np.argsort(np.linalg.norm(template - joint, axis=1), kind="stable")[:60]
        system = np.concatenate([template[near].T, np.ones((1, len(near)))])
        row[near] = np.linalg.lstsq(system, [*joint, 1], rcond=None)[0]
    return rows


def _masks(mesh: Mesh, head: HeadModel) -> dict[str, Ints]:
    """FLAME's fourteen lists of vertices."""
    labels, faces = head.face_regions.numpy(), head.faces.numpy()

    def of(*names: str) -> Ints:
        members = np.unique(faces[np.isin(labels, [REGIONS.index(name) for name in names])])
        share = np.zeros((len(head.template), 1))
        share[members] = 1
        return np.flatnonzero(mesh.spread(share)[:, 0] > 0.999)

    def joint(number: int) -> Ints:
        return np.flatnonzero(mesh.spread(head.weights[:, number : number + 1])[:, 0] > 0.999)

    face = of("face", "lips", "nose", "brows")
    scalp = of("hair")
    found = dict.fromkeys(MASK_NAMES, face)
    found |= {"scalp": scalp, "neck": of("neck"), "boundary": of("neck")[-40:]}
    found |= {"nose": of("nose"), "lips": of("lips")}
    found |= {"left_eyeball": joint(3), "right_eyeball": joint(4)}
    x = mesh.spread(head.template)[scalp, 0]
    found |= {"left_ear": scalp[x > 0.09], "right_ear": scalp[x < -0.09]}
    return found


def _embedding(mesh: Mesh, landmarks: Ints) -> tuple[Ints, Floats]:
    """A face at each landmark and its weights: the corner that the landmark is at."""
    vertices = np.asarray(mesh.blend[:, landmarks].argmax(0)).ravel()
    faces = np.array([int(np.flatnonzero((mesh.faces == v).any(1))[0]) for v in vertices])
    return faces, (mesh.faces[faces] == vertices[:, None]).astype(np.float64)


@contextmanager
def _chumpy() -> Iterator[Any]:
    """A module that pickles like chumpy, which nobody has any more; a maker of its arrays."""
    package, module = ModuleType("chumpy"), ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x: Floats) -> None:
            self.__dict__.update({"x": x, "_dirty_vars": set(), "_itr": None})

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    module.Ch = Ch  # type: ignore[attr-defined]
    sys.modules |= {"chumpy": package, "chumpy.ch": module}
    try:
        yield Ch
    finally:
        del sys.modules["chumpy"], sys.modules["chumpy.ch"]
