"""The licensed FLAME files of a user: the model, its masks, its landmark embeddings.

Layouts after Li et al. 2017 and the files' own keys. Looked for in the models folder by the names
that their owner gives them; pickles go through ``array_pickle``, so nothing in them is run.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput, MissingModel
from shared.scanned_heads.array_pickle import dense, read_npy_pickle, read_npz, read_pickle
from shared.scanned_heads.landmark_transfer import IBUG_68, JAWLINE_TRUST, N_JAWLINE, Anchors

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shape = tuple[int | None, ...]

N_VERTICES, N_FACES = 5023, 9976
N_SHAPE, N_EXPRESSION = 300, 100
EDITIONS = {
    "flame2023.pkl": "flame2023",
    "flame2023.npz": "flame2023",
    "flame2023_Open.pkl": "flame2023",
    "flame2023_Open.npz": "flame2023",
    "generic_model.pkl": "flame2020",
    "generic_model.npz": "flame2020",
}
"""File name and edition, the first that is there is taken. Expressions of the two editions are
different spaces, so their names tell the edition."""
MASKS = "FLAME_masks.pkl"
MEDIAPIPE = "mediapipe_landmark_embedding.npz"
WITH_EYES = "landmark_embedding_with_eyes.npy"
MODEL_SHAPES: dict[str, Shape] = {
    "v_template": (N_VERTICES, 3),
    "f": (N_FACES, 3),
    "shapedirs": (N_VERTICES, 3, N_SHAPE + N_EXPRESSION),
    "posedirs": (N_VERTICES, 3, 36),
    "J_regressor": (5, N_VERTICES),
    "weights": (N_VERTICES, 5),
    "kintree_table": (2, 5),
}
PARENTS = (0, 1, 1, 1)
"""Of the joints 1 to 4, in the first row of ``kintree_table``."""
MASK_NAMES = (
    "face", "neck", "scalp", "boundary", "right_eyeball", "left_eyeball", "right_ear", "left_ear",
    "forehead", "eye_region", "nose", "lips", "right_eye_region", "left_eye_region",
)  # fmt: skip


class FlameArrays(NamedTuple):
    """FLAME as published: metres, its own origin."""

    edition: str
    template: Floats  # [5023, 3]
    faces: Ints  # [9976, 3]
    directions: Floats  # [5023, 3, 400] shape, then expression
    pose_directions: Floats  # [36, 5023, 3]
    joint_regressor: Floats  # [5, 5023]
    weights: Floats  # [5023, 5]


class FlameLandmarks(NamedTuple):
    """Landmarks on FLAME's own faces."""

    landmarks: Ints  # [A] MediaPipe's numbers
    faces: Ints  # [A]
    weights: Floats  # [A, 3]
    trust: Floats  # [A]

    def anchors(self, flame: FlameArrays) -> Anchors:
        """Where they are at rest."""
        corners = flame.template[flame.faces[self.faces]]
        points = (corners * self.weights[..., None]).sum(1)
        return Anchors(self.landmarks, points, self.trust)


def read_flame(models_dir: Path | None) -> FlameArrays:
    """Read the newest edition in the models folder.

    Raises:
        MissingModel: ``missing_model_file``.
        InvalidInput: ``bad_head_file`` or ``unsafe_head_file``.
    """
    path = _find(models_dir, tuple(EDITIONS), "its model (flame2023.pkl or generic_model.pkl)")
    stored = read_npz(path) if path.suffix == ".npz" else read_pickle(path)
    arrays = {name: _array(stored, name, shape, path) for name, shape in MODEL_SHAPES.items()}
    faces = arrays["f"].astype(np.int64)
    if faces.min() < 0 or faces.max() >= N_VERTICES:
        raise InvalidInput("bad_head_file", f"{path}: f names vertices that are not there")
    if tuple(arrays["kintree_table"][0, 1:].astype(np.int64)) != PARENTS:
        raise InvalidInput(
            "bad_head_file", f"{path}: its joints hang together otherwise than 0-1-*"
        )
    if not np.allclose(arrays["weights"].sum(1), 1, atol=1e-3):
        raise InvalidInput("bad_head_file", f"{path}: rows of weights do not sum to 1")
    return FlameArrays(
        EDITIONS[path.name],
        arrays["v_template"].astype(np.float64),
        faces,
        arrays["shapedirs"].astype(np.float64),
        np.moveaxis(arrays["posedirs"].astype(np.float64), -1, 0),
        arrays["J_regressor"].astype(np.float64),
        arrays["weights"].astype(np.float64),
    )


def read_masks(models_dir: Path | None) -> dict[str, Ints]:
    """Vertices of FLAME's named regions; errors as ``read_flame``."""
    path = _find(models_dir, (MASKS,), f"its regions ({MASKS})")
    stored = read_pickle(path)
    masks = {name: _array(stored, name, (None,), path).astype(np.int64) for name in MASK_NAMES}
    for name, vertices in masks.items():
        if len(vertices) == 0 or vertices.min() < 0 or vertices.max() >= N_VERTICES:
            raise InvalidInput("bad_head_file", f"{path}: {name} is not a list of its vertices")
    return masks


def read_landmarks(models_dir: Path | None) -> FlameLandmarks:
    """Known landmarks: MediaPipe's 105 where that file is there, else iBUG's 68.

    MediaPipe's file has no jawline; the other one's is added with little trust.
    Errors as ``read_flame``.
    """
    path = _find(models_dir, (MEDIAPIPE, WITH_EYES), f"its landmarks ({MEDIAPIPE} or {WITH_EYES})")
    assert models_dir is not None  # the file was found in it
    ibug = _ibug(models_dir / WITH_EYES) if (models_dir / WITH_EYES).is_file() else None
    if path.name == WITH_EYES:
        assert ibug is not None
        return ibug
    stored = read_npz(path)
    numbers = _array(stored, "landmark_indices", (None,), path).astype(np.int64)
    n = len(numbers)
    if n == 0 or numbers.min() < 0 or numbers.max() >= 468:  # noqa: PLR2004 - MediaPipe's face
        raise InvalidInput("bad_head_file", f"{path}: landmark_indices are not MediaPipe's")
    known = FlameLandmarks(
        numbers,
        _faces(_array(stored, "lmk_face_idx", (n,), path), path),
        _array(stored, "lmk_b_coords", (n, 3), path).astype(np.float64),
        np.ones(n),
    )
    if ibug is None:
        return known
    extra = np.flatnonzero(~np.isin(ibug.landmarks[:N_JAWLINE], numbers))
    return FlameLandmarks(
        *[np.concatenate([one, other[extra]]) for one, other in zip(known, ibug, strict=True)]
    )


def _ibug(path: Path) -> FlameLandmarks:
    """The 68 of ``full_lmk_*``, jawline first, as seen from the front."""
    stored = read_npy_pickle(path)
    n = len(IBUG_68)
    faces = _array(stored, "full_lmk_faces_idx", (1, None), path)[0, :n]
    weights = _array(stored, "full_lmk_bary_coords", (1, None, 3), path)[0, :n]
    if len(faces) < n or len(weights) < n:
        raise InvalidInput("bad_head_file", f"{path}: {len(faces)} landmarks, expected 68 and more")
    trust = np.where(np.arange(n) < N_JAWLINE, JAWLINE_TRUST, 1.0)
    return FlameLandmarks(np.array(IBUG_68), _faces(faces, path), weights.astype(np.float64), trust)


def _faces(values: NDArray[Any], path: Path) -> Ints:
    faces = values.astype(np.int64)
    if (faces < 0).any() or (faces >= N_FACES).any():
        raise InvalidInput("bad_head_file", f"{path}: landmarks lie in faces that are not there")
    return faces


def _array(stored: dict[str, Any], name: str, shape: Shape, path: Path) -> NDArray[Any]:
    """An array of a file, with its shape and numbers checked."""
    if name not in stored:
        raise InvalidInput(
            "bad_head_file",
            f"{path} has no {name!r} but {sorted(stored)[:12]}; take FLAME 2020 or 2023 from "
            "flame.is.tue.mpg.de",
        )
    array = dense(stored[name])
    if array is None or array.dtype.kind not in "iuf":
        raise InvalidInput("bad_head_file", f"{path}: {name} holds no numbers")
    is_right = array.ndim == len(shape) and all(
        wanted is None or wanted == found for wanted, found in zip(shape, array.shape, strict=True)
    )
    if not is_right:
        raise InvalidInput(
            "bad_head_file",
            f"{path}: {name} is {list(array.shape)}, FLAME 2020 and 2023 have {list(shape)}; "
            "this is another model or edition",
        )
    if not np.isfinite(array).all():
        raise InvalidInput("bad_head_file", f"{path}: {name} holds numbers that are not finite")
    return array


def _find(models_dir: Path | None, names: tuple[str, ...], what: str) -> Path:
    """The first of some files that is in the models folder."""
    for name in names:
        if models_dir is not None and (models_dir / name).is_file():
            return models_dir / name
    raise MissingModel(
        "missing_model_file",
        f"the head model flame needs {what} in TALKSPLAT_MODELS_DIR ({models_dir}); its licence is "
        "given at flame.is.tue.mpg.de. Without it use open_head or ict_face",
    )
