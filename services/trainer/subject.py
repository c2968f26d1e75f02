"""The subject of a dataset: head model, camera, and the training frames' head and torso motion."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from services.trainer.timeline import Timeline
from services.trainer.torso_flow import TorsoView, track_torso
from shared.avatar_method import Subject
from shared.contracts.tracked_dataset import REGIONS
from shared.dataset_reader import TrackedDataset, read_frame, read_regions
from shared.head_model import HeadPose, load_head_model


def tracked_pose(dataset: TrackedDataset, start: int, end: int) -> HeadPose:
    """Tracked parameters of some frames."""
    return HeadPose(
        *(torch.from_numpy(dataset.tracking[name][start:end]) for name in HeadPose._fields)
    )


def build_subject(
    dataset: TrackedDataset, reference: int, timeline: Timeline | None = None
) -> Subject:
    """Read the head model and follow the torso through the training frames.

    Args:
        dataset: Where from.
        reference: The frame that the torso's motion is counted from, of the capture's camera.
        timeline: Of several cameras; then poses and torso are those of the moments.
    """
    tracking = dataset.tracking
    shown_in = timeline.reference if timeline else list(range(dataset.manifest.n_train))
    pose = HeadPose(*(torch.from_numpy(tracking[name][shown_in]) for name in HeadPose._fields))
    viewmat = torch.from_numpy(tracking["viewmat"])
    K = torch.from_numpy(tracking["Ks"][0])
    torso = read_regions(dataset, reference) == REGIONS.index("torso")
    depth = float((pose.translation.median(0).values @ viewmat[:3, :3].T + viewmat[:3, 3])[2])
    rows, columns = np.nonzero(torso) if torso.any() else (np.zeros(1), np.zeros(1))
    view = TorsoView(
        pivot=torch.tensor([columns.mean(), rows.mean()], dtype=torch.float32),
        metres_per_px=depth / float(K[0, 0]),
    )

    def read_gray(moment: int) -> NDArray[np.uint8]:
        picture = read_frame(dataset, shown_in[moment])
        gray: NDArray[np.uint8] = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        return gray

    return Subject(
        head_model=load_head_model(dataset.folder / "head_model.npz"),
        shape=torch.from_numpy(tracking["shape"]),
        viewmat=viewmat,
        K=K,
        crop_size=dataset.manifest.crop_size,
        training_pose=pose,
        training_body=track_torso(read_gray, torso, len(shown_in), shown_in.index(reference), view),
    )
