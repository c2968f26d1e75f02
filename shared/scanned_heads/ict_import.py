"""Packs ICT FaceKit Light, as its owner publishes it, into the npz that ``ict_face`` reads.

Published layout (github.com/ICT-VGL/ICT-FaceKit, MIT): a folder ``FaceXModel`` with
``generic_neutral_mesh.obj``, one ``identityNNN.obj`` per identity and one OBJ per expression unit,
named for it, all of the same topology. Each differs from the neutral by one mode.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.contracts.artifact import Arrays, Column, check_arrays
from shared.errors import InvalidInput
from shared.progress import Progress
from shared.scanned_heads.ict_facekit import FILE, ICT_TABLE

NEUTRAL = "generic_neutral_mesh"
IDENTITY = re.compile(r"identity\d{3}")
SUBFOLDER = "FaceXModel"


class _Mesh(NamedTuple):
    vertices: NDArray[np.float64]  # [V, 3] cm
    uv: NDArray[np.float64]  # [U, 2]
    corners: NDArray[np.int64]  # [F, 4, 2] vertex and texture coordinate


def pack_ict(
    folder: Path, models_dir: Path, progress: Progress, table: Mapping[str, Column] = ICT_TABLE
) -> Path:
    """Read the published folder and write the npz into the models folder.

    Args:
        folder: The repository's folder, or its ``FaceXModel``.
        models_dir: Where to.
        progress: Told how far it is.
        table: What the file must hold.

    Raises:
        InvalidInput: ``bad_head_file`` when the folder is not that of the light model.
    """
    arrays = _read_folder(folder, progress)
    try:
        check_arrays(arrays, table, folder.name)
    except InvalidInput as error:
        raise InvalidInput(
            "bad_head_file",
            f"{folder} is not the light model of ICT FaceKit ({error}); take the whole repository",
        ) from error
    models_dir.mkdir(parents=True, exist_ok=True)
    part = models_dir / (FILE + ".part")
    with part.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    path = models_dir / FILE
    part.replace(path)
    return path


def _read_folder(folder: Path, progress: Progress) -> Arrays:
    inside = folder / SUBFOLDER if (folder / SUBFOLDER).is_dir() else folder
    names = sorted(path.stem for path in inside.glob("*.obj"))
    if NEUTRAL not in names:
        raise InvalidInput(
            "bad_head_file",
            f"{inside} has no {NEUTRAL}.obj; name the folder of github.com/ICT-VGL/ICT-FaceKit",
        )
    identities = [name for name in names if IDENTITY.fullmatch(name)]
    units = [name for name in names if name != NEUTRAL and name not in identities]
    neutral = _read_mesh(inside / f"{NEUTRAL}.obj")
    deltas = {}
    for done, name in enumerate((*identities, *units)):
        progress(done / (len(names) - 1), f"reading {name}.obj")
        vertices = _read_vertices(inside / f"{name}.obj")
        if vertices.shape != neutral.vertices.shape:
            raise InvalidInput(
                "bad_head_file",
                f"{name}.obj has {len(vertices)} vertices, the neutral {len(neutral.vertices)}",
            )
        deltas[name] = (vertices - neutral.vertices).astype(np.float16)
    shape = (-1, *neutral.vertices.shape)
    return {
        "v_template": neutral.vertices.astype(np.float32),
        "uv": neutral.uv.astype(np.float32),
        "faces": neutral.corners[..., 0].astype(np.int32),
        "faces_uv": neutral.corners[..., 1].astype(np.int32),
        "identity_deltas": np.array([deltas[name] for name in identities], np.float16).reshape(
            shape
        ),
        "expression_deltas": np.array([deltas[name] for name in units], np.float16).reshape(shape),
        "expression_names": np.array(units, dtype="<U16"),
    }


def _read_vertices(path: Path) -> NDArray[np.float64]:
    return _numbers(path, "v", 3)


def _read_mesh(path: Path) -> _Mesh:
    """Vertices, texture coordinates and faces of three or four corners."""
    corners = []
    for line in _lines(path, "f"):
        try:
            face = [[int(number) - 1 for number in corner.split("/")[:2]] for corner in line]
        except ValueError as error:
            raise InvalidInput("bad_head_file", f"{path}: a face reads {line}") from error
        if len(face) not in {3, 4} or any(len(corner) != len(("v", "vt")) for corner in face):
            raise InvalidInput(
                "bad_head_file", f"{path}: a face reads {line}, expected 3 or 4 v/vt"
            )
        corners.append(face if len(face) > len("vvv") else [*face, face[-1]])
    if not corners:
        raise InvalidInput("bad_head_file", f"{path} has no faces")
    return _Mesh(_numbers(path, "v", 3), _numbers(path, "vt", 2), np.array(corners))


def _numbers(path: Path, kind: str, n: int) -> NDArray[np.float64]:
    try:
        values = np.array([line[:n] for line in _lines(path, kind)], dtype=np.float64)
    except ValueError as error:
        raise InvalidInput("bad_head_file", f"{path}: lines of {kind!r} are no numbers") from error
    if values.ndim != len(("rows", "columns")) or not np.isfinite(values).all():
        raise InvalidInput("bad_head_file", f"{path}: lines of {kind!r} do not have {n} numbers")
    return values


def _lines(path: Path, kind: str) -> list[list[str]]:
    """Words of each line of one kind, its first word left out."""
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("bad_head_file", f"{path} cannot be read: {error}") from error
    start = kind + " "
    return [line.split()[1:] for line in text.splitlines() if line.startswith(start)]
