"""Reads pickles that hold arrays and nothing else.

FLAME comes as a Python 2 pickle of NumPy arrays, some of them wrapped in chumpy, and one SciPy
matrix. A pickle may name any function to be called, so here only a short list of names exists:
NumPy's own makers of arrays, and stand-ins that merely keep what they are given. Any other name
ends the reading before anything is called.
"""

import pickle
import zipfile
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix

from shared.errors import InvalidInput

Array = NDArray[Any]
npy: Any = npy_format  # NumPy 1.26 leaves it without types

MAX_BYTES = 1_000_000_000
"""The largest published FLAME file has a twentieth of it."""


class Kept:
    """A stand-in for a class of the pickle: keeps its state, does nothing."""

    def __init__(self, *_: object) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.state = dict(state)


class KeptChumpy(Kept):
    """chumpy's array; the numbers are under ``x``."""


class KeptCsc(Kept):
    """SciPy's matrix stored by columns."""


class KeptCsr(Kept):
    """SciPy's matrix stored by rows."""


class KeptCoo(Kept):
    """SciPy's matrix stored by entries."""


def read_pickle(path: Path) -> dict[str, Any]:
    """Read a pickled dictionary of arrays.

    Raises:
        InvalidInput: ``unsafe_head_file`` when it names anything else than arrays;
            ``bad_head_file`` when it cannot be read or is no dictionary.
    """
    _check_size(path)
    with path.open("rb") as stream:
        return _dictionary(stream, path)


def read_npy_pickle(path: Path) -> dict[str, Any]:
    """Read a dictionary that ``np.save`` pickled into an npy file; errors as ``read_pickle``."""
    _check_size(path)
    with path.open("rb") as stream:
        try:
            version = npy.read_magic(stream)
            read_header = (
                npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            )
            _, _, dtype = read_header(stream)
        except (ValueError, OSError, SyntaxError) as error:
            raise InvalidInput("bad_head_file", f"{path} is not an npy file: {error}") from error
        if not dtype.hasobject:
            raise InvalidInput("bad_head_file", f"{path} holds an array, not a dictionary of them")
        return _dictionary(stream, path)


def read_npz(path: Path) -> dict[str, Any]:
    """Read an npz of arrays; nothing in it is unpickled. Errors as ``read_pickle``."""
    _check_size(path)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (AttributeError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidInput("bad_head_file", f"{path} cannot be read: {error}") from error


def dense(value: object) -> Array | None:
    """The numbers in a value of such a dictionary; None where it holds none."""
    if isinstance(value, KeptChumpy):
        return dense(value.state.get("x"))
    if isinstance(value, Kept):
        return _dense_matrix(value)
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return value
    if isinstance(value, list | tuple):
        array = np.asarray(value)
        return None if array.dtype.hasobject else array
    return None


def _dense_matrix(kept: Kept) -> Array | None:
    state = kept.state
    shape = state.get("_shape", state.get("shape"))
    parts = [dense(state.get(name)) for name in ("data", "indices", "indptr", "row", "col")]
    data, indices, pointers, row, column = parts
    try:
        if isinstance(kept, KeptCoo):
            return np.asarray(coo_matrix((data, (row, column)), shape=shape).toarray())
        maker = csc_matrix if isinstance(kept, KeptCsc) else csr_matrix
        return np.asarray(maker((data, indices, pointers), shape=shape).toarray())
    except (TypeError, ValueError, IndexError):
        return None


class _Refused(NamedTuple):
    module: str
    name: str


class _ArrayUnpickler(pickle.Unpickler):
    """Knows the names of ``_ALLOWED`` and no other."""

    refused: _Refused | None = None

    def find_class(self, module: str, name: str, /) -> Any:  # noqa: ANN401 - as the base has it
        try:
            return _ALLOWED[module, name]
        except KeyError:
            self.refused = _Refused(module, name)
            raise pickle.UnpicklingError(f"{module}.{name} is no array") from None


def _dictionary(stream: IO[bytes], path: Path) -> dict[str, Any]:
    reader = _ArrayUnpickler(stream, encoding="latin1")
    try:
        found = reader.load()
        if isinstance(found, np.ndarray) and found.shape == ():
            found = found.item()
    except _BROKEN as error:
        if reader.refused is not None:
            raise InvalidInput(
                "unsafe_head_file",
                f"{path} is a pickle that names {'.'.join(reader.refused)}, which is no array; "
                "nothing of it was run. Take the file from its owner's site again",
            ) from error
        raise InvalidInput(
            "bad_head_file",
            f"{path} is no whole pickle of arrays ({error}); download it again",
        ) from error
    if isinstance(found, np.ndarray) and found.dtype.hasobject and found.size == 1:
        found = found.ravel()[0]
    if not isinstance(found, dict):
        raise InvalidInput(
            "bad_head_file", f"{path} holds a {type(found).__name__}, expected named arrays"
        )
    return {str(name): value for name, value in found.items()}


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InvalidInput(
            "bad_head_file", f"{path} has {size} bytes, no head model has {MAX_BYTES}"
        )


def _rebuilt(kind: object, _base: object, _state: object) -> object:
    """Python 2's way to make an object: here only a stand-in or an empty one."""
    if isinstance(kind, type) and issubclass(kind, Kept):
        return kind()
    raise pickle.UnpicklingError("an object of another class")


def _encoded(text: object, encoding: object = "latin1") -> bytes:
    """How Python 3 writes an array's bytes into an old pickle."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("text in an encoding that arrays do not use")
    return text.encode("latin1")


_BROKEN = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    TypeError,
    ValueError,
)
"""What a damaged pickle makes the reader raise."""
_EMPTY_ARRAY: Any = np.zeros(0).__reduce__()[0]
"""What every pickled array begins with: an array of no elements, filled afterwards."""
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _EMPTY_ARRAY,
    ("numpy._core.multiarray", "_reconstruct"): _EMPTY_ARRAY,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encoded,
    ("copyreg", "_reconstructor"): _rebuilt,
    ("copy_reg", "_reconstructor"): _rebuilt,
    **{
        (builtins, kind.__name__): kind
        for builtins in ("builtins", "__builtin__")
        for kind in (object, set)
    },
    ("chumpy.ch", "Ch"): KeptChumpy,
    **{
        (f"scipy.sparse.{private}{kind}", f"{kind}_matrix"): keeper
        for kind, keeper in (("csc", KeptCsc), ("csr", KeptCsr), ("coo", KeptCoo))
        for private in ("", "_")
    },
}
"""Every name that a pickle may use."""
