"""The avatar method contract: how Gaussians are built on a subject and posed by a motion.

One module per method in ``shared/avatar_methods/``; the file name is the registry name. Trainer
and renderer know methods by this contract only.
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from shared.head_model import HeadModel, HeadPose
from shared.layers import Layers
from shared.training_schedule import Schedule

MethodOptions = dict[str, int | float | str | bool]


class Needs(NamedTuple):
    """What a method asks of a performance besides the head model's parameters."""

    audio_encoder: str | None = None
    """Registry name of the encoder whose rows it listens to; None when it does not listen."""
    audio_rows: int = 0
    """Rows W of the window around each frame."""
    upper_face: bool = False
    """Whether it looks at brows and blinks."""
    poses: Literal["tracked", "flow"] = "tracked"
    """Head poses to learn from: as tracked, or as steadied by optical flow."""


class Performance(NamedTuple):
    """What a head does in T frames, as far as the method needs it."""

    pose: HeadPose
    audio: Tensor | None = None  # [T, W, C] window of encoder rows around each frame
    upper_face: Tensor | None = None  # [T, 7] see shared.upper_face


def each_track(performance: Performance, change: Callable[[Tensor], Tensor]) -> Performance:
    """The performance with ``change`` applied to all its tracks, such as a choice of frames."""
    audio, upper_face = (
        None if track is None else change(track)
        for track in (performance.audio, performance.upper_face)
    )
    return Performance(HeadPose(*(change(track) for track in performance.pose)), audio, upper_face)


class Subject(NamedTuple):
    """What a method knows of the person and the camera, at training and at rendering."""

    head_model: HeadModel
    shape: Tensor  # [K]
    viewmat: Tensor  # [4, 4]
    K: Tensor  # [3, 3] of the reference crop
    crop_size: int
    training_performance: Performance  # the T training frames; a stored avatar's has no sound
    training_body: Tensor  # [T, 6] torso motion: axis-angle (rad) and shift (m), from picture flow

    @property
    def training_pose(self) -> HeadPose:
        """The training frames' head-model parameters."""
        return self.training_performance.pose


class Seed(NamedTuple):
    """Points of one training frame that Gaussians start from."""

    frame: int
    pixels: Tensor  # [M, 2] x, y in crop pixels
    colors: Tensor  # [M, 3] in [0, 1]
    labels: Tensor  # [M] region of each, see tracked_dataset.REGIONS; never background
    spacing: Tensor  # [M] distance to the neighbouring points, px


class AvatarModel(Protocol):
    """A method's model; an ``nn.Module``."""

    def condition(self, performance: Performance) -> Tensor:
        """All that the pose of each frame depends on. -> [T, C]

        Called once per performance, so that what depends on the whole of it (a torso that follows
        the head, say) is settled here; ``pose`` then needs its own frame only.
        """
        ...

    def pose(self, condition: Tensor) -> Layers:
        """Posed Gaussians of one frame. [C] -> N Gaussians

        One layer after the other they are the rows of the stored tensors, in order.
        """
        ...

    def regions(self) -> Tensor | None:
        """Face region of each Gaussian, a label of ``tracked_dataset.REGIONS``. [N] uint8

        None where Gaussians belong to no part of the head model.
        """
        ...


@runtime_checkable
class Attentive(AvatarModel, Protocol):
    """A model that can show what it attends to."""

    ATTENTION_TOKENS: tuple[str, ...]
    """Names of the M tokens."""

    def pose_attention(self, condition: Tensor) -> Layers:
        """As ``pose``; colours have M more channels, the attention to each token in [0, 1]."""
        ...


class TrainableModel(AvatarModel, Protocol):
    """What the training loop needs besides."""

    def training_condition(self, frame: int) -> Tensor:
        """Condition of a training frame, with the tracking corrections learned so far. -> [C]"""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Everything to be stored, parameters and fixed arrays, by name."""
        ...

    def learning_rates(self) -> dict[str, float]:
        """Initial learning rate of every parameter, by name; 0 of what stays as it was made."""
        ...

    def per_gaussian(self) -> dict[str, int]:
        """The dimension that counts Gaussians, of every tensor that has one, by name."""
        ...

    def regularisation(self, frame: int) -> Tensor:
        """Penalty added to the picture loss of a training frame."""
        ...

    def placements(self) -> list[Tensor]:
        """Learned numbers that place a training frame's parts in space, to be changed in place.

        Each is rotation (rad) and translation (m) by frame. [T, 6]
        """
        ...

    def split(self, shrinks: Tensor, is_new: Tensor, noise: Tensor) -> None:
        """Shrink the Gaussians of split pairs and move the new ones off their parents.

        Args:
            shrinks: One of a pair. [N]
            is_new: The copy of a pair. [N]
            noise: Standard normal. [N, 3]
        """
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """``nn.Module``'s."""
        ...

    def settle(self) -> None:
        """Settle once what follows from learned tracking corrections; the training goes on so."""
        ...


class AvatarMethod(Protocol):
    """What a method's module offers."""

    def schedule(self, options: MethodOptions) -> Schedule:
        """How its training goes.

        Raises:
            InvalidInput: ``bad_method_options``.
        """
        ...

    def needs(self, options: MethodOptions) -> Needs:
        """What it asks of performances.

        Raises:
            InvalidInput: ``bad_method_options``.
        """
        ...

    def create(
        self, subject: Subject, seeds: list[Seed], options: MethodOptions, seed: int
    ) -> TrainableModel:
        """A model before training."""
        ...

    def restore(
        self, subject: Subject, tensors: dict[str, Tensor], options: MethodOptions
    ) -> TrainableModel:
        """The model whose ``tensors()`` were stored."""
        ...
