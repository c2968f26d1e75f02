"""The subject of a dataset: head model, camera, and the training frames' head and torso motion."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.trainer.timeline import Timeline
from services.trainer.torso_flow import TorsoView, track_torso
from shared.audio_windows import audio_windows
from shared.avatar_method import Needs, Performance, Subject, each_track
from shared.contracts.tracked_dataset import REGIONS
from shared.dataset_reader import (
    TrackedDataset,
    read_dataset_audio,
    read_flow_pose,
    read_frame,
    read_regions,
    read_upper_face,
)
from shared.errors import InvalidInput
from shared.head_model import HeadPose, load_head_model
from shared.media.audio import SAMPLE_RATE, fit_length
from shared.upper_face import upper_face_signal


def tracked_pose(dataset: TrackedDataset, needs: Needs, start: int, end: int) -> HeadPose:
    """Tracked parameters of some frames, the head's place as the method asks for it."""
    tracks = dataset.tracking
    if needs.poses == "flow":
        tracks = tracks | read_flow_pose(dataset)
    return HeadPose(*(torch.from_numpy(tracks[name][start:end]) for name in HeadPose._fields))


def tracked_performance(dataset: TrackedDataset, needs: Needs, start: int, end: int) -> Performance:
    """Tracked parameters of some frames, and what else the method needs of them.

    Sound after ``end`` is not heard.

    Raises:
        InvalidInput: ``no_audio`` when the method listens and the dataset has no sound;
            ``no_flow_pose`` when it wants steadied poses and there are none.
    """
    pose = tracked_pose(dataset, needs, start, end)
    return Performance(
        pose=pose,
        audio=_heard(dataset, needs, start, end) if needs.audio_encoder else None,
        upper_face=_upper_face(dataset, pose, start, end) if needs.upper_face else None,
    )


def _heard(dataset: TrackedDataset, needs: Needs, start: int, end: int) -> Tensor:
    audio, fps = read_dataset_audio(dataset), dataset.manifest.fps
    if audio is None:
        raise InvalidInput(
            "no_audio",
            f"{dataset.folder} has no sound, and this avatar method is driven by it; "
            "capture with a microphone, or choose the method rigged_gaussians",
        )
    heard = fit_length(audio, round(end / fps * SAMPLE_RATE))
    encoder = needs.audio_encoder or ""
    rows = audio_windows(encoder, heard, n_rows=needs.audio_rows, fps=fps, n_frames=end)
    return torch.from_numpy(rows[start:].copy())


def _upper_face(dataset: TrackedDataset, pose: HeadPose, start: int, end: int) -> Tensor:
    """What the user supplied, else what was tracked."""
    supplied = read_upper_face(dataset)
    if supplied is not None:
        return torch.from_numpy(supplied[start:end])
    shape = torch.from_numpy(dataset.tracking["shape"])
    return upper_face_signal(load_head_model(dataset.folder / "head_model.npz"), shape, pose)


def build_subject(
    dataset: TrackedDataset, reference: int, needs: Needs, timeline: Timeline | None = None
) -> Subject:
    """Read the head model and follow the torso through the training frames.

    Args:
        dataset: Where from.
        reference: The frame that the torso's motion is counted from, of the capture's camera.
        needs: What the method asks of performances.
        timeline: Of several cameras; then performance and torso are those of the moments.
    """
    tracking = dataset.tracking
    n_train = dataset.manifest.n_train
    shown_in = timeline.reference if timeline else list(range(n_train))
    performance = each_track(
        tracked_performance(dataset, needs, 0, n_train), lambda rows: rows[shown_in]
    )
    pose = performance.pose
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
        training_performance=performance,
        training_body=track_torso(read_gray, torso, len(shown_in), shown_in.index(reference), view),
    )
