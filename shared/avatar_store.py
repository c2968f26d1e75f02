"""Reads and writes avatar artifacts."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from shared.avatar_method import AvatarMethod, AvatarModel, Performance, Subject
from shared.contracts.artifact import read_arrays, read_manifest, write_arrays
from shared.contracts.avatar import TRAINING_TABLE, AvatarManifest
from shared.contracts.motion import UPPER_FACE_TABLE
from shared.errors import InvalidInput
from shared.head_model import HeadPose, load_head_model, save_head_model
from shared.plugins import load_plugin

TENSORS = "gaussians.safetensors"
TRAINING = "tracking.npz"
HEAD_MODEL = "head_model.npz"
UPPER_FACE = "upper_face.npz"


def load_avatar(folder: Path) -> tuple[AvatarManifest, Subject, AvatarModel]:
    """Open an avatar for rendering; its parameters do not ask for gradients.

    Raises:
        InvalidInput: ``not_an_artifact``, ``bad_arrays`` or ``bad_avatar``.
    """
    manifest = read_manifest(folder, AvatarManifest)
    subject = load_subject(folder, manifest)
    method: AvatarMethod = load_plugin("shared.avatar_methods", manifest.method)
    try:
        tensors = load_file(folder / TENSORS)
        _check_finite(folder, tensors)
        model = method.restore(subject, tensors, manifest.method_options)
    except (SafetensorError, OSError, KeyError, RuntimeError) as error:
        raise InvalidInput(
            "bad_avatar", f"{folder / TENSORS} is not a {manifest.method} avatar: {error}"
        ) from error
    for parameter in model.parameters():
        parameter.requires_grad_(False)  # noqa: FBT003 - torch
    return manifest, subject, model


def _check_finite(folder: Path, tensors: dict[str, Tensor]) -> None:
    """A single value that is no number spoils every picture."""
    unreal = [
        name
        for name, values in tensors.items()
        if values.is_floating_point() and not bool(torch.isfinite(values).all())
    ]
    if unreal:
        raise InvalidInput(
            "bad_avatar",
            f"{folder / TENSORS}: {', '.join(unreal)} has values that are no numbers; "
            "train the avatar again",
        )


def load_subject(folder: Path, manifest: AvatarManifest) -> Subject:
    """The person and the camera of a stored avatar.

    Raises:
        InvalidInput: ``bad_arrays`` or ``bad_avatar``.
    """
    arrays = read_arrays(folder / TRAINING, TRAINING_TABLE)
    tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
    head_model = load_head_model(folder / HEAD_MODEL)
    names = list(head_model.expression_names)
    if manifest.expression_names != names or tensors["expr"].shape[1] != len(names):
        raise InvalidInput(
            "bad_avatar",
            f"{folder}: manifest, {TRAINING} and {HEAD_MODEL} disagree about the expressions",
        )
    return Subject(
        head_model=head_model,
        shape=tensors["shape"],
        viewmat=_square(manifest.viewmat, 4, "viewmat"),
        K=_square(manifest.K, 3, "K"),
        crop_size=manifest.crop_size,
        training_performance=Performance(
            HeadPose(*(tensors[name] for name in HeadPose._fields)),
            upper_face=_read_upper_face(folder, len(tensors["expr"])),
        ),
        training_body=tensors["body"],
    )


def _read_upper_face(folder: Path, n_frames: int) -> Tensor | None:
    """Of the training frames, where the method asks for it. [T, 7]"""
    if not (folder / UPPER_FACE).is_file():
        return None
    found = read_arrays(folder / UPPER_FACE, UPPER_FACE_TABLE)["upper_face"]
    if len(found) != n_frames:
        raise InvalidInput(
            "bad_avatar", f"{folder / UPPER_FACE} has {len(found)} frames, {TRAINING} {n_frames}"
        )
    return torch.from_numpy(found)


def _square(rows: list[list[float]], side: int, name: str) -> Tensor:
    """A camera matrix of the manifest. [side, side]"""
    if [len(row) for row in rows] != [side] * side:
        raise InvalidInput("bad_avatar", f"{name} of the avatar is not {side} x {side} numbers")
    return torch.tensor(rows, dtype=torch.float32)


def save_subject(folder: Path, subject: Subject) -> None:
    """Write the head model and the training frames' motion; their sound stays with the dataset."""
    save_head_model(folder / HEAD_MODEL, subject.head_model)
    arrays = {name: values.numpy() for name, values in subject.training_pose._asdict().items()}
    arrays |= {"shape": subject.shape.numpy(), "body": subject.training_body.numpy()}
    write_arrays(folder / TRAINING, arrays, TRAINING_TABLE)
    if (upper_face := subject.training_performance.upper_face) is not None:
        write_arrays(folder / UPPER_FACE, {"upper_face": upper_face.numpy()}, UPPER_FACE_TABLE)


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, whole or not at all."""
    part = path.with_suffix(".part")
    save_file({name: value.contiguous() for name, value in tensors.items()}, part)
    part.replace(path)
