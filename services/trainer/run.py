"""What stays the same during one training."""

from typing import NamedTuple

from services.trainer.frames import FrameCache
from services.trainer.options import Budget
from services.trainer.studio import Studio
from shared.avatar_method import Needs, Subject
from shared.dataset_reader import TrackedDataset
from shared.training_schedule import Schedule


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
    needs: Needs
    """What the method asks of performances."""
    schedule: Schedule
    seed: int

    @property
    def head_distance(self) -> float:
        """From the camera to where the head usually is, m."""
        place = self.subject.training_pose.translation.median(0).values
        viewmat = self.subject.viewmat
        return float((viewmat[:3, :3] @ place + viewmat[:3, 3])[2])
