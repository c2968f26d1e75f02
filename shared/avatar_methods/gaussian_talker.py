"""gaussian_talker: canonical Gaussians deformed by spatial-audio attention.

Source: KU GaussianTalker (Cho et al., ACM MM 2024): triplane features 64^2 and 128^2, a static
(coarse) and a deforming (fine) stage, attention of each Gaussian over audio, eye, camera and null
tokens, heads whose outputs are added to raw attributes, lip and depth terms, widths of its
``64_dim_1_transformer`` configuration. Departures:

- A whole person is drawn before the background, not a head before the captured torso: torso
  Gaussians follow the head by a rule (``talker_parts.cloud``), and are not deformed.
- Gaussians start from pixels of training frames, with their colours. What the triplane says of
  colour and opacity is added to these, since 2,500 steps cannot paint a face through it.
- RGB instead of spherical harmonics: one frontal camera shows no other side, and what changes with
  the head's pose comes by the camera token.
- Audio features of any encoder (``mel`` by default) for DeepSpeech's logits, and a hearing that
  is taught the tracked lips first (``talker_parts.listening``); brows and blinks
  (seven numbers) for OpenFace's AU45; head pose in deviations of the training frames.
- One picture a step in both stages (32 in its fine one), so learning rates of planes and networks
  are five and ten times its own; no perceptual term (no weights of VGG here); no dropout, which
  would need as many steps as the source takes.
"""

import torch
from torch import Tensor, nn

from shared.avatar_method import MethodOptions, Needs, Performance, Seed, Subject
from shared.gaussians import Gaussians
from shared.geometry.rotations import axis_angle_to_matrix
from shared.layers import Layers
from shared.talker_parts.audio_nets import N_AUDIO, N_ROWS, Hearing, encoder_channels
from shared.talker_parts.cloud import N_PLACE, TORSO, CanonicalCloud
from shared.talker_parts.cloud_start import start_cloud
from shared.talker_parts.listening import learn_lips
from shared.talker_parts.spatial_attention import WIDTH, SpatialAttention
from shared.talker_parts.stored_networks import check_cloud, choose_options, load_networks
from shared.talker_parts.triplane import Triplane
from shared.training_schedule import PictureWeights, Schedule
from shared.upper_face import N_UPPER_FACE

DEFAULT_OPTIONS: MethodOptions = {"audio_encoder": "mel", "attention": True}
COARSE_STAGE = 0.3
"""Share of the steps without deformation. In the source it is 8,000 of 18,000, but a fine step
of its shows 32 pictures."""
TOKENS = ("audio", "eye", "camera", "null")
PLACE_UNIT_M = 0.01
"""The deformation network's unit of length."""
POSE_LIMIT = 3.0
"""Of the camera token's inputs, in deviations."""
SHIFTS = {"rest": 3, "log_scales": 3, "quats": 4, "opacity_logits": 1, "colors": 3}
"""Attributes that deform, and their widths."""


class GaussianTalker(CanonicalCloud):
    """The method's model."""

    ATTENTION_TOKENS = TOKENS
    camera_mean: Tensor  # [12]
    camera_spread: Tensor  # [12]

    def __init__(
        self, subject: Subject, tensors: dict[str, Tensor], n_channels: int, *, attention: bool
    ) -> None:
        super().__init__(subject, tensors)
        head = self.rest.detach()[self.labels != TORSO]
        low, high = (head.min(0).values, head.max(0).values) if len(head) else torch.eye(3)[:2]
        self.triplane = Triplane(low, high)
        self.canonical = nn.Sequential(nn.Linear(WIDTH, 128), nn.ReLU(), nn.Linear(128, 128))
        self.canonical_heads = nn.ModuleDict(
            {"opacity_logits": _head(128, 1), "colors": _head(128, 3)}
        )
        self.hearing = Hearing(n_channels)
        self.audio_token = _token(N_AUDIO)
        self.eye_token = _token(N_UPPER_FACE)
        self.camera_token = _token(12)
        self.null_token = nn.Parameter(torch.randn(1, WIDTH))
        self.attention = SpatialAttention(is_spatial=attention)
        self.heads = nn.ModuleDict({name: _head(WIDTH, width) for name, width in SHIFTS.items()})
        camera = _camera(subject.training_pose.rotation, subject.training_pose.translation)
        self.register_buffer("camera_mean", camera.mean(0))
        self.register_buffer("camera_spread", camera.std(0).clamp_min(1e-3))
        self._is_static = False
        self._kept: tuple[tuple[int, ...], tuple[Tensor, Gaussians]] | None = None

    def condition(self, performance: Performance) -> Tensor:
        """Places, what is heard, and the upper face. -> [T, 15 + 32 + 7]"""
        assert performance.audio is not None
        assert performance.upper_face is not None
        heard = self.hearing(performance.audio)
        return torch.cat([self.place_rows(performance), heard, performance.upper_face], 1)

    def training_condition(self, frame: int) -> Tensor:
        """The same for a training frame, with corrected head pose and its own torso. -> [54]"""
        performance = self.subject.training_performance
        assert performance.audio is not None
        assert performance.upper_face is not None
        place = self.training_place(frame)
        if self._is_static:
            heard = torch.zeros(N_AUDIO)
        else:
            heard = self.hearing(performance.audio[frame : frame + 1])[0]
        return torch.cat([place, heard, performance.upper_face[frame]])

    def begin_step(self, step: int, n_steps: int) -> tuple[str, ...]:
        """The coarse stage is static."""
        self._is_static = step / n_steps < COARSE_STAGE
        return ()

    def pose(self, condition: Tensor) -> Layers:
        """Posed Gaussians of one frame, one layer."""
        features, raw = self._canonical()
        if not self._is_static:
            raw, _ = self._deformed(condition, features, raw)
        return (self._placed(condition, raw),)

    def pose_attention(self, condition: Tensor) -> Layers:
        """The same with the attention to each token as further colours, from 0 to 1 in a frame."""
        features, raw = self._canonical()
        raw, weights = self._deformed(condition, features, raw)
        low, high = weights.min(0).values, weights.max(0).values
        maps = torch.zeros(len(raw.means), len(TOKENS))
        maps[self.moving()] = (weights - low) / (high - low).clamp_min(1e-6)
        posed = self._placed(condition, raw)
        return (posed._replace(colors=torch.cat([posed.colors, maps], 1)),)

    def tokens(self, condition: Tensor) -> Tensor:
        """What is known of a frame, in the order of TOKENS. -> [4, 64]"""
        place, heard, upper_face = condition.split((N_PLACE, N_AUDIO, N_UPPER_FACE))
        camera = _camera(place[None, :3], place[None, 3:6])[0]
        deviation = ((camera - self.camera_mean) / self.camera_spread).clamp(
            -POSE_LIMIT, POSE_LIMIT
        )
        known = [
            self.audio_token(heard),
            self.eye_token(upper_face),
            self.camera_token(deviation),
        ]
        return torch.cat([torch.stack(known), self.null_token])

    def _canonical(self) -> tuple[Tensor, Gaussians]:
        """Features of the moving ones and raw attributes of all; kept while nothing changes."""
        if torch.is_grad_enabled():
            self._kept = None  # a step follows, and fused Adam changes parameters without a count
            return self._canonical_now()
        state = tuple(value for p in self.parameters() for value in (id(p), p._version))  # noqa: SLF001 - torch's count of changes
        if self._kept is None or self._kept[0] != state:
            self._kept = (state, self._canonical_now())
        return self._kept[1]

    def _canonical_now(self) -> tuple[Tensor, Gaussians]:
        moving = self.moving()
        features = self.triplane(self.rest.index_select(0, moving))
        trunk = self.canonical(features)
        opacity = self.canonical_heads["opacity_logits"](trunk)[:, 0]
        raw = Gaussians(
            means=self.rest,
            quats=self.quats,
            scales=self.log_scales,
            opacities=self.opacity_logits.index_add(0, moving, opacity),
            colors=self.colors.index_add(0, moving, self.canonical_heads["colors"](trunk)),
        )
        return features, raw

    def _deformed(
        self, condition: Tensor, features: Tensor, raw: Gaussians
    ) -> tuple[Gaussians, Tensor]:
        """Raw attributes with the frame's changes, and attention of the moving ones. [M, 4]"""
        fused, weights = self.attention(features, self.tokens(condition))
        moving = self.moving()
        change = {name: head(fused) for name, head in self.heads.items()}
        deformed = Gaussians(
            means=raw.means.index_add(0, moving, PLACE_UNIT_M * change["rest"]),
            quats=raw.quats.index_add(0, moving, change["quats"]),
            scales=raw.scales.index_add(0, moving, change["log_scales"]),
            opacities=raw.opacities.index_add(0, moving, change["opacity_logits"][:, 0]),
            colors=raw.colors.index_add(0, moving, change["colors"]),
        )
        return deformed, weights

    def _placed(self, condition: Tensor, raw: Gaussians) -> Gaussians:
        """Activated and carried into the world."""
        places = self.places(condition[:N_PLACE])
        means, quats = self.carry(places, raw.means, raw.quats)
        return Gaussians(
            means=means,
            quats=quats,
            scales=raw.scales.exp(),
            opacities=torch.sigmoid(raw.opacities).clamp(1e-6, 1 - 1e-6),
            colors=raw.colors,
        )

    def learning_rates(self) -> dict[str, float]:
        """Adam's initial learning rates."""
        rates = self.cloud_rates()
        for name, _ in self.named_parameters():
            if name not in rates:
                kind = name.split(".", maxsplit=1)[0]
                rates[name] = {"triplane": 8e-3, "hearing": 2e-4}.get(kind, 1e-3)
        return rates

    def regularisation(self, frame: int) -> Tensor:
        """Of the cloud; the source has no other."""
        return self.cloud_penalty(frame)


def schedule(options: MethodOptions) -> Schedule:
    """Lip and depth terms; Gaussians are added in the coarse stage only."""
    del options
    return Schedule(
        weights=PictureWeights(lips=0.4, depth=0.4),
        densify_shares=(0.06, 0.12, 0.18, 0.24, 0.3),
        register_shares=(0.12, 0.28),
    )


def needs(options: MethodOptions) -> Needs:
    """Sound and the upper face.

    Raises:
        InvalidInput: ``bad_method_options``, ``unknown_plugin``.
    """
    chosen = choose_options("gaussian_talker", DEFAULT_OPTIONS, options)
    encoder = str(chosen["audio_encoder"])
    encoder_channels(encoder)
    return Needs(encoder, N_ROWS, upper_face=True)


def create(
    subject: Subject, seeds: list[Seed], options: MethodOptions, seed: int
) -> GaussianTalker:
    """A cloud at the seeds' pixels, networks that change nothing much yet.

    Raises:
        InvalidInput: ``bad_method_options``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _build(subject, start_cloud(subject, seeds, seed), options)
        learn_lips(model.hearing, subject, seed)
    return model


def restore(subject: Subject, tensors: dict[str, Tensor], options: MethodOptions) -> GaussianTalker:
    """The stored model.

    Raises:
        InvalidInput: ``bad_avatar``.
    """
    check_cloud(subject, tensors)
    return load_networks(_build(subject, tensors, options), tensors)


def _build(subject: Subject, tensors: dict[str, Tensor], options: MethodOptions) -> GaussianTalker:
    chosen = choose_options("gaussian_talker", DEFAULT_OPTIONS, options)
    n_channels = encoder_channels(str(chosen["audio_encoder"]))
    return GaussianTalker(subject, tensors, n_channels, attention=bool(chosen["attention"]))


def _head(width: int, n_out: int) -> nn.Sequential:
    """A head whose first outputs are small: Xavier with gain 0.1."""
    last = nn.Linear(128, n_out)
    nn.init.xavier_uniform_(last.weight, gain=0.1)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.ReLU(), nn.Linear(width, 128), nn.ReLU(), last)


def _token(width: int) -> nn.Sequential:
    """A token from what is known of a frame; without bias, so that nothing known is zero."""
    return nn.Sequential(
        nn.Linear(width, WIDTH, bias=False), nn.ReLU(), nn.Linear(WIDTH, WIDTH, bias=False)
    )


def _camera(rotation: Tensor, translation: Tensor) -> Tensor:
    """Head pose as the camera sees it: rotation matrix and translation. [T, 3] each -> [T, 12]"""
    return torch.cat([axis_angle_to_matrix(rotation).flatten(1), translation], 1)
