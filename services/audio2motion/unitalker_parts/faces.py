"""UniTalker's outputs on an avatar's face: what a head says, as this head model's coefficients.

Every way is linear, so that one matrix per face is enough: FLAME parameters and blendshapes by
name; vertices in FLAME's topology by least squares, for heads that have that topology.
"""

import re
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from services.audio2motion.pretrained import Face
from services.audio2motion.unitalker_parts.components import (
    Components,
    components_path,
    decode,
    read_components,
)
from services.audio2motion.unitalker_parts.outputs import (
    BLENDSHAPES,
    FLAME_EDITION,
    FLAME_EXPRESSION,
    FLAME_JAW,
    N_COMPONENTS,
    N_FLAME_EXPRESSION,
    OUTPUTS,
)
from shared.contracts.artifact import Column
from shared.errors import InvalidInput
from shared.head_model import HeadModel, HeadPose, pose_vertices

F32 = NDArray[np.float32]

N_FLAME_VERTICES = 5023
JAW_OPEN_RAD = 0.4
"""Angle of the jaw at ``jawOpen`` = 1, where the head model has the jaw joint instead of the unit:
23 degrees, about a mouth opened as wide as speech ever does. Departure: no source gives one."""
_JAW_STEP = 0.05
_PRIOR = 1e-3
"""Of the coefficients, to the mean of their effects: little, and none explodes."""

FACE_TABLE = {
    "matrix": Column("float32", ("K", "P"), "1", "coefficients per unit of the head's values"),
    "offset": Column("float32", ("P",), "1", "coefficients at values of zero"),
    "style": Column("int64", (), "1", "row of the identity embedding"),
    "output": Column("<U2", (), "1", "name of the output, D0 to D7"),
}
"""Arrays of ``unitalker.npz``."""


class FaceMap(NamedTuple):
    """Coefficients = values of the head @ matrix + offset."""

    matrix: F32  # [K, P]
    offset: F32  # [P]


def choose_output(face: Face) -> str:
    """The output that suits a head model without further files.

    Raises:
        InvalidInput: ``output_incompatible`` there is none.
    """
    names = face.model.expression_names
    if names[0].startswith(FLAME_EDITION):
        return "D5"
    if face.head_model == "flame":
        return "D1"
    if any(_arkit(name) in BLENDSHAPES["D3"] for name in names):
        return "D3"
    raise InvalidInput(
        "output_incompatible",
        f"unitalker gives FLAME's parameters and vertices and ARKit's blendshapes; "
        f"{face.head_model} has none of them ({', '.join(names[:3])}, ...)",
    )


def map_output(name: str, face: Face) -> FaceMap:
    """How the values of output ``name`` become the coefficients of ``face``.

    Raises:
        MissingModel: ``missing_model_file`` the components of vertices.
        InvalidInput: ``output_incompatible`` it cannot be said by this head model.
    """
    output = OUTPUTS[name]
    if name == "D5" and face.model.expression_names[0].startswith(FLAME_EDITION):
        return _flame_map(face)
    if name in BLENDSHAPES:
        return _blendshape_map(BLENDSHAPES[name], face)
    if name == "D1" and face.head_model == "flame":
        components = read_components(components_path(output), output)
        return _vertex_map(components, face)
    reason = {
        "vertices": "vertices of another topology, which only a retargeting of meshes could use",
        "flame": f"parameters of {FLAME_EDITION}, and this head has others",
        "blendshapes": "blendshapes whose names its authors did not publish",
    }[output.kind]
    raise InvalidInput(
        "output_incompatible",
        f"unitalker's output {name} cannot move a head of {face.head_model}: it gives {reason}; "
        "choose D5 or D1 for FLAME 2020, D1 for FLAME 2023, D3 or D4 for heads with ARKit's units",
    )


def _flame_map(face: Face) -> FaceMap:
    """Expression and jaw as they are; shape, pose and scale stay the avatar's."""
    n_units = len(face.model.expression_names)
    matrix = np.zeros((OUTPUTS["D5"].n_values, len(face.rest)), np.float32)
    units = np.arange(min(n_units, N_FLAME_EXPRESSION))
    matrix[FLAME_EXPRESSION.start + units, units] = 1.0
    matrix[np.arange(FLAME_JAW.start, FLAME_JAW.stop), n_units + np.arange(3)] = 1.0
    return FaceMap(matrix, face.rest)


def _blendshape_map(names: tuple[str, ...], face: Face) -> FaceMap:
    """Units of the same name; ``jawOpen`` turns the jaw where it is no unit of its own."""
    units = [_arkit(name) for name in face.model.expression_names]
    matrix = np.zeros((len(names), len(face.rest)), np.float32)
    for row, name in enumerate(names):
        matrix[row, [column for column, unit in enumerate(units) if unit == name]] = 1.0
    if not matrix.any():
        raise InvalidInput(
            "output_incompatible", f"{face.head_model} has none of ARKit's units; choose D1 or D5"
        )
    if "jawOpen" not in units:
        matrix[names.index("jawOpen"), len(units)] = JAW_OPEN_RAD
    return FaceMap(matrix, face.rest)


def _vertex_map(components: Components, face: Face) -> FaceMap:
    """Expression and jaw that come nearest to the vertices' displacements, with a weak prior."""
    effects = _effects(face.model)  # [E + 3, V * 3]
    normal = effects @ effects.T
    normal += _PRIOR * np.trace(normal) / len(normal) * np.eye(len(normal))
    ways = np.concatenate([np.zeros((1, N_COMPONENTS)), np.eye(N_COMPONENTS)]).astype(np.float32)
    moved = decode(components, ways).reshape(len(ways), -1)  # [1 + 512, V * 3]
    found = np.linalg.solve(normal, effects @ moved.T).T  # [1 + 512, E + 3]
    n_kept = found.shape[1]
    matrix = np.zeros((N_COMPONENTS, len(face.rest)), np.float32)
    matrix[:, :n_kept] = found[1:] - found[0]
    offset = face.rest.copy()
    offset[:n_kept] += found[0].astype(np.float32)
    return FaceMap(matrix, offset)


def _effects(model: HeadModel) -> NDArray[np.float64]:
    """Displacements of FLAME's vertices per unit of expression and of the jaw's angles."""
    units = model.expr_basis[:, :N_FLAME_VERTICES].flatten(1).double().numpy()
    still = torch.zeros(4, 3)
    jaw = torch.cat([torch.zeros(1, 3), torch.eye(3) * _JAW_STEP])
    pose = HeadPose(
        expr=torch.zeros(4, len(model.expression_names)),
        rotation=still,
        neck_pose=still,
        jaw_pose=jaw,
        eyes_pose=torch.zeros(4, 6),
        translation=still,
    )
    vertices = pose_vertices(model, model.template, pose)[:, :N_FLAME_VERTICES].flatten(1)
    turned = (vertices[1:] - vertices[0]).double().numpy() / _JAW_STEP
    return np.concatenate([units, turned])


def _arkit(name: str) -> str:
    """ARKit's name of a unit; halves of what ARKit has as one count as that."""
    whole = re.sub("_[LR]$", "", name)
    sided = whole + {"_L": "Left", "_R": "Right"}.get(name[-2:], "")
    return sided if sided in BLENDSHAPES["D3"] else whole
