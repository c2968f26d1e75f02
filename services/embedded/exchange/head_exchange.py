"""Which head model a folder of GaussianAvatars or VHAP is for.

Their folders are for FLAME, whose licensed file must be there. Folders that were exported with
another head model bring that along: ``head_model.npz``, and its name in ``talksplat.json``.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from services.embedded.exchange.flame_params import FlameSequence
from shared.errors import InvalidInput
from shared.head_model import HeadModel, load_head_model, save_head_model
from shared.plugins import load_plugin

FLAME = "flame"
N_VERTICES, N_FACES = 5143, 10144
"""FLAME with GaussianAvatars' teeth; what ours has beyond is no part of theirs."""
OWN = "talksplat.json"
MODEL = "head_model.npz"


class OwnHead(BaseModel):
    """Contents of ``talksplat.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    head_model: str
    """Registry name of the head model in ``head_model.npz``."""


class Head(NamedTuple):
    """A head model before the static offset and the joints of a person."""

    name: str
    model: HeadModel
    joint_basis: Tensor | None  # [K, 5, 3] m; None where the joints are the person's already


def write_head(folder: Path, name: str, model: HeadModel) -> None:
    """Bring a head model along, unless it is FLAME, which may not be passed on."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == FLAME:
        return
    save_head_model(folder / MODEL, model)
    text = OwnHead(head_model=name).model_dump_json(indent=1)
    (folder / OWN).write_text(text + "\n", encoding="utf-8")


def read_head(folder: Path, models_dir: Path) -> Head:
    """The head model of a folder.

    Raises:
        MissingModel: the folder is FLAME's and its file is not there.
        InvalidInput: ``bad_exchange_file`` or ``bad_arrays``.
    """
    if not (folder / OWN).is_file():
        return mean_flame(models_dir)
    try:
        own = OwnHead.model_validate_json((folder / OWN).read_bytes())
    except ValidationError as error:
        raise InvalidInput("bad_exchange_file", f"{folder / OWN}: {error}") from error
    return Head(own.head_model, load_head_model(folder / MODEL), None)


def mean_flame(models_dir: Path) -> Head:
    """FLAME as published.

    Raises:
        MissingModel: its file is not there.
    """
    mean = load_plugin("shared.head_models", FLAME).mean_head(models_dir)
    return Head(FLAME, mean.model, mean.joint_basis)


def static_offset(name: str, model: HeadModel, models_dir: Path) -> Tensor:
    """What a person's rest is beyond the published model. [V, 3] m

    Raises:
        MissingModel: it is FLAME and its file is not there.
    """
    if name != FLAME:
        return torch.zeros_like(model.template)
    return (model.template - mean_flame(models_dir).model.template)[:N_VERTICES]


def of_person(head: Head, sequence: FlameSequence, source: Path) -> tuple[HeadModel, Tensor]:
    """The head model of the sequence's person, and their shape. -> model, [K]

    Raises:
        InvalidInput: ``bad_exchange_file`` where shape or offset are not of this head model.
    """
    model, shape, offset = head.model, sequence.shape, sequence.static_offset
    n_shape, n_vertices = model.shape_basis.shape[:2]
    if shape is None or len(shape) != n_shape:
        raise InvalidInput(
            "bad_exchange_file",
            f"{source} has {0 if shape is None else len(shape)} shape coefficients, "
            f"{head.name} {n_shape}",
        )
    if offset is not None:
        if len(offset) > n_vertices:
            raise InvalidInput(
                "bad_exchange_file",
                f"static_offset of {source} has {len(offset)} vertices, {head.name} {n_vertices}",
            )
        template = model.template.clone()
        template[: len(offset)] += offset  # older files lack the teeth, which have no offset
        model = model._replace(template=template)
    if head.joint_basis is not None:
        moved = torch.einsum("k,kjc->jc", shape, head.joint_basis)
        model = model._replace(joints=model.joints + moved)
    return model, shape


def clear_folder(out: Path) -> None:
    """Make room for an artifact whose import was tried before.

    Raises:
        InvalidInput: ``folder_occupied`` when something else lies there.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / "importing").exists():
        raise InvalidInput(
            "folder_occupied", f"{out} is not empty; name another folder, or remove it"
        )
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "importing").touch()
