"""A canonical cloud that is deformed by attention over what is known of a frame.

KU GaussianTalker's core, which SyncGaussianTalker shares: triplane features of each place,
attention over tokens, heads whose outputs are added to raw attributes.
"""

import torch
from torch import Tensor, nn

from shared.avatar_method import Performance, Subject
from shared.geometry.rotations import axis_angle_to_matrix
from shared.layers import Layer, Layers
from shared.progress import Progress, silent
from shared.talker_parts.cloud import N_PLACE, TORSO, CanonicalCloud
from shared.talker_parts.listening import PICTURE_RATE
from shared.talker_parts.motion_lessons import bind_to_skin, teach_motion
from shared.talker_parts.spatial_attention import WIDTH, SpatialAttention
from shared.talker_parts.triplane import Triplane

PLACE_UNIT_M = 0.01
"""The deformation network's unit of length."""
KEPT_WEIGHT = 100.0
"""Of colours and opacities, which shall not change while motion is taught; in errors of 1 mm."""
POSE_LIMIT = 3.0
"""Of the camera token's inputs, in deviations."""
N_CAMERA = 12
"""Numbers of the head's pose as the camera sees it: rotation matrix and translation."""


class DeformingCloud(CanonicalCloud):
    """What methods with spatial-audio attention have in common.

    A method adds its tokens: ``add_tokens`` makes their networks, ``tokens`` has them from a
    frame's condition, of which the first N_PLACE numbers place head and torso.
    """

    ATTENTION_TOKENS: tuple[str, ...] = ()
    camera_mean: Tensor  # [12]
    camera_spread: Tensor  # [12]

    def __init__(
        self,
        subject: Subject,
        tensors: dict[str, Tensor],
        n_channels: int,
        *,
        attention: bool,
        still: tuple[int, ...] = (TORSO,),
    ) -> None:
        super().__init__(subject, tensors, still)
        places = self.rest.detach()[self.moving()]
        low, high = (
            (places.min(0).values, places.max(0).values) if len(places) else torch.eye(3)[:2]
        )
        self.triplane = Triplane(low, high)
        self.canonical = nn.Sequential(nn.Linear(WIDTH, 128), nn.ReLU(), nn.Linear(128, 128))
        self.canonical_heads = nn.ModuleDict(
            {"opacity_logits": make_head(128, 1), "colors": make_head(128, 3)}
        )
        self.add_tokens(n_channels)
        self.attention = SpatialAttention(is_spatial=attention)
        n_scales = self.log_scales.shape[1]
        shifts = {"rest": 3, "log_scales": n_scales, "quats": 4, "opacity_logits": 1, "colors": 3}
        self.heads = nn.ModuleDict({name: make_head(WIDTH, n) for name, n in shifts.items()})
        camera = _camera(subject.training_pose.rotation, subject.training_pose.translation)
        self.register_buffer("camera_mean", camera.mean(0))
        self.register_buffer("camera_spread", camera.std(0).clamp_min(1e-3))
        self.is_static = False
        """Whether nothing is deformed yet."""
        self._kept: tuple[tuple[int, ...], tuple[Tensor, Layer]] | None = None
        self.attended: Tensor | None = None
        """Attention of the moving Gaussians in the pose that was learned from last. [M, tokens]"""

    def add_tokens(self, n_channels: int) -> None:
        """Make the networks behind the tokens; the method's part."""
        raise NotImplementedError

    def tokens(self, condition: Tensor) -> Tensor:
        """What is known of a frame, in the order of ATTENTION_TOKENS. -> [M, 64]"""
        raise NotImplementedError

    def condition(self, performance: Performance) -> Tensor:
        """All that is known of each frame, places first; the method's part. -> [T, C]"""
        raise NotImplementedError

    def lesson_conditions(self) -> tuple[Tensor, int]:
        """Conditions of the training frames, and how many numbers at their end name the frame."""
        return self.condition(self.subject.training_performance), 0

    def pose(self, condition: Tensor) -> Layers:
        """Posed Gaussians of one frame, one layer."""
        features, raw = self._canonical()
        self.attended = None
        if not self.is_static:
            raw, weights = self._deformed(condition, features, raw)
            self.attended = weights if torch.is_grad_enabled() else None
        return (self.place(self.places(condition[:N_PLACE]), raw),)

    def pose_attention(self, condition: Tensor) -> Layers:
        """The same with the attention to each token as further colours, from 0 to 1 in a frame."""
        features, raw = self._canonical()
        raw, weights = self._deformed(condition, features, raw)
        low, high = weights.min(0).values, weights.max(0).values
        maps = torch.zeros(len(raw.means), len(self.ATTENTION_TOKENS))
        maps[self.moving()] = (weights - low) / (high - low).clamp_min(1e-6)
        posed = self.place(self.places(condition[:N_PLACE]), raw)
        return (posed._replace(colors=torch.cat([posed.colors, maps], 1)),)

    def camera_deviation(self, condition: Tensor) -> Tensor:
        """Head pose of a frame in deviations of the training frames. -> [12]"""
        camera = _camera(condition[None, :3], condition[None, 3:6])[0]
        deviation = (camera - self.camera_mean) / self.camera_spread
        return deviation.clamp(-POSE_LIMIT, POSE_LIMIT)

    def learn_motion(self, n_steps: int, progress: Progress = silent) -> tuple[str, ...]:
        """Teach attention and heads how the tracked face moves; names of what they changed."""
        moving = self.moving()
        chosen = {
            name: parameter
            for name, parameter in self.named_parameters()
            if name not in self.cloud_rates() and not name.startswith(("hearing.", "frame_code."))
        }
        with torch.no_grad():
            conditions, n_names = self.lesson_conditions()
            rest = self.rest.detach()[moving]
            looks = self._looks(rest)
        skin = bind_to_skin(self.subject, rest, self.labels[moving])

        def move(conditions: Tensor, rows: Tensor) -> Tensor:
            features, head = self.triplane(rest[rows]), self.heads["rest"]
            fused = [self.attention(features, self.tokens(each))[0] for each in conditions]
            return PLACE_UNIT_M * head(torch.stack(fused))

        def keep(rows: Tensor) -> Tensor:
            return KEPT_WEIGHT * (self._looks(rest[rows]) - looks[rows]).square().mean()

        rates = dict.fromkeys(chosen.values(), 1.0)
        teach_motion(
            skin, conditions, move, rates, n_steps, n_names=n_names, progress=progress, keep=keep
        )
        return tuple(chosen)

    def _looks(self, places: Tensor) -> Tensor:
        """Opacity and colour that the triplane says of some places. [M, 4]"""
        trunk = self.canonical(self.triplane(places))
        return torch.cat([head(trunk) for head in self.canonical_heads.values()], 1)

    def deforming_rates(self) -> dict[str, float]:
        """Adam's initial learning rates of cloud, planes and networks."""
        rates = self.cloud_rates()
        for name, _ in self.named_parameters():
            if name not in rates:
                kind = name.split(".", maxsplit=1)[0]
                rates[name] = {"triplane": 8e-3, "hearing": PICTURE_RATE}.get(kind, 1e-3)
        return rates

    def _canonical(self) -> tuple[Tensor, Layer]:
        """Features of the moving ones and raw attributes of all; kept while nothing changes."""
        if torch.is_grad_enabled():
            self._kept = None  # a step follows, and fused Adam changes parameters without a count
            return self._canonical_now()
        state = tuple(value for p in self.parameters() for value in (id(p), p._version))  # noqa: SLF001 - torch's count of changes
        if self._kept is None or self._kept[0] != state:
            self._kept = (state, self._canonical_now())
        return self._kept[1]

    def _canonical_now(self) -> tuple[Tensor, Layer]:
        moving, raw = self.moving(), self.raw()
        features = self.triplane(self.rest.index_select(0, moving))
        trunk = self.canonical(features)
        opacity = self.canonical_heads["opacity_logits"](trunk)[:, 0]
        return features, raw._replace(
            opacities=raw.opacities.index_add(0, moving, opacity),
            colors=raw.colors.index_add(0, moving, self.canonical_heads["colors"](trunk)),
        )

    def _deformed(self, condition: Tensor, features: Tensor, raw: Layer) -> tuple[Layer, Tensor]:
        """Raw attributes with the frame's changes, and attention of the moving ones. [M, tokens]"""
        fused, weights = self.attention(features, self.tokens(condition))
        moving = self.moving()
        change = {name: head(fused) for name, head in self.heads.items()}
        deformed = raw._replace(
            means=raw.means.index_add(0, moving, PLACE_UNIT_M * change["rest"]),
            quats=raw.quats.index_add(0, moving, change["quats"]),
            scales=raw.scales.index_add(0, moving, change["log_scales"]),
            opacities=raw.opacities.index_add(0, moving, change["opacity_logits"][:, 0]),
            colors=raw.colors.index_add(0, moving, change["colors"]),
        )
        return deformed, weights


def make_head(width: int, n_out: int) -> nn.Sequential:
    """A head whose first outputs are small: Xavier with gain 0.1."""
    last = nn.Linear(128, n_out)
    nn.init.xavier_uniform_(last.weight, gain=0.1)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.ReLU(), nn.Linear(width, 128), nn.ReLU(), last)


def make_token(width: int) -> nn.Sequential:
    """A token from what is known of a frame; without bias, so that nothing known is zero."""
    return nn.Sequential(
        nn.Linear(width, WIDTH, bias=False), nn.ReLU(), nn.Linear(WIDTH, WIDTH, bias=False)
    )


def _camera(rotation: Tensor, translation: Tensor) -> Tensor:
    """Head pose as the camera sees it: rotation matrix and translation. [T, 3] each -> [T, 12]"""
    return torch.cat([axis_angle_to_matrix(rotation).flatten(1), translation], 1)
