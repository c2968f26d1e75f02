"""Rebuilds a method's model from stored tensors, and refuses what does not fit."""

from typing import TypeVar

import torch
from torch import Tensor, nn

from shared.avatar_method import MethodOptions, Subject
from shared.errors import InvalidInput
from shared.talker_parts.cloud import PER_GAUSSIAN

M = TypeVar("M", bound=nn.Module)
_FRAMES = {"pose_deltas": (6,), "body": (6,)}
_RULE = {"body_rule": (7, 6), "body_timing": (2,)}


def check_cloud(subject: Subject, tensors: dict[str, Tensor], n_scales: int = 3) -> None:
    """Check the tensors that a cloud is made of; of surfels it has two scales.

    Raises:
        InvalidInput: ``bad_avatar``.
    """
    n = len(tensors["rest"]) if "rest" in tensors and tensors["rest"].ndim else 0
    n_frames = len(subject.training_pose.expr)
    wanted: dict[str, tuple[int, ...]] = {
        **{name: (n, *shape) for name, shape in PER_GAUSSIAN.items()},
        **{name: (n_frames, *shape) for name, shape in _FRAMES.items()},
        **_RULE,
        "log_scales": (n, n_scales),
    }
    n_followed = len(tensors["followed"]) if "followed" in tensors else 0
    wanted["followed"] = (n_frames if n_followed else 0, 6)
    for name, shape in wanted.items():
        dtype = torch.int64 if name == "labels" else torch.float32
        found = tensors.get(name)
        if found is None or found.dtype != dtype or tuple(found.shape) != shape:
            seen = "absent" if found is None else f"{found.dtype}{list(found.shape)}"
            raise InvalidInput(
                "bad_avatar",
                f"{name} of the avatar is {seen}, expected {dtype}{list(shape)}; train it again",
            )


def load_networks(model: M, tensors: dict[str, Tensor]) -> M:
    """Fill ``model``, whose cloud has the tensors' size already, with all of them.

    Raises:
        InvalidInput: ``bad_avatar``.
    """
    wanted = model.state_dict()
    if unknown := sorted(tensors.keys() ^ wanted.keys()):
        raise InvalidInput(
            "bad_avatar", f"the avatar lacks or must not have {', '.join(unknown)}; train it again"
        )
    for name, value in wanted.items():
        if tensors[name].dtype != value.dtype or tensors[name].shape != value.shape:
            raise InvalidInput(
                "bad_avatar",
                f"{name} of the avatar is {tensors[name].dtype}{list(tensors[name].shape)}, "
                f"expected {value.dtype}{list(value.shape)}; train it again",
            )
    model.load_state_dict(tensors)
    return model


def choose_options(method: str, defaults: MethodOptions, options: MethodOptions) -> MethodOptions:
    """The defaults with what was asked for, of the same types.

    Raises:
        InvalidInput: ``bad_method_options``.
    """
    wrong = [name for name, value in options.items() if type(value) is not type(defaults.get(name))]
    if wrong:
        raise InvalidInput(
            "bad_method_options", f"{method} has the options {defaults}, not {options}"
        )
    return {**defaults, **options}
