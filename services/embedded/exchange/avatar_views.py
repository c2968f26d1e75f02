"""What is exported of an avatar or a dataset as it stands: a posed frame, its cameras."""

import json
from pathlib import Path

import torch

from services.embedded.exchange.sibr_cameras import View
from services.renderer.shot import read_motion
from shared.avatar_store import load_avatar
from shared.contracts.artifact import MANIFEST, read_manifest
from shared.contracts.avatar import AvatarManifest
from shared.dataset_reader import open_dataset
from shared.dataset_views import read_views
from shared.errors import InvalidInput
from shared.gaussians import Gaussians
from shared.layers import join_layers


def pose_frame(avatar: Path, motion: Path, frame: int) -> Gaussians:
    """Gaussians of one frame of a motion, as the capture's camera sees them.

    Raises:
        InvalidInput: ``no_such_frame``, and what opening avatar and motion raises.
    """
    manifest, _, model = load_avatar(avatar)
    performance, spoken = read_motion(motion, manifest)
    if not 0 <= frame < spoken.n_frames:
        raise InvalidInput(
            "no_such_frame", f"the motion has the frames 0 to {spoken.n_frames - 1}, not {frame}"
        )
    with torch.no_grad():
        return join_layers(model.pose(model.condition(performance)[frame]))


def cameras_of(artifact: Path) -> list[View]:
    """The capture's camera of an avatar, or all cameras of a tracked dataset.

    Raises:
        InvalidInput: ``not_an_artifact`` for other folders.
    """
    if _kind_of(artifact) != "tracked_dataset":
        manifest = read_manifest(artifact, AvatarManifest)
        size = manifest.crop_size
        viewmat, K = torch.tensor(manifest.viewmat), torch.tensor(manifest.K)
        return [View("capture", size, size, viewmat, K)]
    dataset = open_dataset(artifact)
    size = dataset.manifest.crop_size
    views = read_views(dataset)
    Ks = torch.from_numpy(dataset.tracking["Ks"])
    first = [views.cameras.tolist().index(camera) for camera in range(len(views.viewmats))]
    return [
        View(name, size, size, torch.from_numpy(viewmat), Ks[row])
        for name, viewmat, row in zip(views.camera_ids, views.viewmats, first, strict=True)
    ]


def _kind_of(artifact: Path) -> str | None:
    path = artifact / MANIFEST
    if not path.is_file():
        return None
    try:
        stored = json.loads(path.read_bytes())
    except ValueError:
        return None
    return str(stored.get("kind")) if isinstance(stored, dict) else None
