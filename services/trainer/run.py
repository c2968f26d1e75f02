"""What stays the same during one training, and how its frames are drawn."""

from typing import NamedTuple

from torch import Tensor

from services.trainer.frames import FrameCache
from services.trainer.options import Budget
from services.trainer.studio import Studio
from services.trainer.timeline import Timeline
from shared.avatar_abilities import ViewDependent
from shared.avatar_method import AvatarModel, Subject
from shared.dataset_reader import TrackedDataset
from shared.rasterizer import Rendered


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
    timeline: Timeline | None = None
    """Of several cameras; None with one."""

    def moment(self, frame: int) -> int:
        """The moment that a frame shows: what poses and torso motions are counted by."""
        return frame if self.timeline is None else self.timeline.moments[frame]

    def moments(self) -> list[tuple[int, list[int]]]:
        """Moments that are trained on, each with its frames."""
        found: dict[int, list[int]] = {}
        for frame in self.train:
            found.setdefault(self.moment(frame), []).append(frame)
        return list(found.items())

    def draw(self, model: AvatarModel, condition: Tensor, frame: int, shrink: int = 1) -> Rendered:
        """Pose and draw as the camera of ``frame`` sees it."""
        if self.timeline is None:
            return self.studio.draw_condition(model, condition, shrink)
        view = self.timeline.views[frame]
        if isinstance(model, ViewDependent):
            condition = model.seen_from(condition, view.viewmat)
        return self.studio.draw(model.pose(condition), shrink, view)
