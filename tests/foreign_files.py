"""Small readers of other programs' files, written from the formats alone."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZES = {"float": ("f", 4), "uchar": ("B", 1), "int": ("i", 4)}


def parse_ply(path: Path) -> tuple[list[str], list[list[float]], list[list[int]]]:
    """Property names, rows of the points, and triangles; strict, byte by byte."""
    data = path.read_bytes()
    head, _, body = data.partition(b"end_header\n")
    lines = head.decode("ascii").splitlines()
    assert ["ply", "format binary_little_endian 1.0"] == lines[:2]
    counts = {line.split()[1]: int(line.split()[2]) for line in lines if line.startswith("element")}
    at = lines.index(f"element vertex {counts['vertex']}") + 1
    names, kinds = [], []
    while at < len(lines) and lines[at].startswith("property ") and "list" not in lines[at]:
        _, kind, name = lines[at].split()
        names.append(name)
        kinds.append(kind)
        at += 1
    row = struct.Struct("<" + "".join(SIZES[kind][0] for kind in kinds))
    points = [list(row.unpack_from(body, k * row.size)) for k in range(counts["vertex"])]
    place = counts["vertex"] * row.size
    faces = []
    if "face" in counts:
        assert "property list uchar int vertex_indices" == lines[at + 1]
        for _ in range(counts["face"]):
            assert 3 == body[place]
            faces.append(list(struct.unpack_from("<3i", body, place + 1)))
            place += 13
    assert len(body) == place
    return names, points, faces


def parse_obj(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices and triangles of a Wavefront file, counted from 0."""
    vertices, faces = [], []
    for line in path.read_text("ascii").splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            vertices.append([float(value) for value in rest[:3]])
        elif word == "f":
            faces.append([int(corner.split("/")[0]) - 1 for corner in rest])
    return np.array(vertices), np.array(faces)


def parse_glb(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Positions and triangles of the first mesh of a binary glTF 2.0."""
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (b"glTF", 2, len(data)) == (magic, version, length)
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert b"JSON" == kind
    scene: dict[str, Any] = json.loads(data[20 : 20 + size])
    buffer = data[20 + size + 8 :]
    primitive = scene["meshes"][0]["primitives"][0]

    def accessor(number: int, width: int) -> NDArray[Any]:
        told = scene["accessors"][number]
        view = scene["bufferViews"][told["bufferView"]]
        start = view.get("byteOffset", 0) + told.get("byteOffset", 0)
        dtype = {5126: "<f4", 5125: "<u4", 5123: "<u2"}[told["componentType"]]
        return np.frombuffer(buffer, dtype, told["count"] * width, start).reshape(-1, width)

    positions = accessor(primitive["attributes"]["POSITION"], 3)
    corners = accessor(primitive["indices"], 1)
    return positions.astype(np.float32), corners.reshape(-1, 3).astype(np.int64)


def parse_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of an npz without pickles."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
