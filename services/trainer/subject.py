"""The subject of a dataset: head model, camera, and the training frames' head and torso motion."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

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


def build_subject(dataset: TrackedDataset, reference: int) -> Subject:
    """Read the head model and follow the torso through the training frames."""
    tracking = dataset.tracking
    n_train = dataset.manifest.n_train
    pose = tracked_pose(dataset, 0, n_train)
    viewmat = torch.from_numpy(tracking["viewmat"])
    K = torch.from_numpy(tracking["Ks"][0])
    torso = read_regions(dataset, reference) == REGIONS.index("torso")
    depth = float((pose.translation.median(0).values @ viewmat[:3, :3].T + viewmat[:3, 3])[2])
    rows, columns = np.nonzero(torso) if torso.any() else (np.zeros(1), np.zeros(1))
    view = TorsoView(
        pivot=torch.tensor([columns.mean(), rows.mean()], dtype=torch.float32),
        metres_per_px=depth / float(K[0, 0]),
    )

    def read_gray(frame: int) -> NDArray[np.uint8]:
        gray: NDArray[np.uint8] = cv2.cvtColor(read_frame(dataset, frame), cv2.COLOR_RGB2GRAY)
        return gray

    return Subject(
        head_model=load_head_model(dataset.folder / "head_model.npz"),
        shape=torch.from_numpy(tracking["shape"]),
        viewmat=viewmat,
        K=K,
        crop_size=dataset.manifest.crop_size,
        training_pose=pose,
        training_body=track_torso(read_gray, torso, n_train, reference, view),
    )
