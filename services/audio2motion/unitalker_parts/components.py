"""Principal components of UniTalker's vertex kinds, which lie beside the checkpoint, not in it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.audio2motion.unitalker_parts.outputs import N_COMPONENTS, Output
from shared.errors import InvalidInput
from shared.model_files import model_path

F32 = NDArray[np.float32]

_BASIS, _MEAN = "components_to_data", "original_data_mean"


class Components(NamedTuple):
    """Differences from a neutral mesh as a mean and directions."""

    mean: F32  # [V * 3] m
    basis: F32  # [512, V * 3] m


def components_path(output: Output) -> Path:
    """Where the components of a vertex kind lie.

    Raises:
        MissingModel: ``missing_model_file``.
    """
    name = f"unitalker_data_release/{output.folder}/pca.npz"
    return model_path(name, f"{output.head} of the motion model unitalker")


def read_components(path: Path, output: Output) -> Components:
    """Read ``pca.npz`` as UniTalker publishes it; nothing is unpickled.

    Raises:
        InvalidInput: ``bad_model_file`` names what differs.
    """
    wanted = {_BASIS: (N_COMPONENTS, output.n_values), _MEAN: (output.n_values,)}
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in wanted if name in stored.files}
    except (OSError, ValueError) as error:
        raise InvalidInput("bad_model_file", f"{path} is no npz of arrays: {error}") from error
    for name, shape in wanted.items():
        found = arrays[name].shape if name in arrays else None
        if found is None or found[1:] != shape[1:] or found[0] < shape[0]:
            told = "missing" if found is None else f"{list(found)} instead of {list(shape)}"
            raise InvalidInput("bad_model_file", f"{path}: {name} is {told}")
    basis = arrays[_BASIS][:N_COMPONENTS]
    return Components(arrays[_MEAN].astype(np.float32), basis.astype(np.float32))


def decode(components: Components, values: F32) -> F32:
    """Vertices' differences from the neutral. [T, 512] -> [T, V, 3] m"""
    flat = values @ components.basis + components.mean
    return np.asarray(flat.reshape(len(values), -1, 3), np.float32)
