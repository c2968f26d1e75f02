"""What stays the same during one training."""

from typing import NamedTuple

from services.trainer.frames import FrameCache
from services.trainer.options import Budget
from services.trainer.studio import Studio
from shared.avatar_method import Subject
from shared.dataset_reader import TrackedDataset


class Run(NamedTuple):
    """One training's inputs."""

    dataset: TrackedDataset
    subject: Subject
    studio: Studio
    cache: FrameCache
    train: list[int]
    """Frames that are trained on."""
    validation: list[int]
    """Frames of the training part that are kept for the validation curve."""
    budget: Budget
    seed: int
