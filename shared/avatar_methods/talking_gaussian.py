"""talking_gaussian: Gaussians that move but never recolour, the mouth's inside behind the face.

Source: TalkingGaussian (Li et al., ECCV 2024): persistent Gaussians with motion fields on planar
grids, region attention, face and inside-mouth branches learned apart before green, frames of open
mouths and closed eyes drawn through sliding windows, a fuse stage that trains colours only, face
over mouth over torso over background. Departures:

- The torso is a layer that follows the head by a rule (``talker_parts.cloud``), not the capture's.
- Gaussians start from pixels of training frames, the inside of the mouth from those that show it.
- RGB instead of spherical harmonics of degree 2: one frontal camera.
- Both branches are learned in the same steps: they share no parameter. Each has its own hearing.
- Five brow units for AU 1, 4, 5, 6, 7, the blinks for AU45; features of any audio encoder, heard by
  networks that are taught the tracked lips first (``talker_parts.listening``).
- Parts are learned before three colours whose mean is the mouth's own, not before green alone.
- Region attention is held back on Gaussians of lips and hair, not on pixels.
- No LPIPS (no weights here); learning rates of the grids and networks are four times the source's,
  since 2,500 steps stand for its 50,000.
"""

import torch
from torch import Tensor, nn

from shared.avatar_method import MethodOptions, Needs, Performance, Seed, Subject
from shared.contracts.tracked_dataset import REGIONS
from shared.gaussians import Gaussians
from shared.layers import Layers
from shared.progress import Progress, part_of, silent
from shared.talker_parts.audio_nets import N_AUDIO, N_ROWS, Hearing, encoder_channels
from shared.talker_parts.cloud import N_PLACE, PER_GAUSSIAN, CanonicalCloud
from shared.talker_parts.cloud_start import start_cloud
from shared.talker_parts.listening import PICTURE_RATE, learn_lips
from shared.talker_parts.motion_fields import MOVE_UNIT_M, FaceField, Focus, MouthField
from shared.talker_parts.motion_lessons import bind_to_skin, n_lessons, teach_motion
from shared.talker_parts.stored_networks import check_cloud, choose_options, load_networks
from shared.training_schedule import FrameWindow, PartLoss, Schedule
from shared.upper_face import N_UPPER_FACE

DEFAULT_OPTIONS: MethodOptions = {"audio_encoder": "mel", "mouth": True}
STATIC_STAGE = 0.12
"""Share of the steps without motion: 3,000 of 50,000 in the source."""
FUSE_STAGE = 0.85
"""From then on only colours and the face's opacity are trained: the last 10,000 of 60,000 steps."""
WINDOWS = (
    FrameWindow(
        "lip_opening", every=7, start=STATIC_STAGE, end=0.78, width=0.2, first=1, last=0.25
    ),
    FrameWindow("blink", every=15, start=0.06, end=0.8, width=0.3),
)
MOUTH_COPIES = 3
"""The source starts with 10,000 points in the mouth; pixels that show it are few."""
MOUTH_SPREAD_M = 2e-3
MOVE_WEIGHT = 1e-5
FOCUS_WEIGHT = 1e-4
GRID_LESSONS = 7.0
"""The grids begin near zero."""
FACE, MOUTH, TORSO = range(3)
MOUTH_LABELS, TORSO_LABELS, HAIR, LIPS = (
    tuple(REGIONS.index(name) for name in names)
    for names in (("teeth", "mouth_inside"), ("neck", "torso"), ("hair",), ("lips",))
)


class TalkingGaussian(CanonicalCloud):
    """The method's model; rows are sorted by their part."""

    def __init__(
        self, subject: Subject, tensors: dict[str, Tensor], n_channels: int, *, has_mouth: bool
    ) -> None:
        super().__init__(subject, tensors)
        self.has_mouth = has_mouth
        rest, parts = self.rest.detach(), branch_of(self.labels, has_mouth=has_mouth)
        self.face_hearing = Hearing(n_channels)
        self.face_field = FaceField(_centre(rest[parts == FACE]))
        if has_mouth:
            self.mouth_hearing = Hearing(n_channels)
            self.mouth_field = MouthField(_centre(rest[parts == MOUTH]))
        self._done = 1.0
        self._moved: Tensor | None = None
        self._focused: Focus | None = None
        self._kept: tuple[tuple[int, ...], Focus] | None = None

    def condition(self, performance: Performance) -> Tensor:
        """Places, what each branch hears, and the upper face. -> [T, 15 + 64 + 7]"""
        assert performance.audio is not None
        assert performance.upper_face is not None
        heard = self._hear(performance.audio)
        return torch.cat([self.place_rows(performance), heard, performance.upper_face], 1)

    def training_condition(self, frame: int) -> Tensor:
        """The same for a training frame, with corrected head pose and its own torso. -> [86]"""
        performance = self.subject.training_performance
        assert performance.audio is not None
        assert performance.upper_face is not None
        heard = self._hear(performance.audio[frame : frame + 1])[0]
        return torch.cat([self.training_place(frame), heard, performance.upper_face[frame]])

    def _hear(self, audio: Tensor) -> Tensor:
        """What face and mouth hear. [T, W, C] -> [T, 64]"""
        face = self.face_hearing(audio)
        mouth = self.mouth_hearing(audio) if self.has_mouth else torch.zeros_like(face)
        return torch.cat([face, mouth], 1)

    def begin_step(self, step: int, n_steps: int, progress: Progress = silent) -> tuple[str, ...]:
        """Static, then taught by the tracked mesh, then moving, then fused."""
        self._done = step / n_steps
        begins = (step - 1) / n_steps < STATIC_STAGE <= step / n_steps
        return self._learn_motion(n_lessons(n_steps), progress) if begins else ()

    def _learn_motion(self, n_steps: int, progress: Progress) -> tuple[str, ...]:
        """Teach both fields how the tracked face moves; names of what they changed."""
        parts = branch_of(self.labels, has_mouth=self.has_mouth)
        conditions = self.condition(self.subject.training_performance).detach()
        changed: list[str] = []
        for part, field in ((FACE, "face_field."), (MOUTH, "mouth_field.")):
            of_part = torch.nonzero(parts == part)[:, 0]
            if not len(of_part):
                continue
            told = part_of(progress, part / 2, (part + 1) / 2)
            places = self.rest.detach()[of_part]

            def move(known: Tensor, rows: Tensor, part: int = part, at: Tensor = places) -> Tensor:
                _, face, mouth, upper = known.split((N_PLACE, N_AUDIO, N_AUDIO, N_UPPER_FACE), 1)
                if part == FACE:
                    return self.face_field.moves(at[rows], face, upper)
                return self.mouth_field.moves(at[rows], mouth)

            fields = {n: p for n, p in self.named_parameters() if n.startswith(field)}
            rates = {p: GRID_LESSONS if ".grids." in n else 1.0 for n, p in fields.items()}
            skin = bind_to_skin(self.subject, places, self.labels[of_part])
            teach_motion(skin, conditions, move, rates, n_steps, progress=told)
            changed += fields
        return tuple(changed)

    def pose(self, condition: Tensor) -> Layers:
        """Face, inside of the mouth and torso of one frame, as far as there are any."""
        place, face_heard, mouth_heard, upper_face = condition.split(
            (N_PLACE, N_AUDIO, N_AUDIO, N_UPPER_FACE)
        )
        parts = branch_of(self.labels, has_mouth=self.has_mouth)
        n_face, n_mouth = int((parts == FACE).sum()), int((parts == MOUTH).sum())
        rows = (slice(0, n_face), slice(n_face, n_face + n_mouth))
        means, quats, scales = self.rest, self.quats, self.log_scales
        if self._done >= STATIC_STAGE:
            raw = self.face_field(self._focus(rows[0]), face_heard, upper_face)
            moves = [MOVE_UNIT_M * raw[:, :3]]
            if n_mouth:
                moves.append(self.mouth_field.moves(means[rows[1]], mouth_heard[None])[0])
            n_still = len(means) - sum(map(len, moves))
            means = means + torch.cat([*moves, torch.zeros(n_still, 3)])
            still = (0, 0, 0, len(means) - n_face)
            quats = quats + nn.functional.pad(raw[:, 3:7], still)
            scales = scales + nn.functional.pad(raw[:, 8:], still)
            self._moved = raw if torch.is_grad_enabled() else None
        posed = self._placed(place, means, quats, scales)
        sizes = [n_face, n_mouth, len(means) - n_face - n_mouth]
        kept = sizes if self.has_mouth else [n_face, sizes[2]]
        columns = (values.split(kept) for values in posed)
        return tuple(Gaussians(*layer) for layer in zip(*columns, strict=True))

    def _placed(self, place: Tensor, means: Tensor, quats: Tensor, scales: Tensor) -> Gaussians:
        """Carried into the world; while parts are fused, only colours and opacity are learned."""
        opacities = self.opacity_logits
        if self._done >= FUSE_STAGE and torch.is_grad_enabled():
            means, quats, scales = means.detach(), quats.detach(), scales.detach()
            is_face = branch_of(self.labels, has_mouth=self.has_mouth) == FACE
            opacities = torch.where(is_face, opacities, opacities.detach())
        carried, turned = self.carry(self.places(place), means, quats)
        return Gaussians(
            means=carried,
            quats=turned,
            scales=scales.exp(),
            opacities=torch.sigmoid(opacities).clamp(1e-6, 1 - 1e-6),
            colors=self.colors,
        )

    def _focus(self, rows: slice) -> Focus:
        """Of the face's Gaussians; kept while nothing changes."""
        if torch.is_grad_enabled():
            self._kept = None  # a step follows, and fused Adam changes parameters without a count
            self._focused = self.face_field.focus(self.rest[rows])
            return self._focused
        watched = (self.rest, *self.face_field.parameters())
        state = tuple(value for p in watched for value in (id(p), p._version))  # noqa: SLF001 - torch's count of changes
        if self._kept is None or self._kept[0] != state:
            self._kept = (state, self.face_field.focus(self.rest[rows]))
        return self._kept[1]

    def learning_rates(self) -> dict[str, float]:
        """Adam's initial learning rates."""
        rates = self.cloud_rates()
        for name, _ in self.named_parameters():
            if name not in rates:
                rates[name] = 2e-2 if ".grids." in name else 2e-3
                if "_hearing." in name:
                    rates[name] = PICTURE_RATE
        return rates

    def regularisation(self, frame: int) -> Tensor:
        """Of the cloud; small motion; no expression in the lips, neither it nor sound in hair."""
        penalty = self.cloud_penalty(frame)
        if self._moved is None or self._focused is None or self._done < STATIC_STAGE:
            return penalty
        labels = self.labels[: len(self._moved)]
        penalty = penalty + MOVE_WEIGHT * self._moved.abs().mean(0).sum()
        expression, audio = self._focused.expression, self._focused.audio
        for focus, region in ((expression, LIPS), (expression, HAIR), (audio, HAIR)):
            chosen = labels == region[0]
            if focus is not None and chosen.any():
                penalty = penalty + FOCUS_WEIGHT * focus[chosen].abs().mean(0).sum()
        return penalty


def schedule(options: MethodOptions) -> Schedule:
    """Parts apart until the fuse stage; without a mouth branch there is nothing to take apart."""
    chosen = choose_options("talking_gaussian", DEFAULT_OPTIONS, options)
    parts = (
        PartLoss("face", layers=(FACE, TORSO), until=FUSE_STAGE),
        PartLoss("mouth", layers=(MOUTH,), until=FUSE_STAGE),
    )
    return Schedule(
        parts=parts if chosen["mouth"] else (),
        windows=WINDOWS,
        densify_shares=(0.15, 0.25, 0.35, 0.45, 0.55),
        register_shares=(0.11, 0.4),
        settle_share=0.7,
    )


def needs(options: MethodOptions) -> Needs:
    """Sound and the upper face.

    Raises:
        InvalidInput: ``bad_method_options``, ``unknown_plugin``.
    """
    chosen = choose_options("talking_gaussian", DEFAULT_OPTIONS, options)
    encoder = str(chosen["audio_encoder"])
    encoder_channels(encoder)
    return Needs(encoder, N_ROWS, upper_face=True)


def create(
    subject: Subject, seeds: list[Seed], options: MethodOptions, seed: int
) -> TalkingGaussian:
    """A cloud at the seeds' pixels, sorted by part, and fields that move nothing yet.

    Raises:
        InvalidInput: ``bad_method_options``.
    """
    start = start_cloud(subject, seeds, seed)
    chosen = choose_options("talking_gaussian", DEFAULT_OPTIONS, options)
    parts = branch_of(start["labels"], has_mouth=bool(chosen["mouth"]))
    copies = torch.where(parts == MOUTH, MOUTH_COPIES, 1)
    order = parts.argsort(stable=True)
    rows = order.repeat_interleave(copies[order])
    start |= {name: start[name][rows] for name in PER_GAUSSIAN}
    generator = torch.Generator().manual_seed(seed + 1)
    spread = MOUTH_SPREAD_M * torch.randn(len(rows), 3, generator=generator)
    is_copy = torch.cat([torch.zeros(1, dtype=torch.bool), rows[1:] == rows[:-1]])
    start["rest"] = start["rest"] + spread * is_copy[:, None]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _build(subject, start, options)
        learn_lips(model.face_hearing, subject, seed)
    if model.has_mouth:
        model.mouth_hearing.load_state_dict(model.face_hearing.state_dict())
    return model


def restore(
    subject: Subject, tensors: dict[str, Tensor], options: MethodOptions
) -> TalkingGaussian:
    """The stored model.

    Raises:
        InvalidInput: ``bad_avatar``.
    """
    check_cloud(subject, tensors)
    return load_networks(_build(subject, tensors, options), tensors)


def branch_of(labels: Tensor, *, has_mouth: bool) -> Tensor:
    """FACE, MOUTH or TORSO of every Gaussian, by the region that it started in. [N]"""
    parts = torch.full_like(labels, FACE)
    if has_mouth:
        parts[torch.isin(labels, torch.tensor(MOUTH_LABELS))] = MOUTH
    parts[torch.isin(labels, torch.tensor(TORSO_LABELS))] = TORSO
    return parts


def _build(subject: Subject, tensors: dict[str, Tensor], options: MethodOptions) -> TalkingGaussian:
    chosen = choose_options("talking_gaussian", DEFAULT_OPTIONS, options)
    n_channels = encoder_channels(str(chosen["audio_encoder"]))
    return TalkingGaussian(subject, tensors, n_channels, has_mouth=bool(chosen["mouth"]))


def _centre(places: Tensor) -> Tensor:
    """Middle of the box around some places; the origin without any. [3]"""
    if not len(places):
        return torch.zeros(3)
    return (places.min(0).values + places.max(0).values) / 2
