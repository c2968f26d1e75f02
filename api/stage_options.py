"""From what a caller chooses to the options of each stage; the services check them again."""

from collections.abc import Mapping
from typing import Any

from api.catalog import Catalog
from api.schemas.avatars import AvatarOptions
from api.schemas.videos import VideoOptions
from shared.errors import InvalidInput

StageOptions = Mapping[str, Mapping[str, Any]]


def avatar_stage_options(chosen: AvatarOptions, catalog: Catalog) -> StageOptions:
    """Options of the stages of ``create_avatar``.

    Raises:
        InvalidInput: ``unknown_plugin``.
    """
    _check_plugin("options.method", chosen.method, catalog.avatar_methods)
    rasterizer = _rasterizer(chosen.rasterizer, catalog)
    steps = {} if chosen.max_steps is None else {"max_steps": chosen.max_steps}
    return {
        "preprocess": {"holdout_seconds": chosen.holdout_seconds, "seed": chosen.seed},
        "train": {
            "method": chosen.method,
            "preset": chosen.preset,
            "seed": chosen.seed,
            **steps,
            **rasterizer,
        },
        "fit_motion": {"seed": chosen.seed},
        "render_heldout": rasterizer,
        **_bars(chosen.min_quality, catalog),
    }


def video_stage_options(chosen: VideoOptions, catalog: Catalog) -> StageOptions:
    """Options of the stages of ``create_video``.

    Raises:
        InvalidInput: ``unknown_plugin``.
    """
    height = {} if chosen.height is None else {"height": chosen.height}
    return {
        "animate": {
            "pose_source": chosen.pose_source,
            "articulation": chosen.articulation,
            "seed": chosen.seed,
        },
        "render": {
            "background": chosen.background,
            "camera": chosen.camera,
            **height,
            **_rasterizer(chosen.rasterizer, catalog),
        },
        **_bars(chosen.min_quality, catalog),
    }


def _bars(min_quality: Mapping[str, float], catalog: Catalog) -> dict[str, dict[str, Any]]:
    """Options of the stage that scores, where a bar is set."""
    for name in min_quality:
        _check_plugin("options.min_quality", name, catalog.metrics)
    return {"score": {"min_quality": dict(min_quality)}} if min_quality else {}


def _rasterizer(name: str | None, catalog: Catalog) -> dict[str, str]:
    if name is None:
        return {}
    _check_plugin("options.rasterizer", name, catalog.rasterizers)
    return {"rasterizer": name}


def _check_plugin(field: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise InvalidInput("unknown_plugin", f"{field} is {name!r}; there are: {', '.join(known)}")
