"""rigged_gaussians: Gaussians that ride on the head model's triangles.

Source: GaussianAvatars (Qian et al., CVPR 2024): triangle frames, local parameters, binding that
copies inherit, position and scale regularisers, a face's last Gaussian that is never removed,
spherical harmonics, opacity resets, head-model parameters tuned frame by frame. Departures: few
training frames instead of many cameras, so by default Gaussians start from pixels of training
frames (``init: faces`` starts one or more on every triangle), with smaller weights, without
harmonics, resets and tuned expressions; the torso is a rigid body of its own that follows the head
by a learned rule; position and colour are corrected linearly in a short code of expression and
head rotation, as wrinkles, lips and mouth interior need; head pose and torso of the training
frames are refined with the Gaussians; regularisers count all Gaussians, seen or not.
"""

import torch
from torch import Tensor, nn

from shared.avatar_method import MethodOptions, Needs, Performance, Seed, Subject
from shared.contracts.tracked_dataset import REGIONS
from shared.gaussians import Gaussians
from shared.geometry.rotations import matrix_to_quaternion, multiply_quaternions
from shared.head_model import HeadPose
from shared.layers import Layers
from shared.progress import Progress, silent
from shared.rigging.expression_code import (
    N_TURN_CODES,
    CodeBasis,
    expression_codes,
    fit_code_basis,
)
from shared.rigging.face_binding import (
    CHILD_SHRINK,
    distance_penalty,
    last_of_faces,
    scale_penalty,
    split_offsets,
)
from shared.rigging.mesh_motion import TORSO
from shared.rigging.placing import nearly_identity, place_on_faces
from shared.rigging.posing_kernel import Riders, ride_triangles
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
from shared.rigging.rig_options import RIG_OPTIONS, RigOptions, choose_options, rig_options
from shared.rigging.rigged_tensors import rates_for, shapes_for
from shared.rigging.schedule import RESET_LOGIT, is_reset
from shared.rigging.stored_tensors import check_tensors
from shared.rigging.tuned_motion import start_tuning, tuned
from shared.rigging.view_colors import camera_centre, degree_at, n_harmonics, view_tint
from shared.training_schedule import Schedule

DEFAULT_OPTIONS: MethodOptions = {"n_expression_codes": 12, **RIG_OPTIONS}
START_OPACITY = {"pixels": 0.7, "faces": 0.1}
"""The second is GaussianAvatars'."""
MOVE_WEIGHT, TINT_WEIGHT, HEAD_SHARE_WEIGHT = 1e-1, 3.0, 1e-2
HAIR = REGIONS.index("hair")


class RiggedGaussians(nn.Module):
    """The method's parameters; shapes: N Gaussians, C codes, T training frames."""

    local: Tensor  # [N, 3] place in the triangle's frame, in triangle sizes
    log_scales: Tensor  # [N, 3] of triangle sizes
    quats: Tensor  # [N, 4] in the triangle's frame
    opacity_logits: Tensor  # [N]
    colors: Tensor  # [N, 3]
    harmonics: Tensor  # [N, K, 3] of degree 1 and more; only with ``sh_degree``
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

    def __init__(self, subject: Subject, tensors: dict[str, Tensor], options: RigOptions) -> None:
        super().__init__()
        self.options = options
        self._rates = rates_for(options)
        self._shapes = shapes_for(options)
        for name in self._shapes:
            if name in self._rates:
                self.register_parameter(name, nn.Parameter(tensors[name].clone()))
            else:
                self.register_buffer(name, tensors[name].clone())
        self._kept: Riders | None = None
        self._degree = options.sh_degree
        self.subject = subject
        self.rig = build_rig(subject, own_torso=options.own_torso)

    def condition(self, performance: Performance) -> Tensor:
        """Head pose, torso, codes and, with harmonics, the camera. -> [T, 18 + E + 6 + C (+ 3)]"""
        motion = performance.pose
        return self._pack(motion, follow(self.body_rule, self.body_timing, motion))

    def training_condition(self, frame: int) -> Tensor:
        """The same for a training frame, with what was corrected and its own torso. -> [C]"""
        moved = corrected(training_frame(self.subject, frame), self.pose_deltas[frame : frame + 1])
        if self.options.tune_flame:
            moved = tuned(moved, dict(self.named_parameters()), frame)
        body = self.followed if len(self.followed) else self.body
        return self._pack(moved, body[frame : frame + 1])[0]

    def seen_from(self, condition: Tensor, viewmat: Tensor) -> Tensor:
        """The same frame before another camera. [C] -> [C]"""
        if not self.options.sh_degree:
            return condition
        return torch.cat([condition[:-3], camera_centre(viewmat)])

    def _pack(self, motion: HeadPose, body: Tensor) -> Tensor:
        codes = expression_codes(CodeBasis(self.code_weights, self.code_offset), motion)
        parts = [*motion, body, codes]
        if self.options.sh_degree:
            parts.append(camera_centre(self.subject.viewmat).expand(len(codes), 3))
        return torch.cat(parts, dim=1)

    def pose(self, condition: Tensor) -> Layers:
        """Posed Gaussians of one frame."""
        n_expr = self.subject.head_model.expr_basis.shape[0]
        camera = 3 if self.options.sh_degree else 0
        sizes = (n_expr, 3, 3, 3, 6, 3, 6, self.code_offset.shape[0], camera)
        *motion, body, codes, centre = condition[None].split(sizes, dim=1)
        frames, mesh = pose_rig(self.rig, HeadPose(*motion), body[0])
        apart = drift(mesh, self.rest, self.head_shares)
        if not torch.is_grad_enabled():
            riding = ride_triangles(self._riders(), frames, codes[0])
            return (self._shaded(riding._replace(means=riding.means + apart), centre[0]),)
        binding = self.binding
        reach = self._reach()  # [C, N, 1]
        size = frames.sizes.index_select(0, binding)  # [N]
        axes = (frames.rotations * frames.sizes[:, None, None]).index_select(0, binding)
        local = self.local + (codes @ (self.moves * reach).flatten(1)).view(-1, 3)
        means = (axes * local[:, None]).sum(-1) + frames.centres.index_select(0, binding) + apart
        turns = matrix_to_quaternion(frames.rotations).index_select(0, binding)
        posed = Gaussians(
            means=means,
            quats=multiply_quaternions(turns, self.quats),
            scales=self.log_scales.exp() * size[:, None],
            opacities=torch.sigmoid(self.opacity_logits),
            colors=self.colors + (codes @ (self.tints * reach).flatten(1)).view(-1, 3),
        )
        return (self._shaded(posed, centre[0]),)

    def regions(self) -> Tensor:
        """Face region that each Gaussian rides on. [N]"""
        return self.subject.head_model.face_regions.index_select(0, self.binding)

    def _shaded(self, posed: Gaussians, centre: Tensor) -> Gaussians:
        if not self._degree:
            return posed
        tint = view_tint(posed.means, centre, self.harmonics, self._degree)
        return posed._replace(colors=posed.colors + tint)

    def _reach(self) -> Tensor:
        """1 where a code may correct a Gaussian.

        Expression does not reach hair, nothing reaches the torso. Corrections outside stay zero,
        so that the rendering kernel need not know of this.
        """
        labels = self.regions()
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

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and fixed arrays, by name."""
        return {name: getattr(self, name).detach() for name in self._shapes}

    def learning_rates(self) -> dict[str, float]:
        """Adam's initial learning rates."""
        return self._rates

    def per_gaussian(self) -> dict[str, int]:
        """Which dimension of which tensor counts Gaussians."""
        return {name: shape.index("N") for name, shape in self._shapes.items() if "N" in shape}

    def regularisation(self, frame: int) -> Tensor:
        """GaussianAvatars' two terms, small corrections, and a torso that moves smoothly."""
        penalty = self.options.position_weight * distance_penalty(self.local)
        penalty = penalty + self.options.scale_weight * scale_penalty(self.log_scales)
        penalty = penalty + MOVE_WEIGHT * self.moves.square().mean()
        penalty = penalty + TINT_WEIGHT * self.tints.square().mean()
        penalty = penalty + HEAD_SHARE_WEIGHT * self.head_shares.square().mean()
        return penalty + bend_penalty(self.body, frame)

    def placements(self) -> list[Tensor]:
        """Head pose corrections and torso motion."""
        return [self.pose_deltas, self.body]

    def split(self, shrinks: Tensor, is_new: Tensor, noise: Tensor) -> None:
        """Split pairs share their parent's place and size."""
        with torch.no_grad():
            self.local += split_offsets(self.log_scales, noise) * is_new[:, None]
            self.log_scales -= CHILD_SHRINK * shrinks[:, None]

    def spare(self, doomed: Tensor) -> Tensor:
        """Where every face began with a Gaussian, its last one stays. [N] bool -> [N] bool"""
        if self.options.init != "faces":
            return torch.zeros_like(doomed)
        return last_of_faces(self.binding, doomed, self.opacity_logits.detach())

    def begin_step(self, step: int, n_steps: int, progress: Progress = silent) -> tuple[str, ...]:
        """Next degree of the harmonics, and opacity resets."""
        del progress
        self._degree = degree_at(step, n_steps, self.options.sh_degree)
        if not is_reset(step, n_steps, self.options.opacity_reset_every):
            return ()
        with torch.no_grad():
            self.opacity_logits.clamp_(max=RESET_LOGIT)
        return ("opacity_logits",)

    def settle(self) -> None:
        """Fit the torso's rule to the refined head poses and torso motions, and go on by it."""
        for name, values in refit_torso(self.subject, self.pose_deltas, self.body).items():
            setattr(self, name, values)


def schedule(options: MethodOptions) -> Schedule:
    """The usual one."""
    del options
    return Schedule()


def needs(options: MethodOptions) -> Needs:
    """The head model's parameters are enough."""
    del options
    return Needs()


def create(
    subject: Subject, seeds: list[Seed], options: MethodOptions, seed: int
) -> RiggedGaussians:
    """Gaussians at the seeds' pixels, on the mesh as it stood in their frames, or on all faces.

    Raises:
        InvalidInput: ``bad_method_options``.
    """
    n_codes, chosen = _parse(options)
    rig = build_rig(subject, own_torso=chosen.own_torso)
    pose = subject.training_pose
    basis = fit_code_basis(subject.head_model, rig.neutral, pose, n_codes)
    if chosen.init == "faces":
        placed = place_on_faces(subject, rig.neutral, chosen.gaussians_per_face, seed)
    else:
        placed = place_seeds(rig, seeds)
    n = len(placed.binding)
    start = {
        **placed._asdict(),
        "quats": nearly_identity(n, seed),
        "opacity_logits": torch.full((n,), START_OPACITY[chosen.init]).logit(),
        "harmonics": torch.zeros(n, n_harmonics(chosen.sh_degree), 3),
        "moves": torch.zeros(len(basis.offset), n, 3),
        "tints": torch.zeros(len(basis.offset), n, 3),
        "head_shares": torch.zeros(n),
        "pose_deltas": torch.zeros(len(pose.expr), 6),
        "code_weights": basis.weights,
        "code_offset": basis.offset,
        **start_torso(subject),
        **start_tuning(pose),
    }
    return RiggedGaussians(subject, start, chosen)


def restore(
    subject: Subject, tensors: dict[str, Tensor], options: MethodOptions
) -> RiggedGaussians:
    """The stored model.

    Raises:
        InvalidInput: ``bad_avatar`` or ``bad_method_options``.
    """
    chosen = _parse(options)[1]
    check_tensors(subject, tensors, shapes_for(chosen))
    return RiggedGaussians(subject, tensors, chosen)


def _parse(options: MethodOptions) -> tuple[int, RigOptions]:
    chosen = choose_options("rigged_gaussians", DEFAULT_OPTIONS, options)
    return int(chosen["n_expression_codes"]), rig_options("rigged_gaussians", chosen)
