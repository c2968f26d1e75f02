"""speaker_blendshapes: Gaussians on the rig, with K learned residuals of every attribute.

Source: Yu et al., "GaussianTalker: Speaker-specific Talking Head Synthesis via 3D Gaussian
Splatting" (ACM MM 2024): Gaussians bound to the head model's triangles, corrected by blendshapes
of the speaker that a latent of the pose joins in weighting. Their sizes and weights are not
published; K and the network are ours, measured (ARCHITECTURE.md). With K = 0 the bare rig remains.
Departures: one camera, so Gaussians start from pixels and the torso is a body of its own, as in
``rigged_gaussians``; hair takes the residuals of a resting face, the torso takes none; without
their inpainting of the border and their lip-reading loss, whose code and weights are not public.
"""

import torch
from torch import Tensor, nn

from shared.avatar_method import MethodOptions, Needs, Performance, Seed, Subject
from shared.contracts.tracked_dataset import REGIONS
from shared.errors import InvalidInput
from shared.gaussians import Gaussians
from shared.geometry.rotations import matrix_to_quaternion, multiply_quaternions
from shared.head_model import HeadPose
from shared.layers import Layers
from shared.rigging.face_binding import (
    CHILD_SHRINK,
    distance_penalty,
    scale_penalty,
    split_offsets,
)
from shared.rigging.mesh_motion import TORSO
from shared.rigging.placing import nearly_identity
from shared.rigging.residual_weights import (
    INPUT_SHAPES,
    N_HIDDEN,
    NETWORK_RATES,
    NETWORK_SHAPES,
    frame_weights,
    start_network,
)
from shared.rigging.rig import (
    bend_penalty,
    build_rig,
    corrected,
    drift,
    follow,
    place_seeds,
    pose_rig,
    refit_torso,
    start_torso,
    training_frame,
)
from shared.rigging.rig_options import choose_options
from shared.rigging.stored_tensors import Shapes, check_tensors
from shared.training_schedule import Schedule

DEFAULT_OPTIONS: MethodOptions = {"n_residuals": 16}
START_OPACITY = 0.7
HAIR = REGIONS.index("hair")
POSITION_WEIGHT, SCALE_WEIGHT, HEAD_SHARE_WEIGHT = 1e-3, 1e-2, 1e-2
RESIDUAL_WEIGHTS = {
    "place_residuals": 1e-1,
    "turn_residuals": 1e-1,
    "size_residuals": 1e-1,
    "opacity_residuals": 1e-1,
    "color_residuals": 3.0,
}
"""Of the penalties on the size of residuals; none takes more than it needs."""

RATES = {
    "local": 6e-3,
    "log_scales": 1e-2,
    "quats": 3e-3,
    "opacity_logits": 3e-2,
    "colors": 5e-3,
    "place_residuals": 1e-3,
    "turn_residuals": 1e-3,
    "size_residuals": 1e-3,
    "opacity_residuals": 1e-3,
    "color_residuals": 1e-3,
    "head_shares": 5e-3,
    "pose_deltas": 2e-4,
    "body": 4e-4,
    **NETWORK_RATES,
}
SHAPES: Shapes = {
    "local": ("N", 3),
    "log_scales": ("N", 3),
    "quats": ("N", 4),
    "opacity_logits": ("N",),
    "colors": ("N", 3),
    "place_residuals": ("K", "N", 3),
    "turn_residuals": ("K", "N", 4),
    "size_residuals": ("K", "N", 3),
    "opacity_residuals": ("K", "N"),
    "color_residuals": ("K", "N", 3),
    "head_shares": ("N",),
    "pose_deltas": ("T", 6),
    "body": ("T", 6),
    **NETWORK_SHAPES,
    **INPUT_SHAPES,
    "binding": ("N",),
    "rest": ("N", 3),
    "body_rule": (7, 6),
    "body_timing": (2,),
    "followed": ("followed frames", 6),
}
GAUSSIAN_DIMENSION = {name: shape.index("N") for name, shape in SHAPES.items() if "N" in shape}


class SpeakerBlendshapes(nn.Module):
    """The method's parameters; shapes: N Gaussians, K residuals, T training frames."""

    local: Tensor  # [N, 3] place in the triangle's frame, in triangle sizes
    log_scales: Tensor  # [N, 3] of triangle sizes
    quats: Tensor  # [N, 4] in the triangle's frame
    opacity_logits: Tensor  # [N]
    colors: Tensor  # [N, 3]
    place_residuals: Tensor  # [K, N, 3] what each residual adds to ``local``
    turn_residuals: Tensor  # [K, N, 4] to ``quats``
    size_residuals: Tensor  # [K, N, 3] to ``log_scales``
    opacity_residuals: Tensor  # [K, N] to ``opacity_logits``
    color_residuals: Tensor  # [K, N, 3] to ``colors``
    head_shares: Tensor  # [N] how far it goes with the head beyond what its triangle does
    pose_deltas: Tensor  # [T, 6] correction of the tracked head pose
    body: Tensor  # [T, 6] torso motion
    binding: Tensor  # [N] face of each Gaussian
    rest: Tensor  # [N, 3] place at rest, m
    out_bias: Tensor  # [K]
    body_rule: Tensor  # [7, 6]
    body_timing: Tensor  # [2]
    followed: Tensor  # [T, 6] torso as the rule moves it, once settled; [0, 6] before

    def __init__(self, subject: Subject, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        for name in SHAPES:
            if name in RATES:
                self.register_parameter(name, nn.Parameter(tensors[name].clone()))
            else:
                self.register_buffer(name, tensors[name].clone())
        self.subject = subject
        self.rig = build_rig(subject)

    def condition(self, performance: Performance) -> Tensor:
        """Head pose, torso, and weights of the residuals. -> [T, 18 + E + 6 + 2 K]"""
        motion = performance.pose
        return self._pack(motion, follow(self.body_rule, self.body_timing, motion))

    def training_condition(self, frame: int) -> Tensor:
        """The same for a training frame, with corrected head pose and its own torso. -> [C]"""
        moved = corrected(training_frame(self.subject, frame), self.pose_deltas[frame : frame + 1])
        body = self.followed if len(self.followed) else self.body
        return self._pack(moved, body[frame : frame + 1])[0]

    def _pack(self, motion: HeadPose, body: Tensor) -> Tensor:
        network = {name: getattr(self, name) for name in (*NETWORK_SHAPES, *INPUT_SHAPES)}
        return torch.cat([*motion, body, *frame_weights(network, motion)], dim=1)

    def pose(self, condition: Tensor) -> Layers:
        """Posed Gaussians of one frame."""
        n_expr, n_residuals = self.subject.head_model.expr_basis.shape[0], len(self.out_bias)
        sizes = (n_expr, 3, 3, 3, 6, 3, 6, n_residuals, n_residuals)
        *motion, body, face, hair = condition[None].split(sizes, dim=1)
        frames, mesh = pose_rig(self.rig, HeadPose(*motion), body[0])
        binding = self.binding
        size = frames.sizes.index_select(0, binding)  # [N]
        axes = (frames.rotations * frames.sizes[:, None, None]).index_select(0, binding)
        turns = matrix_to_quaternion(frames.rotations).index_select(0, binding)
        weights = torch.cat([face, hair])  # [2, K]
        local = self.local + self._residual(self.place_residuals, weights)
        centres = frames.centres.index_select(0, binding)
        log_scales = self.log_scales + self._residual(self.size_residuals, weights)
        opacity = self.opacity_logits + self._residual(self.opacity_residuals, weights)
        posed = Gaussians(
            means=(axes * local[:, None]).sum(-1)
            + centres
            + drift(mesh, self.rest, self.head_shares),
            quats=multiply_quaternions(
                turns, self.quats + self._residual(self.turn_residuals, weights)
            ),
            scales=log_scales.exp() * size[:, None],
            opacities=torch.sigmoid(opacity),
            colors=self.colors + self._residual(self.color_residuals, weights),
        )
        return (posed,)

    def _residual(self, bases: Tensor, weights: Tensor) -> Tensor:
        """Sum of the bases as a frame weights them. [K, N, ...], [2, K] -> [N, ...]"""
        if not len(bases):
            return torch.zeros(bases.shape[1:])
        face, hair = (weights @ bases.flatten(1)).view(2, *bases.shape[1:])
        labels = self.regions().view(-1, *[1] * (face.ndim - 1))
        chosen = torch.where(labels == HAIR, hair, face)
        return torch.where(labels == TORSO, torch.zeros(()), chosen)

    def regions(self) -> Tensor:
        """Face region that each Gaussian rides on. [N]"""
        return self.subject.head_model.face_regions.index_select(0, self.binding)

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and fixed arrays, by name."""
        return {name: getattr(self, name).detach() for name in SHAPES}

    def learning_rates(self) -> dict[str, float]:
        """Adam's initial learning rates; positions are in triangle sizes."""
        return RATES

    def per_gaussian(self) -> dict[str, int]:
        """Which dimension of which tensor counts Gaussians."""
        return GAUSSIAN_DIMENSION

    def regularisation(self, frame: int) -> Tensor:
        """GaussianAvatars' two terms, small residuals, and a torso that moves smoothly."""
        penalty = POSITION_WEIGHT * distance_penalty(self.local)
        penalty = penalty + SCALE_WEIGHT * scale_penalty(self.log_scales)
        penalty = penalty + HEAD_SHARE_WEIGHT * self.head_shares.square().mean()
        if len(self.out_bias):
            for name, weight in RESIDUAL_WEIGHTS.items():
                penalty = penalty + weight * getattr(self, name).square().mean()
        return penalty + bend_penalty(self.body, frame)

    def placements(self) -> list[Tensor]:
        """Head pose corrections and torso motion."""
        return [self.pose_deltas, self.body]

    def split(self, shrinks: Tensor, is_new: Tensor, noise: Tensor) -> None:
        """Split pairs share their parent's place and size."""
        with torch.no_grad():
            self.local += split_offsets(self.log_scales, noise) * is_new[:, None]
            self.log_scales -= CHILD_SHRINK * shrinks[:, None]

    def settle(self) -> None:
        """Fit the torso's rule to the refined head poses and torso motions, and go on by it."""
        for name, values in refit_torso(self.subject, self.pose_deltas, self.body).items():
            setattr(self, name, values)


def schedule(options: MethodOptions) -> Schedule:
    """The rig's.

    Raises:
        InvalidInput: ``bad_method_options``.
    """
    _n_residuals(options)
    return Schedule()


def needs(options: MethodOptions) -> Needs:
    """The head model's parameters alone.

    Raises:
        InvalidInput: ``bad_method_options``.
    """
    _n_residuals(options)
    return Needs()


def create(
    subject: Subject, seeds: list[Seed], options: MethodOptions, seed: int
) -> SpeakerBlendshapes:
    """Gaussians at the seeds' pixels, residuals of zero, and a network that tells frames apart.

    Raises:
        InvalidInput: ``bad_method_options``.
    """
    n_residuals = _n_residuals(options)
    placed = place_seeds(build_rig(subject), seeds)
    n = len(placed.binding)
    start = {
        **placed._asdict(),
        "quats": nearly_identity(n, seed),
        "opacity_logits": torch.full((n,), START_OPACITY).logit(),
        "place_residuals": torch.zeros(n_residuals, n, 3),
        "turn_residuals": torch.zeros(n_residuals, n, 4),
        "size_residuals": torch.zeros(n_residuals, n, 3),
        "opacity_residuals": torch.zeros(n_residuals, n),
        "color_residuals": torch.zeros(n_residuals, n, 3),
        "head_shares": torch.zeros(n),
        "pose_deltas": torch.zeros(len(subject.training_pose.expr), 6),
        **start_network(subject.training_pose, n_residuals, seed),
        **start_torso(subject),
    }
    return SpeakerBlendshapes(subject, start)


def restore(
    subject: Subject, tensors: dict[str, Tensor], options: MethodOptions
) -> SpeakerBlendshapes:
    """The stored model.

    Raises:
        InvalidInput: ``bad_avatar``; ``bad_method_options``.
    """
    _n_residuals(options)
    check_tensors(subject, tensors, SHAPES)
    return SpeakerBlendshapes(subject, tensors)


def _n_residuals(options: MethodOptions) -> int:
    chosen = choose_options("speaker_blendshapes", DEFAULT_OPTIONS, options)
    n_residuals = int(chosen["n_residuals"])
    if n_residuals > N_HIDDEN:
        raise InvalidInput(
            "bad_method_options", f"n_residuals is {n_residuals}, at most {N_HIDDEN} are possible"
        )
    return n_residuals
