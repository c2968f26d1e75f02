"""rigged_gaussians: Gaussians that ride on the head model's triangles.

Source: GaussianAvatars (Qian et al., CVPR 2024): triangle frames, local parameters, binding,
position and scale regularisers. Departures: few training frames instead of many cameras, so
Gaussians start from pixels of training frames, not one per triangle; the torso is a rigid body
of its own that follows the head by a learned rule; position and colour are corrected linearly in
a short code of expression and head rotation, as wrinkles, lips and mouth interior need; head pose
and torso of the training frames are refined with the Gaussians.
"""

import math

import torch
from torch import Tensor, nn

from shared.avatar_method import MethodOptions, Seed, Subject
from shared.contracts.tracked_dataset import REGIONS
from shared.errors import InvalidInput
from shared.gaussians import Gaussians
from shared.geometry.rotations import (
    axis_angle_to_matrix,
    matrix_to_quaternion,
    multiply_quaternions,
)
from shared.head_model import HeadPose, joint_transforms, neutral_vertices, shaped_vertices
from shared.rigging.body import BodyRule, body_transform, fit_body_rule, follow_head
from shared.rigging.expression_code import (
    N_TURN_CODES,
    CodeBasis,
    expression_codes,
    fit_code_basis,
)
from shared.rigging.posing_kernel import Riders, ride_triangles
from shared.rigging.seeding import Bound, bind_pixels
from shared.rigging.stored_tensors import Shapes, check_tensors
from shared.rigging.triangle_frames import triangle_frames

DEFAULT_OPTIONS: MethodOptions = {"n_expression_codes": 12}
START_OPACITY = 0.7
MAX_DISTANCE = 1.0
"""Beyond this many triangle sizes from its triangle a Gaussian is pulled back (GaussianAvatars)."""
MAX_SCALE = 0.6
"""Above this many triangle sizes a Gaussian is shrunk (GaussianAvatars)."""
WEIGHTS = {
    "distance": 1e-3,
    "scale": 1e-2,
    "move": 1e-1,
    "tint": 3.0,
    "head_share": 1e-2,
    "body": 3e-2,
}
CHILD_SHRINK = math.log(1.6)
"""Both of a split pair shrink by this factor (3D Gaussian Splatting)."""
HAIR, NECK, TORSO = (REGIONS.index(name) for name in ("hair", "neck", "torso"))
APART_REGIONS = (NECK, TORSO)
"""Neck and torso: what a picture shows of them rides on them alone, wherever the mesh is."""

LEARNED = (
    "local",
    "log_scales",
    "quats",
    "opacity_logits",
    "colors",
    "moves",
    "tints",
    "head_shares",
    "pose_deltas",
    "body",
)
FIXED = (
    "binding",
    "rest",
    "code_weights",
    "code_offset",
    "body_rule",
    "body_timing",
    "followed",
)
SHAPES: Shapes = {
    "local": ("N", 3),
    "log_scales": ("N", 3),
    "quats": ("N", 4),
    "opacity_logits": ("N",),
    "colors": ("N", 3),
    "moves": ("C", "N", 3),
    "tints": ("C", "N", 3),
    "head_shares": ("N",),
    "pose_deltas": ("T", 6),
    "body": ("T", 6),
    "binding": ("N",),
    "rest": ("N", 3),
    "code_weights": ("E+6", "C"),
    "code_offset": ("C",),
    "body_rule": (7, 6),
    "body_timing": (2,),
    "followed": ("followed frames", 6),
}
GAUSSIAN_DIMENSION = {name: shape.index("N") for name, shape in SHAPES.items() if "N" in shape}


class RiggedGaussians(nn.Module):
    """The method's parameters; shapes: N Gaussians, C codes, T training frames."""

    local: Tensor  # [N, 3] place in the triangle's frame, in triangle sizes
    log_scales: Tensor  # [N, 3] of triangle sizes
    quats: Tensor  # [N, 4] in the triangle's frame
    opacity_logits: Tensor  # [N]
    colors: Tensor  # [N, 3]
    moves: Tensor  # [C, N, 3] correction of ``local`` per code
    tints: Tensor  # [C, N, 3] correction of ``colors`` per code
    head_shares: Tensor  # [N] how far it goes with the head beyond what its triangle does
    pose_deltas: Tensor  # [T, 6] correction of the tracked head pose
    body: Tensor  # [T, 6] torso motion
    binding: Tensor  # [N] face of each Gaussian
    rest: Tensor  # [N, 3] place at rest, m
    code_weights: Tensor  # [E + 6, C]
    code_offset: Tensor  # [C]
    body_rule: Tensor  # [7, 6]
    body_timing: Tensor  # [2]
    followed: (
        Tensor  # [T, 6] torso as the rule moves it, once it does so in training; [0, 6] before
    )

    def __init__(self, subject: Subject, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        for name in LEARNED:
            self.register_parameter(name, nn.Parameter(tensors[name].clone()))
        for name in FIXED:
            self.register_buffer(name, tensors[name].clone())
        self._kept: Riders | None = None
        self.subject = subject
        self.neutral = neutral_vertices(subject.head_model, subject.shape)
        self.rest_rotation, self.rest_shift, self.pivot = _body_rest(subject, self.neutral)

    def condition(self, motion: HeadPose) -> Tensor:
        """Head pose, torso motion and codes of each frame. -> [T, 18 + E + 6 + C]"""
        head = torch.cat([motion.rotation, motion.translation], 1)
        return self._pack(motion, follow_head(BodyRule(self.body_rule, self.body_timing), head))

    def training_condition(self, frame: int) -> Tensor:
        """The same for a training frame, with corrected head pose and its own torso. -> [C]"""
        tracked = HeadPose(*(values[frame : frame + 1] for values in self.subject.training_pose))
        delta = self.pose_deltas[frame : frame + 1]
        moved = tracked._replace(
            rotation=tracked.rotation + delta[:, :3],
            translation=tracked.translation + delta[:, 3:],
        )
        body = self.followed if len(self.followed) else self.body
        return self._pack(moved, body[frame : frame + 1])[0]

    def _pack(self, motion: HeadPose, body: Tensor) -> Tensor:
        codes = expression_codes(CodeBasis(self.code_weights, self.code_offset), motion)
        return torch.cat([*motion, body, codes], dim=1)

    def pose(self, condition: Tensor) -> Gaussians:
        """Posed Gaussians of one frame."""
        n_expr = self.subject.head_model.expr_basis.shape[0]
        sizes = (n_expr, 3, 3, 3, 6, 3, 6, self.code_offset.shape[0])
        *motion, body, codes = condition[None].split(sizes, dim=1)
        vertices, apart_turn, apart_shift = self._vertices(HeadPose(*motion), body[0])
        frames = triangle_frames(vertices, self.subject.head_model.faces)
        drift = self.head_shares[:, None] * (self.rest @ apart_turn.T + apart_shift)
        if not torch.is_grad_enabled():
            riding = ride_triangles(self._riders(), frames, codes[0])
            return riding._replace(means=riding.means + drift)
        binding = self.binding
        reach = self._reach()  # [C, N, 1]
        size = frames.sizes.index_select(0, binding)  # [N]
        axes = (frames.rotations * frames.sizes[:, None, None]).index_select(0, binding)
        local = self.local + (codes @ (self.moves * reach).flatten(1)).view(-1, 3)
        means = (axes * local[:, None]).sum(-1) + frames.centres.index_select(0, binding) + drift
        turns = matrix_to_quaternion(frames.rotations).index_select(0, binding)
        return Gaussians(
            means=means,
            quats=multiply_quaternions(turns, self.quats),
            scales=self.log_scales.exp() * size[:, None],
            opacities=torch.sigmoid(self.opacity_logits),
            colors=self.colors + (codes @ (self.tints * reach).flatten(1)).view(-1, 3),
        )

    def _reach(self) -> Tensor:
        """1 where a code may correct a Gaussian.

        Expression does not reach hair, nothing reaches the torso. Corrections outside stay zero,
        so that the rendering kernel need not know of this.
        """
        labels = self.subject.head_model.face_regions.index_select(0, self.binding)
        reach = torch.ones(len(self.code_offset), len(labels), 1)
        reach[:-N_TURN_CODES, labels == HAIR] = 0
        reach[:, labels == TORSO] = 0
        return reach

    def _riders(self) -> Riders:
        """What does not change from frame to frame; kept once nothing is trained any more."""
        if self._kept is not None:
            return self._kept
        riders = Riders(
            binding=self.binding,
            local=self.local,
            scales=self.log_scales.exp(),
            quats=self.quats,
            opacities=torch.sigmoid(self.opacity_logits),
            colors=self.colors,
            moves=self.moves,
            tints=self.tints,
        )
        if not any(parameter.requires_grad for parameter in self.parameters()):
            self._kept = riders
        return riders

    def _vertices(self, motion: HeadPose, body: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mesh in world space: skinned, with the torso instead of FLAME's root joint. [V, 3]

        With it how head and torso come apart: x -> turn x + shift is the way from where the
        torso takes a point to where the head takes it.
        """
        model = self.subject.head_model
        shaped = shaped_vertices(model, self.neutral, motion)[0]
        rotations, shifts = joint_transforms(model.joints, motion)
        turn, shift = body_transform(body, self.rest_rotation, self.rest_shift, self.pivot)
        rotations = torch.cat([turn[None], rotations[0, 1:]])
        shifts = torch.cat([shift[None], shifts[0, 1:] + motion.translation])
        blended = (model.weights @ rotations.flatten(1)).view(-1, 3, 3)
        vertices = (blended * shaped[:, None]).sum(-1) + model.weights @ shifts
        return vertices, rotations[1] - turn, shifts[1] - shift

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and fixed arrays, by name."""
        return {name: getattr(self, name).detach() for name in (*LEARNED, *FIXED)}

    def learning_rates(self) -> dict[str, float]:
        """Adam's initial learning rates; positions are in triangle sizes."""
        return {
            "local": 6e-3,
            "log_scales": 1e-2,
            "quats": 3e-3,
            "opacity_logits": 3e-2,
            "colors": 5e-3,
            "moves": 1e-3,
            "tints": 1e-3,
            "head_shares": 5e-3,
            "pose_deltas": 2e-4,
            "body": 4e-4,
        }

    def per_gaussian(self) -> dict[str, int]:
        """Which dimension of which tensor counts Gaussians."""
        return GAUSSIAN_DIMENSION

    def regularisation(self, frame: int) -> Tensor:
        """GaussianAvatars' two terms, small corrections, and a torso that moves smoothly."""
        distance = torch.relu(self.local.norm(dim=1) - MAX_DISTANCE).mean()
        scale = torch.relu(self.log_scales.exp() - MAX_SCALE).norm(dim=1).mean()
        penalty = WEIGHTS["distance"] * distance + WEIGHTS["scale"] * scale
        penalty = penalty + WEIGHTS["move"] * self.moves.square().mean()
        penalty = penalty + WEIGHTS["tint"] * self.tints.square().mean()
        penalty = penalty + WEIGHTS["head_share"] * self.head_shares.square().mean()
        if 0 < frame < len(self.body) - 1:
            bend = self.body[frame] - 0.5 * (self.body[frame - 1] + self.body[frame + 1])
            penalty = penalty + WEIGHTS["body"] * bend.square().sum() / 1e-4
        return penalty

    def placements(self) -> list[Tensor]:
        """Head pose corrections and torso motion."""
        return [self.pose_deltas, self.body]

    def split(self, shrinks: Tensor, is_new: Tensor, noise: Tensor) -> None:
        """Split pairs share their parent's place and size; offsets are in triangle sizes."""
        with torch.no_grad():
            self.local += noise * self.log_scales.exp() * is_new[:, None]
            self.log_scales -= CHILD_SHRINK * shrinks[:, None]

    def settle(self) -> None:
        """Fit the torso's rule to the refined head poses and torso motions.

        From then on the training moves the torso by the rule too, as rendering does: edges grow
        as soft as the rule is unsure of them, instead of sharp and in the wrong place.
        """
        pose = self.subject.training_pose
        head = torch.cat([pose.rotation, pose.translation], 1) + self.pose_deltas.detach()
        rule = fit_body_rule(head, self.body.detach())
        self.body_rule.copy_(rule.weights)
        self.body_timing.copy_(rule.timing)
        self.followed = follow_head(rule, head)


def create(
    subject: Subject, seeds: list[Seed], options: MethodOptions, seed: int
) -> RiggedGaussians:
    """Gaussians at the seeds' pixels, on the mesh as it stood in their frames.

    Raises:
        InvalidInput: ``bad_method_options``.
    """
    neutral = neutral_vertices(subject.head_model, subject.shape)
    pose = subject.training_pose
    basis = fit_code_basis(subject.head_model, neutral, pose, _n_expression_codes(options))
    head = torch.cat([pose.rotation, pose.translation], 1)
    rule = fit_body_rule(head, subject.training_body)
    n = sum(len(points.pixels) for points in seeds)
    n_frames = len(pose.expr)
    start = {
        "local": torch.zeros(n, 3),
        "log_scales": torch.zeros(n, 3),
        "quats": _jittered_identity(n, seed),
        "opacity_logits": torch.full((n,), START_OPACITY).logit(),
        "colors": torch.cat([points.colors for points in seeds]),
        "moves": torch.zeros(len(basis.offset), n, 3),
        "tints": torch.zeros(len(basis.offset), n, 3),
        "head_shares": torch.zeros(n),
        "pose_deltas": torch.zeros(n_frames, 6),
        "body": subject.training_body,
        "binding": torch.zeros(n, dtype=torch.int64),
        "rest": torch.zeros(n, 3),
        "code_weights": basis.weights,
        "code_offset": basis.offset,
        "body_rule": rule.weights,
        "body_timing": rule.timing,
        "followed": torch.zeros(0, 6),
    }
    model = RiggedGaussians(subject, start)
    at = 0
    for points in seeds:
        to = at + len(points.pixels)
        _place(model, points, slice(at, to))
        at = to
    return model


def _place(model: RiggedGaussians, points: Seed, rows: slice) -> None:
    """Put some Gaussians where a frame shows them, each on a part of the mesh of its own kind."""
    subject = model.subject
    vertices = _frame_vertices(model, points.frame)
    labels = subject.head_model.face_regions
    kinds = [torch.tensor([label], dtype=labels.dtype) for label in APART_REGIONS]
    apart = torch.tensor(APART_REGIONS, dtype=labels.dtype)
    with torch.no_grad():
        for kind in (*kinds, None):
            wanted = ~torch.isin(points.labels, apart) if kind is None else points.labels == kind
            allowed = ~torch.isin(labels, apart) if kind is None else labels == kind
            if not wanted.any():
                continue
            bound = bind_pixels(
                points.pixels[wanted],
                vertices,
                subject.head_model.faces,
                allowed,
                viewmat=subject.viewmat,
                K=subject.K,
                crop_size=subject.crop_size,
            )
            at = torch.arange(rows.start, rows.stop)[wanted]
            model.binding[at] = bound.binding
            model.local[at] = bound.local
            model.rest[at] = _rest_places(model, bound)
            spread = (points.spacing[wanted] * bound.pixel_sizes).clamp(1e-3, 1.0)
            model.log_scales[at] = spread.log()[:, None].expand(-1, 3)


def restore(
    subject: Subject, tensors: dict[str, Tensor], options: MethodOptions
) -> RiggedGaussians:
    """The stored model; ``options`` are in the shapes already.

    Raises:
        InvalidInput: ``bad_avatar``.
    """
    del options
    check_tensors(subject, tensors, SHAPES)
    return RiggedGaussians(subject, tensors)


def _n_expression_codes(options: MethodOptions) -> int:
    chosen = {**DEFAULT_OPTIONS, **options}
    n_codes = chosen["n_expression_codes"]
    if set(chosen) != set(DEFAULT_OPTIONS) or type(n_codes) is not int or n_codes < 0:
        raise InvalidInput(
            "bad_method_options",
            f"rigged_gaussians has the options {DEFAULT_OPTIONS}, not {options}",
        )
    return n_codes


def _rest_places(model: RiggedGaussians, bound: Bound) -> Tensor:
    """Where bound points lie on the neutral head. [M, 3]"""
    frames = triangle_frames(model.neutral, model.subject.head_model.faces)
    place = bound.local * frames.sizes[bound.binding, None]
    return frames.centres[bound.binding] + (frames.rotations[bound.binding] * place[:, None]).sum(
        -1
    )


def _frame_vertices(model: RiggedGaussians, frame: int) -> Tensor:
    motion = HeadPose(*(values[frame : frame + 1] for values in model.subject.training_pose))
    return model._vertices(motion, model.body[frame])[0]  # noqa: SLF001 - same module


def _jittered_identity(n: int, seed: int) -> Tensor:
    """Nearly identity: isotropic Gaussians have no gradient of their own by rotation."""
    noise = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
    return torch.tensor([1.0, 0, 0, 0]) + 0.01 * noise


def _body_rest(subject: Subject, neutral: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where the usual head pose puts the torso: rotation, shift and the torso's centre."""
    pose = subject.training_pose
    turn = axis_angle_to_matrix(pose.rotation.median(0).values)
    root = subject.head_model.joints[0]
    shift = root - turn @ root + pose.translation.median(0).values
    labels = subject.head_model.face_regions
    vertices = subject.head_model.faces[labels == TORSO].unique()
    centre = neutral[vertices].mean(0) if len(vertices) else root
    return turn, shift, turn @ centre + shift
