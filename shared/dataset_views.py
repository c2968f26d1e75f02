"""Which camera of a tracked dataset shows which moment."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.contracts.artifact import read_arrays
from shared.contracts.tracked_dataset import VIEWS_TABLE
from shared.dataset_reader import TrackedDataset
from shared.errors import InvalidInput

VIEWS = "views.npz"


class DatasetViews(NamedTuple):
    """C cameras and T frames."""

    camera_ids: tuple[str, ...]
    viewmats: NDArray[np.float32]  # [C, 4, 4] world to camera
    cameras: NDArray[np.int32]  # [T] camera of each frame
    timesteps: NDArray[np.int32]  # [T] moment of each frame


def has_several_cameras(dataset: TrackedDataset) -> bool:
    """Whether frames of one moment may be of different cameras."""
    return VIEWS in dataset.manifest.files


def read_views(dataset: TrackedDataset) -> DatasetViews:
    """Cameras and moments; with one camera every frame is a moment.

    Raises:
        InvalidInput: ``bad_arrays``.
    """
    n_frames = dataset.manifest.n_frames
    if not has_several_cameras(dataset):
        return DatasetViews(
            camera_ids=("capture",),
            viewmats=np.asarray(dataset.tracking["viewmat"], np.float32)[None],
            cameras=np.zeros(n_frames, np.int32),
            timesteps=np.arange(n_frames, dtype=np.int32),
        )
    arrays = read_arrays(dataset.folder / VIEWS, VIEWS_TABLE)
    views = DatasetViews(
        camera_ids=tuple(str(name) for name in arrays["camera_ids"]),
        viewmats=np.asarray(arrays["viewmats"], np.float32),
        cameras=np.asarray(arrays["cameras"], np.int32),
        timesteps=np.asarray(arrays["timesteps"], np.int32),
    )
    _check(dataset, views)
    return views


def _check(dataset: TrackedDataset, views: DatasetViews) -> None:
    n_train, n_frames = dataset.manifest.n_train, dataset.manifest.n_frames
    problem = None
    if len(views.cameras) != n_frames:
        problem = f"has {len(views.cameras)} frames, the manifest {n_frames}"
    elif not np.isin(views.cameras, np.arange(len(views.viewmats))).all():
        problem = f"names cameras beyond the {len(views.viewmats)} there are"
    elif (views.cameras[n_train:] != views.cameras[0]).any():
        problem = "holds out frames of another camera than the first frame's"
    else:
        moments = np.unique(views.timesteps[:n_train])
        first = views.timesteps[:n_train][views.cameras[:n_train] == views.cameras[0]]
        if not np.array_equal(first, np.arange(len(moments))):
            problem = "does not show every moment of the training with the first frame's camera"
    if problem:
        raise InvalidInput("bad_arrays", f"{VIEWS} {problem}; import the dataset again")
