"""ICT FaceKit Light, repacked into one npz: its arrays, its parts, and reading it.

Source: ICT-VGL/ICT-FaceKit (MIT), "Face Model Topology" in its README for the parts.
"""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.contracts.artifact import Column, check_arrays
from shared.errors import InvalidInput, MissingModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FILE = "ict_facekit_light.npz"
N_VERTICES = 26719
N_IDENTITIES = 100
N_EXPRESSIONS = 57
ICT_TABLE = {
    "v_template": Column("float32", (N_VERTICES, 3), "cm", "mean neutral head"),
    "uv": Column("float32", ("U", 2), "1", "texture coordinates"),
    "faces": Column("int32", ("F", 4), "1", "corners; a triangle repeats its last one"),
    "faces_uv": Column("int32", ("F", 4), "1", "texture coordinates of the corners"),
    "identity_deltas": Column("float16", (N_IDENTITIES, N_VERTICES, 3), "cm", "per sigma"),
    "expression_deltas": Column("float16", (N_EXPRESSIONS, N_VERTICES, 3), "cm", "full effect"),
    "expression_names": Column("<U16", (N_EXPRESSIONS,), "1", "ARKit's, with _L and _R"),
}
PARTS = {
    "face": (0, 9409),
    "head_and_neck": (9409, 11248),
    "mouth_socket": (11248, 13294),
    "eye_sockets": (13294, 14062),
    "gums_and_tongue": (14062, 17039),
    "teeth": (17039, 21451),
    "left_eyeball": (21451, 23021),
    "right_eyeball": (23021, 24591),
    "eye_overlays": (24591, 26719),
}
"""First vertex of each part and the one after its last; the overlays are tear film, blending
strips, occlusion and lashes."""
LANDMARKS_68 = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088,
    3443, 268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140,
    2075, 1147, 4269, 3360, 1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732,
    5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841, 5702, 5711, 5533, 6216,
    6207, 6470, 5517, 5966,
)  # fmt: skip
"""Vertices of the 68 landmarks of iBUG, from its ``vertex_indices.json``."""


class IctArrays(NamedTuple):
    """The repacked model in metres; origin and axes as published."""

    template: Floats  # [V, 3]
    faces: Ints  # [F, 3] triangles
    identities: NDArray[np.float32]  # [100, V, 3]
    expressions: NDArray[np.float32]  # [57, V, 3]
    names: tuple[str, ...]


def read_ict(models_dir: Path | None) -> IctArrays:
    """Read the npz from the models folder; nothing is unpickled.

    Raises:
        MissingModel: ``missing_model_file``.
        InvalidInput: ``bad_head_file``.
    """
    path = None if models_dir is None else models_dir / FILE
    if path is None or not path.is_file():
        raise MissingModel(
            "missing_model_file",
            f"the head model ict_face needs {FILE} in TALKSPLAT_MODELS_DIR ({models_dir}); get "
            "github.com/ICT-VGL/ICT-FaceKit and run: talksplat models import ict-facekit DIR",
        )
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        check_arrays(arrays, ICT_TABLE, path.name)
    except (AttributeError, OSError, ValueError, zipfile.BadZipFile, InvalidInput) as error:
        raise InvalidInput(
            "bad_head_file",
            f"{path} is not ICT FaceKit Light as talksplat packs it ({error}); "
            "build it again: talksplat models import ict-facekit DIR",
        ) from error
    quads = arrays["faces"].astype(np.int64)
    if (quads < 0).any() or (quads >= N_VERTICES).any():
        raise InvalidInput("bad_head_file", f"{path}: faces name vertices that are not there")
    return IctArrays(
        arrays["v_template"].astype(np.float64) / 100,
        triangles(quads),
        arrays["identity_deltas"].astype(np.float32) / 100,
        arrays["expression_deltas"].astype(np.float32) / 100,
        tuple(str(name) for name in arrays["expression_names"]),
    )


def triangles(quads: Ints) -> Ints:
    """Each quad as two triangles, neighbours in the list; the degenerate ones left out. [F, 3]"""
    both = np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
    return both[both[:, 1] != both[:, 2]]


def part_of_faces(faces: Ints) -> NDArray[np.str_]:
    """Name of the part that each triangle's last-numbered corner belongs to. [F]

    Triangles that join two parts thus count to the inner one.
    """
    ends = [end for _, end in PARTS.values()]
    return np.array(list(PARTS))[np.searchsorted(ends, faces.max(1), side="right")]
