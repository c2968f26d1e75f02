"""What this installation offers: plug-ins by their files' names, presets, event types, limits.

Listing a folder of plug-ins imports none of them, so the gateway needs no torch.
"""

from pydantic import Field

from api.schemas.avatars import AvatarOptions, Preset
from api.schemas.model import AnswerBody
from api.schemas.videos import VideoOptions
from api.settings import GatewaySettings
from api.webhooks.events import EVENT_TYPES
from shared.plugins import plugin_names

_KINDS = {
    "avatar_methods": "shared.avatar_methods",
    "head_models": "shared.head_models",
    "rasterizers": "shared.rasterizers",
    "trackers": "shared.trackers",
    "audio_encoders": "shared.audio_encoders",
    "motion_models": "services.audio2motion.motion_models",
    "metrics": "services.evaluator.metrics",
}
PRESETS: dict[Preset, str] = {
    "draft": "a minute on two cores: enough to see whether the capture is good",
    "standard": "some four minutes on two cores",
    "high": "overnight on a laptop, or on a GPU",
}


class PresetBody(AnswerBody):
    """An effort that a training can make."""

    name: str
    """Value of ``options.preset``."""
    meaning: str
    """What it costs."""


class LimitsBody(AnswerBody):
    """What is refused beyond."""

    max_capture_bytes: int
    """Largest capture or consent video."""
    max_speech_bytes: int
    """Largest recording."""
    upload_minutes: int
    """How long an upload waits for its bytes."""
    link_minutes: int
    """How long a download link holds."""
    requests_per_minute: int
    """Of one tenant."""
    submissions_per_minute: int
    """Of those, the ones that cost compute."""


class Catalog(AnswerBody):
    """What can be asked for."""

    avatar_methods: list[str] = Field(examples=[["rigged_gaussians"]])
    """``options.method`` of an avatar."""
    presets: list[PresetBody]
    """``options.preset`` of an avatar."""
    head_models: list[str] = Field(examples=[["open_head"]])
    """Parametric heads that avatars ride on."""
    rasterizers: list[str] = Field(examples=[["cpu"]])
    """``options.rasterizer``."""
    trackers: list[str] = Field(examples=[["mediapipe_mesh"]])
    """What finds a face in a capture."""
    audio_encoders: list[str] = Field(examples=[["mel"]])
    """What motion models hear."""
    motion_models: list[str] = Field(examples=[["speaker_regressor"]])
    """From speech to motion."""
    metrics: list[str] = Field(examples=[["psnr", "ssim"]])
    """Scores of videos."""
    backgrounds: list[str] = Field(examples=[["plate", "alpha", "#rrggbb"]])
    """``options.background`` of a video."""
    webhook_events: list[str] = Field(examples=[list(EVENT_TYPES)])
    """What webhooks can be told of."""
    avatar_defaults: AvatarOptions
    """Options of an avatar that are not given."""
    video_defaults: VideoOptions
    """Options of a video that are not given."""
    limits: LimitsBody
    """Sizes, times and rates."""


def read_catalog(settings: GatewaySettings) -> Catalog:
    """List what is installed."""
    plugins = {kind: plugin_names(package) for kind, package in _KINDS.items()}
    limits = {name: getattr(settings, name) for name in LimitsBody.model_fields}
    return Catalog(
        **plugins,
        presets=[PresetBody(name=name, meaning=meaning) for name, meaning in PRESETS.items()],
        backgrounds=["plate", "alpha", "#rrggbb"],
        webhook_events=list(EVENT_TYPES),
        avatar_defaults=AvatarOptions(),
        video_defaults=VideoOptions(),
        limits=LimitsBody(**limits),
    )
