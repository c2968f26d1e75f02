"""Checks stored Gaussians before they are used: a file may hold anything, and kernels trust it."""

import torch
from torch import Tensor

from shared.avatar_method import Subject
from shared.errors import InvalidInput

Shapes = dict[str, tuple[int | str, ...]]
"""Sizes by name of the tensor; a name such as "N" must be the same number wherever it stands."""


def check_tensors(subject: Subject, tensors: dict[str, Tensor], shapes: Shapes) -> None:
    """Compare with ``shapes``, where T counts training frames and E+6 the inputs of codes.

    Args:
        subject: The person that the Gaussians are of.
        tensors: What was stored; ``binding`` holds faces, all others are float32.
        shapes: What there must be.

    Raises:
        InvalidInput: ``bad_avatar``.
    """
    n_expressions = len(subject.head_model.expr_basis)
    sizes = {
        "T": len(subject.training_pose.expr),
        "E": n_expressions,
        "E+3": n_expressions + 3,
        "E+6": n_expressions + 6,
        "E+3+8": n_expressions + 11,
    }
    for name, shape in shapes.items():
        if name not in tensors:
            raise InvalidInput("bad_avatar", f"the avatar has no {name}; train it again")
        found = tensors[name]
        dtype = torch.int64 if name == "binding" else torch.float32
        expected = [
            sizes.setdefault(size, actual) if isinstance(size, str) else size
            for size, actual in zip(shape, found.shape, strict=False)
        ]
        if found.dtype != dtype or found.ndim != len(shape) or list(found.shape) != expected:
            raise InvalidInput(
                "bad_avatar",
                f"{name} of the avatar is {found.dtype}{list(found.shape)}, "
                f"expected {dtype}{list(shape)} with {sizes}; train it again",
            )
    n_faces = len(subject.head_model.faces)
    if bool(((tensors["binding"] < 0) | (tensors["binding"] >= n_faces)).any()):
        raise InvalidInput(
            "bad_avatar", f"binding of the avatar names faces beyond the {n_faces} there are"
        )
