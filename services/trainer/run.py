"""What stays the same during one training, and how its frames are drawn."""

from typing import NamedTuple

from torch import Tensor

from services.trainer.frames import FrameCache
from services.trainer.options import Budget
from services.trainer.studio import Studio
from services.trainer.timeline import Timeline, View
from shared.avatar_abilities import ViewDependent
from shared.avatar_method import AvatarModel, Needs, Subject
from shared.dataset_reader import TrackedDataset
from shared.layers import Layers, Picture
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
    timeline: Timeline | None = None
    """Of several cameras; None with one."""

    @property
    def head_distance(self) -> float:
        """From the camera to where the head usually is, m."""
        place = self.subject.training_pose.translation.median(0).values
        viewmat = self.subject.viewmat
        return float((viewmat[:3, :3] @ place + viewmat[:3, 3])[2])

    def moment(self, frame: int) -> int:
        """The moment that a frame shows: what poses and torso motions are counted by."""
        return frame if self.timeline is None else self.timeline.moments[frame]

    def moments(self) -> list[tuple[int, list[int]]]:
        """Moments that are trained on, each with its frames."""
        found: dict[int, list[int]] = {}
        for frame in self.train:
            found.setdefault(self.moment(frame), []).append(frame)
        return list(found.items())

    def view(self, frame: int) -> View:
        """The camera that a frame was taken with."""
        if self.timeline is None:
            return View(self.subject.viewmat, self.subject.K)
        return self.timeline.views[frame]

    def pose(self, model: AvatarModel, condition: Tensor, frame: int) -> Layers:
        """Pose as the camera of ``frame`` sees it."""
        if self.timeline is not None and isinstance(model, ViewDependent):
            condition = model.seen_from(condition, self.view(frame).viewmat)
        return model.pose(condition)

    def draw(self, model: AvatarModel, condition: Tensor, frame: int, shrink: int = 1) -> Picture:
        """Pose and draw as the camera of ``frame`` sees it."""
        return self.studio.draw(self.pose(model, condition, frame), shrink, self.view(frame))
