"""The avatar method contract: how Gaussians are built on a subject and posed by a motion.

One module per method in ``shared/avatar_methods/``; the file name is the registry name. The
trainer, the renderer and the few-shot bench know methods by this contract only.
"""

from typing import NamedTuple, Protocol

from torch import Tensor

from shared.gaussians import Gaussians
from shared.head_model import HeadModel, HeadPose

MethodOptions = dict[str, int | float | str | bool]


class Subject(NamedTuple):
    """What a method knows of the person and the camera, at training and at rendering."""

    head_model: HeadModel
    shape: Tensor  # [K]
    viewmat: Tensor  # [4, 4]
    K: Tensor  # [3, 3] of the reference crop
    crop_size: int
    training_pose: HeadPose  # the T training frames


class AvatarModel(Protocol):
    """A method's trained or untrained model; in practice an ``nn.Module``."""

    def condition(self, motion: HeadPose) -> Tensor:
        """All that the pose of each frame depends on. -> [T, C]

        Called once per motion, so that temporal context (a torso that follows the head, say)
        is resolved here; ``pose`` then needs its own frame only.
        """
        ...

    def pose(self, condition: Tensor) -> Gaussians:
        """Posed Gaussians of one frame. [C] -> N Gaussians"""
        ...
