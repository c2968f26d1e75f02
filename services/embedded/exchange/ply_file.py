"""Reads and writes PLY files with one element of points, binary and little-endian."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput

F32 = NDArray[np.float32]

MAX_HEADER_BYTES = 65_536
MAX_POINTS = 20_000_000
_TYPES = {"float": "<f4", "float32": "<f4", "double": "<f8", "uchar": "u1", "int": "<i4"}
_HEADER = re.compile(
    rb"ply\r?\nformat binary_little_endian 1\.0\r?\n(?P<lines>.*?)end_header\r?\n", re.DOTALL
)
_PROPERTY = re.compile(r"property (\w+) (\w+)")


def write_points(
    path: Path, columns: dict[str, NDArray[np.generic]], faces: NDArray[np.int64] | None = None
) -> None:
    """Write columns of equal length, and triangles between the points where there are any.

    Args:
        path: The file.
        columns: float32 or uint8 by property name. [N] each
        faces: Corners of each triangle. [F, 3]
    """
    kinds = {np.dtype("float32"): "float", np.dtype("uint8"): "uchar"}
    n_points = len(next(iter(columns.values())))
    table = np.empty(
        n_points, [(name, column.dtype.newbyteorder("<")) for name, column in columns.items()]
    )
    for name, column in columns.items():
        table[name] = column
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {n_points}"]
    lines += [f"property {kinds[column.dtype]} {name}" for name, column in columns.items()]
    body = table.tobytes()
    if faces is not None:
        lines += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
        rows = np.empty(len(faces), [("n", "u1"), ("corners", "<i4", 3)])
        rows["n"], rows["corners"] = 3, faces
        body += rows.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\n".join([*lines, "end_header", ""]).encode("ascii") + body)


def read_points(path: Path) -> dict[str, F32]:
    """Read the first element's columns as float32. [N] each

    Raises:
        InvalidInput: ``bad_exchange_file``.
    """
    with path.open("rb") as stream:
        start = stream.read(MAX_HEADER_BYTES)
        header = _HEADER.match(start)
        if header is None:
            raise _refusal(path, "it is no binary little-endian PLY")
        lines = header["lines"].decode("ascii", "replace").splitlines()
        n_points, columns = _first_element(path, lines)
        stream.seek(header.end())
        layout = np.dtype(columns)
        data = stream.read(n_points * layout.itemsize)
    if len(data) < n_points * layout.itemsize:
        raise _refusal(path, f"it ends before its {n_points} points do")
    table = np.frombuffer(data, layout)
    return {name: table[name].astype(np.float32) for name in layout.names or ()}


def stack_columns(path: Path, columns: dict[str, F32], names: list[str]) -> F32:
    """Some columns side by side, finite. [N, len(names)]

    Raises:
        InvalidInput: ``bad_exchange_file``.
    """
    if missing := [name for name in names if name not in columns]:
        raise _refusal(path, f"it lacks the properties {', '.join(missing)}")
    values = np.stack([columns[name] for name in names], 1)
    if not np.isfinite(values).all():
        raise _refusal(path, f"{names[0]} and its kind have values that are no numbers")
    return values


def _first_element(path: Path, lines: list[str]) -> tuple[int, list[tuple[str, str]]]:
    """How many points there are, and name and type of their columns."""
    lines = [line for line in lines if not line.startswith(("comment", "obj_info"))]
    start = re.fullmatch(r"element vertex (\d{1,9})", lines[0]) if lines else None
    if start is None or int(start[1]) > MAX_POINTS:
        raise _refusal(path, f"its first element is not a vertex list of at most {MAX_POINTS}")
    columns: list[tuple[str, str]] = []
    for line in lines[1:]:
        if line.startswith("element"):
            break
        found = _PROPERTY.fullmatch(line)
        if found is None or found[1] not in _TYPES or found[2] in dict(columns):
            raise _refusal(path, f"the property {line!r} cannot be read")
        columns.append((found[2], _TYPES[found[1]]))
    return int(start[1]), columns


def _refusal(path: Path, reason: str) -> InvalidInput:
    return InvalidInput("bad_exchange_file", f"{path} cannot be imported: {reason}")
