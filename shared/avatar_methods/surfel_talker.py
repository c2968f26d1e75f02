"""surfel_talker: a talking head of surfels, deformed by spatial-audio attention.

Source: SyncGaussianTalker, which joins KU GaussianTalker (Cho et al., ACM MM 2024), SyncTalk (Peng
et al., CVPR 2024) and 2DGS (Huang et al., SIGGRAPH 2024); its own code and the weights of its terms
cannot be had. Of the first are planes, attention, heads and stages
(``talker_parts.deforming_cloud``), of the second poses steadied by optical flow, the upper face as
blendshapes and the masked attention, of the third discs in place of Gaussians and the terms that
lay them on a surface.
Tokens are audio, expression, camera, the frame's own code, and null. Departures:

- The whole person is drawn, whatever ``part`` says, since there is no captured torso to put a head
  before: ``part`` names what speech may deform, the ``face``, the ``head`` (the source's default)
  or ``all``, the torso too. Its cap of 50,000 points is the preset's or ``--max-points``.
- Sound by ``mel`` and a hearing that learns the tracked lips first, since AVE's weights are not
  ours to ship; ``audio_encoder`` names another.
- The frame's code is frozen not only in use but from FREEZE_SHARE of the training on: what is
  shown is what was trained.
- Starts, pictures a step, learning rates and what is left out of KU GaussianTalker are as in
  ``gaussian_talker``.
"""

import torch
from torch import Tensor, nn

from shared.avatar_method import MethodOptions, Needs, Performance, Seed, Subject
from shared.contracts.tracked_dataset import REGIONS
from shared.errors import InvalidInput
from shared.progress import Progress, silent
from shared.rigging.rig_options import choose_options
from shared.talker_parts.audio_nets import N_AUDIO, N_ROWS, Hearing, encoder_channels
from shared.talker_parts.cloud import N_PLACE, N_SURFEL_SCALES, TORSO
from shared.talker_parts.cloud_start import start_cloud
from shared.talker_parts.deforming_cloud import N_CAMERA, DeformingCloud, make_token
from shared.talker_parts.frame_code import FRAME_CODES, N_CODE, FrameCode
from shared.talker_parts.listening import learn_lips
from shared.talker_parts.masked_attention import (
    FACE,
    is_lower_face,
    masked_penalty,
    nose_height,
)
from shared.talker_parts.motion_lessons import n_lessons
from shared.talker_parts.spatial_attention import WIDTH
from shared.talker_parts.stored_networks import check_cloud, load_networks
from shared.training_schedule import PictureWeights, Schedule, SurfaceWeights
from shared.upper_face import N_UPPER_FACE

DEFAULT_OPTIONS: MethodOptions = {
    "audio_encoder": "mel",
    "attention": True,
    "poses": "flow",
    "part": "head",
    "frame_code": "sinusoid",
    "normals": 0.05,
    "distortion": 1.0,
    "feather": 9,
}
"""``normals`` is 2DGS's, ``feather`` SyncTalk's blending width. For ``distortion`` there is no
published value: 1 per metre is a choice that no ablation has judged."""
PARTS: dict[str, tuple[int, ...]] = {
    "head": (TORSO,),
    "face": tuple(label for label in range(len(REGIONS)) if label not in FACE),
    "all": (),
}
"""What stays as it is, by what may be deformed."""
POSES = ("flow", "tracked")
TOKENS = ("audio", "expression", "camera", "frame", "null")
AUDIO, EXPRESSION, FRAME = (TOKENS.index(name) for name in ("audio", "expression", "frame"))
COARSE_STAGE = 0.3
"""Share of the steps without deformation, as in ``gaussian_talker``."""
FREEZE_SHARE = 0.7
"""From here on all frames have one code."""
FRAME_WEIGHT = 1e-2
"""Of the attention to the frame's code, which the source holds down by a weight not published."""


class SurfelTalker(DeformingCloud):
    """The method's model."""

    ATTENTION_TOKENS = TOKENS

    def __init__(
        self, subject: Subject, tensors: dict[str, Tensor], n_channels: int, chosen: MethodOptions
    ) -> None:
        super().__init__(
            subject,
            tensors,
            n_channels,
            attention=bool(chosen["attention"]),
            still=PARTS[str(chosen["part"])],
        )
        self.frame_code = FrameCode(str(chosen["frame_code"]), len(subject.training_pose.expr))
        self.edge_px = int(chosen["feather"])
        self._nose = nose_height(subject)
        self._done = 1.0

    def add_tokens(self, n_channels: int) -> None:
        """Networks of sound, upper face, camera and frame, and a learned token of nothing."""
        self.hearing = Hearing(n_channels)
        self.audio_token = make_token(N_AUDIO)
        self.expression_token = make_token(N_UPPER_FACE)
        self.camera_token = make_token(N_CAMERA)
        self.frame_token = make_token(N_CODE)
        self.null_token = nn.Parameter(torch.randn(1, WIDTH))

    def condition(self, performance: Performance) -> Tensor:
        """Places, what is heard, the upper face and the frozen code. -> [T, 15 + 32 + 7 + 16]"""
        assert performance.audio is not None
        assert performance.upper_face is not None
        heard = self.hearing(performance.audio)
        code = self.frame_code.frozen().expand(len(heard), -1)
        places = self.place_rows(performance)
        return torch.cat([places, heard, performance.upper_face, code], 1)

    def training_condition(self, frame: int) -> Tensor:
        """The same for a training frame: corrected head pose, its own torso and code. -> [70]"""
        performance = self.subject.training_performance
        assert performance.audio is not None
        assert performance.upper_face is not None
        if self.is_static:
            heard = torch.zeros(N_AUDIO)
        else:
            heard = self.hearing(performance.audio[frame : frame + 1])[0]
        is_frozen = self._done >= FREEZE_SHARE
        code = self.frame_code.frozen() if is_frozen else self.frame_code.of(frame)
        return torch.cat([self.training_place(frame), heard, performance.upper_face[frame], code])

    def lesson_conditions(self) -> tuple[Tensor, int]:
        """Each with its own code, so that lips learn to take no notice of it."""
        conditions, _ = super().lesson_conditions()
        codes = [self.frame_code.of(frame) for frame in range(len(conditions))]
        return torch.cat([conditions[:, :-N_CODE], torch.stack(codes)], 1), N_CODE

    def begin_step(self, step: int, n_steps: int, progress: Progress = silent) -> tuple[str, ...]:
        """The coarse stage is static, the mesh teaches motion, the last has one frame code."""
        self._done = step / n_steps
        self.is_static = self._done < COARSE_STAGE
        begins = (step - 1) / n_steps < COARSE_STAGE <= step / n_steps
        return self.learn_motion(n_lessons(n_steps), progress) if begins else ()

    def tokens(self, condition: Tensor) -> Tensor:
        """What is known of a frame, in the order of TOKENS. -> [5, 64]"""
        place, heard, upper_face, code = condition.split((N_PLACE, N_AUDIO, N_UPPER_FACE, N_CODE))
        known = [
            self.audio_token(heard),
            self.expression_token(upper_face),
            self.camera_token(self.camera_deviation(place)),
            self.frame_token(code),
        ]
        return torch.cat([torch.stack(known), self.null_token])

    def learning_rates(self) -> dict[str, float]:
        """Adam's initial learning rates."""
        rates = self.deforming_rates()
        return rates | {name: 1e-2 for name in rates if name.startswith("frame_code.")}

    def regularisation(self, frame: int) -> Tensor:
        """Of the cloud; attention in the wrong half of the face, and to the frame's code."""
        penalty = self.cloud_penalty(frame)
        if self.attended is None:
            return penalty
        moving = self.moving()
        is_lower = is_lower_face(self.rest.detach()[moving], self.labels[moving], self._nose)
        audio, expression = self.attended[:, AUDIO], self.attended[:, EXPRESSION]
        penalty = penalty + masked_penalty(audio, expression, is_lower, self._done)
        return penalty + FRAME_WEIGHT * self.attended[:, FRAME].mean()


def schedule(options: MethodOptions) -> Schedule:
    """Lip, depth and surface terms; surfels are added in the coarse stage only.

    Raises:
        InvalidInput: ``bad_method_options``.
    """
    chosen = _choose(options)
    surface = SurfaceWeights(float(chosen["normals"]), distortion=float(chosen["distortion"]))
    return Schedule(
        weights=PictureWeights(lips=0.4, depth=0.4),
        densify_shares=(0.06, 0.12, 0.18, 0.24, 0.3),
        register_shares=(0.12, 0.28),
        surface=surface,
    )


def needs(options: MethodOptions) -> Needs:
    """Sound, the upper face, and head poses steadied by flow.

    Raises:
        InvalidInput: ``bad_method_options``, ``unknown_plugin``.
    """
    chosen = _choose(options)
    encoder = str(chosen["audio_encoder"])
    encoder_channels(encoder)
    is_steadied = chosen["poses"] == "flow"
    return Needs(encoder, N_ROWS, upper_face=True, poses="flow" if is_steadied else "tracked")


def create(subject: Subject, seeds: list[Seed], options: MethodOptions, seed: int) -> SurfelTalker:
    """A cloud at the seeds' pixels, networks that change nothing much yet.

    Raises:
        InvalidInput: ``bad_method_options``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        start = start_cloud(subject, seeds, seed, N_SURFEL_SCALES)
        model = _build(subject, start, options)
        learn_lips(model.hearing, subject, seed)
    return model


def restore(subject: Subject, tensors: dict[str, Tensor], options: MethodOptions) -> SurfelTalker:
    """The stored model.

    Raises:
        InvalidInput: ``bad_avatar``.
    """
    check_cloud(subject, tensors, N_SURFEL_SCALES)
    return load_networks(_build(subject, tensors, options), tensors)


def _build(subject: Subject, tensors: dict[str, Tensor], options: MethodOptions) -> SurfelTalker:
    chosen = _choose(options)
    return SurfelTalker(subject, tensors, encoder_channels(str(chosen["audio_encoder"])), chosen)


def _choose(options: MethodOptions) -> MethodOptions:
    """Defaults with what was chosen, all of it possible."""
    chosen = choose_options("surfel_talker", DEFAULT_OPTIONS, options)
    choices = {"poses": POSES, "part": tuple(PARTS), "frame_code": FRAME_CODES}
    for name, possible in choices.items():
        if chosen[name] not in possible:
            raise InvalidInput(
                "bad_method_options",
                f"{name} of surfel_talker is one of {', '.join(possible)}, not {chosen[name]}",
            )
    return chosen
