"""What avatars and videos cost, and how many workers so many of them an hour need.

Times are of ARCHITECTURE.md's Figures (two cores of an Intel Xeon, no GPU, captures of 512 pixels,
preset ``standard``) and of the few-shot report of the same day, whose evaluations ran beside other
work. What was not measured is not in the table: there are no times of a GPU.
"""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from api.jobs.plan import StageSpec, plan_job

Kind = Literal["create_avatar", "create_video"]
HOLDOUT = {"preprocess": {"holdout_seconds": 3.0}}
"""With it an avatar's plan has all stages."""


class StageTime(NamedTuple):
    """Seconds of one worker: ``fixed + per_second * length``."""

    fixed: float
    per_second: float
    of: Literal["capture", "heldout", "video"]
    """Whose length counts."""
    source: str


_START = 2.0
"""Imports of a stage's process (decision 13)."""
_FIRST_FRAME = 12.6
"""Of a process that draws (Figures: render)."""
TIMES: Mapping[tuple[Kind, str], StageTime] = {
    ("create_avatar", "preprocess"): StageTime(
        _START, 40 / 13, "capture", "40 s for 13 s of capture, beside other work"
    ),
    ("create_avatar", "train"): StageTime(_START + 206, 0, "capture", "206 s, cores to itself"),
    ("create_avatar", "fit_motion"): StageTime(
        _START + 0.6, 0, "capture", "0.6 s, few-shot, beside other work"
    ),
    ("create_avatar", "respeak"): StageTime(_START, 0.03, "heldout", "0.1 s for 3.2 s, few-shot"),
    ("create_avatar", "render_heldout"): StageTime(
        _START + _FIRST_FRAME, 25 / 91, "heldout", "91 frames per second, first frame 12.6 s"
    ),
    ("create_avatar", "score"): StageTime(
        _START, 14.8 / 3.2, "heldout", "14.8 s for 3.2 s against the capture, few-shot"
    ),
    ("create_video", "animate"): StageTime(_START, 0.03, "video", "0.1 s for 3.2 s, few-shot"),
    ("create_video", "render"): StageTime(
        _START + _FIRST_FRAME, 25 / 91, "video", "91 frames per second, first frame 12.6 s"
    ),
    ("create_video", "score"): StageTime(
        _START, 1.3 / 3.2, "video", "1.3 s for 3.2 s without reference, few-shot"
    ),
}


class Demand(BaseModel):
    """What is asked of a site."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    avatars_per_hour: float = Field(default=10, ge=0)
    """Avatars asked for in an hour."""
    videos_per_hour: float = Field(default=100, ge=0)
    """Videos asked for in an hour."""
    capture_seconds: float = Field(default=60, gt=0)
    """Length of a capture."""
    heldout_seconds: float = Field(default=3, ge=0)
    """Of it, kept for the scores."""
    video_seconds: float = Field(default=60, gt=0)
    """Length of a video."""
    busy: float = Field(default=0.7, gt=0, le=1)
    """Share of their time that workers may be busy on average; the rest keeps waits short."""
    price_per_hour: float = Field(default=0.1, ge=0)
    """Of one worker's machine (two cores here), in any currency."""


class Need(NamedTuple):
    """What one service needs."""

    service: str
    seconds_per_avatar: float
    seconds_per_video: float
    workers: int


class Capacity(NamedTuple):
    """The answer."""

    avatar_seconds: float
    """Of workers, for one avatar."""
    video_seconds: float
    """Of workers, for one video."""
    video_minute_seconds: float
    """Of workers, for each further minute of a video."""
    avatar_cost: float
    video_cost: float
    video_minute_cost: float
    needs: tuple[Need, ...]


def stage_seconds(kind: Kind, stage: str, demand: Demand) -> float:
    """How long a worker is busy with a stage."""
    time = TIMES[kind, stage]
    lengths = {
        "capture": demand.capture_seconds,
        "heldout": demand.heldout_seconds,
        "video": demand.video_seconds,
    }
    return time.fixed + time.per_second * lengths[time.of]


def plan_of(kind: Kind) -> tuple[StageSpec, ...]:
    """The stages of the product's own plan."""
    return plan_job(kind, HOLDOUT)


def reckon(demand: Demand) -> Capacity:
    """Cost and workers for ``demand``; a worker runs one stage at a time."""
    avatar = _by_service("create_avatar", demand)
    video = _by_service("create_video", demand)
    needs = tuple(
        _need(service, avatar.get(service, 0.0), video.get(service, 0.0), demand)
        for service in ("preprocess", "trainer", "audio2motion", "renderer", "evaluator")
    )
    per_second = sum(TIMES["create_video", s.name].per_second for s in plan_of("create_video"))
    price = demand.price_per_hour / 3600 / demand.busy
    avatar_seconds, video_seconds = sum(avatar.values()), sum(video.values())
    return Capacity(
        avatar_seconds=avatar_seconds,
        video_seconds=video_seconds,
        video_minute_seconds=60 * per_second,
        avatar_cost=price * avatar_seconds,
        video_cost=price * video_seconds,
        video_minute_cost=price * 60 * per_second,
        needs=needs,
    )


def _need(service: str, avatar: float, video: float, demand: Demand) -> Need:
    seconds = demand.avatars_per_hour * avatar + demand.videos_per_hour * video
    return Need(service, avatar, video, math.ceil(seconds / 3600 / demand.busy))


def _by_service(kind: Kind, demand: Demand) -> dict[str, float]:
    found: dict[str, float] = {}
    for stage in plan_of(kind):
        seconds = stage_seconds(kind, stage.name, demand)
        found[stage.service] = found.get(stage.service, 0.0) + seconds
    return found
