"""Avatars out to and in from GaussianAvatars (Qian et al., CVPR 2024).

Folder, as its trainer leaves it: ``point_cloud/iteration_N/point_cloud.ply`` with places, scales
and rotations in the triangles' frames and the face of each Gaussian as ``binding_0``, beside it
``flame_param.npz``, and ``cameras.json`` on top. What our methods learn beyond that (corrections
by expression, a torso of its own) has no place there and stays behind.
"""

import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from services.embedded.exchange.avatar_views import cameras_of
from services.embedded.exchange.flame_params import FlameSequence, read_sequence, write_sequence
from services.embedded.exchange.head_exchange import (
    FLAME,
    N_FACES,
    clear_folder,
    of_person,
    read_head,
    static_offset,
    write_head,
)
from services.embedded.exchange.imported_avatar import Imported, write_imported
from services.embedded.exchange.ply_file import read_points, stack_columns, write_points
from services.embedded.exchange.sibr_cameras import View, read_cameras, write_cameras
from services.embedded.exchange.splat_file import DC, splat_columns
from services.embedded.exchange.torso_track import read_torso
from shared.avatar_method import Performance, Subject
from shared.avatar_store import TENSORS, TRAINING, load_subject
from shared.contracts.artifact import read_manifest
from shared.contracts.avatar import AvatarManifest
from shared.errors import InvalidInput
from shared.media.image import read_rgb, write_png
from shared.rigging.rig import corrected

LOCAL = ("local", "log_scales", "quats", "opacity_logits", "colors", "binding", "pose_deltas")
"""Tensors that methods on the mesh have in common."""
_ITERATION = re.compile(r"iteration_(\d{1,9})")


def export_gaussian_avatar(avatar: Path, out: Path, models_dir: Path) -> None:
    """Write an avatar as GaussianAvatars would have left it.

    Raises:
        InvalidInput: ``not_on_triangles`` where the method's Gaussians are not bound to the mesh.
        MissingModel: the avatar is FLAME's and the file of the published model is not there.
    """
    manifest = read_manifest(avatar, AvatarManifest)
    subject = load_subject(avatar, manifest)
    tensors = load_file(avatar / TENSORS)
    if missing := [name for name in LOCAL if name not in tensors]:
        raise InvalidInput(
            "not_on_triangles",
            f"Gaussians of the method {manifest.method} do not ride on triangles "
            f"(they have no {', '.join(missing)}); train with one that does, or export ply",
        )
    is_theirs = torch.ones_like(tensors["binding"], dtype=torch.bool)
    if manifest.head_model == FLAME:
        is_theirs = tensors["binding"] < N_FACES
    offset = static_offset(manifest.head_model, subject.head_model, models_dir)
    chosen = {name: tensors[name][is_theirs] for name in LOCAL if name != "pose_deltas"}
    harmonics = tensors.get("harmonics")
    columns = splat_columns(
        chosen["local"],
        chosen["colors"],
        logits=chosen["opacity_logits"],
        log_scales=chosen["log_scales"],
        quats=chosen["quats"],
        harmonics=None if harmonics is None else harmonics[is_theirs],
    )
    folder = out / "point_cloud" / f"iteration_{manifest.n_steps}"
    binding = chosen["binding"].numpy().astype(np.float32)
    write_points(folder / "point_cloud.ply", {**columns, "binding_0": binding})
    pose = corrected(subject.training_pose, tensors["pose_deltas"])
    write_sequence(folder / "flame_param.npz", FlameSequence(pose, subject.shape, offset))
    write_cameras(out / "cameras.json", cameras_of(avatar))
    write_head(out, manifest.head_model, subject.head_model)
    if manifest.head_model != FLAME:
        shutil.copyfile(avatar / TRAINING, out / TRAINING)
    _write_plate(avatar / "plate.png", manifest, out / "plate.png")


def import_gaussian_avatar(folder: Path, out: Path, models_dir: Path) -> AvatarManifest:
    """Make an avatar of a folder of GaussianAvatars.

    Raises:
        InvalidInput: ``exchange_file_missing``, ``bad_exchange_file``, ``folder_occupied``, and
            what reading the head model and the parameters raises.
        MissingModel: it is FLAME's and the file of the published model is not there.
    """
    cloud = _find_cloud(folder)
    params = cloud.with_name("flame_param.npz")
    view = read_cameras(_there(folder / "cameras.json", "where the camera stood"))[0]
    head = read_head(folder, models_dir)
    sequence = read_sequence(
        _there(params, "the person's shape and motion"), len(head.model.expression_names)
    )
    model, shape = of_person(head, sequence, params)
    size, crop = _square(view)
    K = view.K.clone()
    K[:2, 2] -= torch.tensor(crop[:2])
    subject = Subject(
        head_model=model,
        shape=shape,
        viewmat=view.viewmat,
        K=K,
        crop_size=size,
        training_performance=Performance(sequence.pose),
        training_body=torch.zeros(len(sequence.pose.expr), 6),
    )
    subject = subject._replace(training_body=read_torso(folder, subject))
    imported = Imported(
        subject=subject,
        head_model=head.name,
        gaussians=_read_gaussians(cloud, len(model.faces)),
        own_torso=head.name != FLAME,
        crop=crop,
        capture_size=(view.width, view.height),
        capture_sha256=hashlib.sha256(cloud.read_bytes()).hexdigest(),
        n_steps=_iteration(cloud),
        plate=folder / "plate.png" if (folder / "plate.png").is_file() else None,
    )
    clear_folder(out)
    return write_imported(imported, out)


def _read_gaussians(cloud: Path, n_faces: int) -> dict[str, Tensor]:
    """Our tensors from their columns."""
    columns = read_points(cloud)

    def block(*names: str) -> Tensor:
        return torch.from_numpy(stack_columns(cloud, columns, list(names)))

    n_rest = sum(name.startswith("f_rest_") for name in columns)
    if n_rest not in {0, 9, 24, 45}:
        raise InvalidInput(
            "bad_exchange_file", f"{cloud} has {n_rest} properties f_rest, not 0, 9, 24 or 45"
        )
    binding = block("binding_0")[:, 0]
    if bool(((binding < 0) | (binding >= n_faces) | (binding != binding.round())).any()):
        raise InvalidInput(
            "bad_exchange_file", f"binding_0 of {cloud} names faces beyond the {n_faces} there are"
        )
    quats = block("rot_0", "rot_1", "rot_2", "rot_3")
    tensors = {
        "local": block("x", "y", "z"),
        "log_scales": block("scale_0", "scale_1", "scale_2"),
        "quats": torch.where(quats.norm(dim=1, keepdim=True) > 0, quats, torch.eye(4)[0]),
        "opacity_logits": block("opacity")[:, 0],
        "colors": 0.5 + DC * block("f_dc_0", "f_dc_1", "f_dc_2"),
        "binding": binding.long(),
    }
    if n_rest:
        rest = block(*(f"f_rest_{place}" for place in range(n_rest)))
        if bool(rest.any()):
            tensors["harmonics"] = rest.view(len(rest), 3, -1).transpose(1, 2).contiguous()
    return tensors


def _find_cloud(folder: Path) -> Path:
    """The PLY of the last iteration, or one that lies in the folder itself."""
    found = {
        int(match[1]): path
        for path in folder.glob("point_cloud/iteration_*/point_cloud.ply")
        if (match := _ITERATION.fullmatch(path.parent.name))
    }
    return found[max(found)] if found else _there(folder / "point_cloud.ply", "the Gaussians")


def _iteration(cloud: Path) -> int:
    match = _ITERATION.fullmatch(cloud.parent.name)
    return int(match[1]) if match else 0


def _there(path: Path, what: str) -> Path:
    if not path.is_file():
        raise InvalidInput("exchange_file_missing", f"{path} is not there; it tells {what}")
    return path


def _square(view: View) -> tuple[int, tuple[float, float, float]]:
    """The smallest even square about a picture: side; left, top and side in its pixels."""
    side = max(view.width, view.height)
    side += side % 2
    left, top = -((side - view.width) // 2), -((side - view.height) // 2)
    return side, (float(left), float(top), float(side))


def _write_plate(plate: Path, manifest: AvatarManifest, out: Path) -> None:
    """The background of the square alone, since their cameras know no crop."""
    left, top, side = manifest.crop
    box = (left, top, left + side, top + side)
    size = (manifest.crop_size, manifest.crop_size)
    picture = Image.fromarray(read_rgb(plate))
    cut = picture.transform(size, Image.Transform.EXTENT, box, Image.Resampling.BICUBIC)
    write_png(out, np.asarray(cut))
