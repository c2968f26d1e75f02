"""What a job of each kind consists of: its stages, what they need, and how long they may take.

A plan is frozen into the job when it is submitted, so a running job does not change with the code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from shared.errors import InvalidInput

Options = Mapping[str, Mapping[str, Any]]
"""Options of a job: stage name -> options of that stage."""


class QueueClass(StrEnum):
    """Whether somebody is waiting for it."""

    batch = "batch"
    interactive = "interactive"


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """One stage of a plan; times in seconds."""

    name: str
    service: str
    """Folder of ``services/`` whose workers run it."""
    entry: str
    """Name of the stage function, such as ``trainer.train``."""
    queue_class: QueueClass = QueueClass.batch
    needs: tuple[str, ...] = ()
    """Stages whose success this one waits for."""
    inputs: Mapping[str, str]
    """Path in the workspace -> ``job:NAME``, an input of the job, or ``stage:NAME``, its output."""
    max_attempts: int = 4
    """Started attempts that may be lost or fail for a while before the job fails."""
    lease_seconds: int = 60
    """An attempt that has not been heard of for so long is lost."""
    deadline_seconds: int = 3600
    """An attempt that has run for so long is stopped."""
    share: float = 1.0
    """Its part of the job's progress and time, relative to the other stages."""


Plan = Callable[[Options], tuple[StageSpec, ...]]
"""From a job's options to its stages, in an order in which each comes after what it needs."""


def create_avatar(options: Options) -> tuple[StageSpec, ...]:
    """Stages that make an avatar; without held-out seconds nothing is re-spoken and scored."""
    stages = (
        StageSpec(
            name="preprocess",
            service="preprocess",
            entry="preprocess.prepare",
            inputs={"capture": "job:capture"},
            deadline_seconds=4 * 3600,
            share=1.0,
        ),
        StageSpec(
            name="train",
            service="trainer",
            entry="trainer.train",
            needs=("preprocess",),
            inputs={"dataset": "stage:preprocess"},
            deadline_seconds=24 * 3600,
            share=8.0,
        ),
        StageSpec(
            name="fit_motion",
            service="audio2motion",
            entry="audio2motion.fit",
            needs=("preprocess",),
            inputs={"dataset": "stage:preprocess"},
            deadline_seconds=4 * 3600,
            share=0.5,
        ),
    )
    if not options.get("preprocess", {}).get("holdout_seconds"):
        return stages
    return (*stages, *_heldout_stages())


def create_video(_options: Options) -> tuple[StageSpec, ...]:
    """Stages that make a video of an avatar; somebody waits for it."""
    return (
        StageSpec(
            name="animate",
            service="audio2motion",
            entry="audio2motion.animate",
            queue_class=QueueClass.interactive,
            inputs={
                "avatar": "job:avatar",
                "avatar/motion_model": "job:motion_model",
                "speech": "job:speech",
            },
            share=0.2,
        ),
        StageSpec(
            name="render",
            service="renderer",
            entry="renderer.render",
            queue_class=QueueClass.interactive,
            needs=("animate",),
            inputs={"avatar": "job:avatar", "motion": "stage:animate"},
            deadline_seconds=4 * 3600,
            share=1.0,
        ),
        StageSpec(
            name="score",
            service="evaluator",
            entry="evaluator.evaluate",
            queue_class=QueueClass.interactive,
            needs=("render",),
            inputs={"video": "stage:render"},
            share=0.5,
        ),
    )


def verify_upload(_options: Options) -> tuple[StageSpec, ...]:
    """One stage that hashes and probes what was uploaded."""
    return (
        StageSpec(
            name="verify",
            service="preprocess",
            entry="preprocess.verify_upload",
            queue_class=QueueClass.interactive,
            inputs={"upload": "job:upload"},
            deadline_seconds=900,
        ),
    )


def heartbeat(options: Options) -> tuple[StageSpec, ...]:
    """A tiny stage of each service that ``options`` name (``beat_SERVICE``), one after the other.

    Each reads from the store what the one before has written (``shared/worker/heartbeat.py``).
    """
    stages: list[StageSpec] = []
    for name in (name for name in options if name.startswith("beat_")):
        stages.append(
            StageSpec(
                name=name,
                service=name.removeprefix("beat_"),
                entry="heartbeat.beat",
                queue_class=QueueClass.interactive,
                inputs={"before": f"stage:{stages[-1].name}" if stages else "job:probe"},
                deadline_seconds=300,
            )
        )
    return tuple(stages)


PLANS: Mapping[str, Plan] = {
    "create_avatar": create_avatar,
    "create_video": create_video,
    "heartbeat": heartbeat,
    "verify_upload": verify_upload,
}
"""What the product offers; a caller with kinds of its own passes another mapping."""


def plan_job(
    kind: str, options: Options, plans: Mapping[str, Plan] = PLANS
) -> tuple[StageSpec, ...]:
    """Stages of a job of ``kind``.

    Raises:
        InvalidInput: ``unknown_job_kind`` when ``plans`` has no such kind.
    """
    if kind not in plans:
        raise InvalidInput(
            "unknown_job_kind", f"no job kind {kind!r}; there are: {', '.join(sorted(plans))}"
        )
    return check_plan(plans[kind](options))


def check_plan(stages: tuple[StageSpec, ...]) -> tuple[StageSpec, ...]:
    """Return ``stages`` when names are unique and each needs only what stands before it.

    Every stage of which an output is read is needed, whether the plan says so or not.
    """
    checked: list[StageSpec] = []
    for stage in stages:
        read = {
            source.removeprefix("stage:")
            for source in stage.inputs.values()
            if source.startswith("stage:")
        }
        needs = tuple(sorted({*stage.needs, *read}))
        known = {before.name for before in checked}
        assert stage.name not in known, f"{stage.name} is planned twice"
        assert known >= set(needs), f"{stage.name} needs {needs}, before it come {known}"
        checked.append(replace(stage, needs=needs))
    return tuple(checked)


def _heldout_stages() -> tuple[StageSpec, ...]:
    """Re-speak and score the seconds that training never saw."""
    avatar = {"avatar": "stage:train", "dataset": "stage:preprocess"}
    return (
        StageSpec(
            name="respeak",
            service="audio2motion",
            entry="audio2motion.respeak",
            inputs={**avatar, "avatar/motion_model": "stage:fit_motion"},
            share=0.2,
        ),
        StageSpec(
            name="render_heldout",
            service="renderer",
            entry="renderer.render",
            inputs={**avatar, "motion": "stage:respeak"},
            share=0.5,
        ),
        StageSpec(
            name="score",
            service="evaluator",
            entry="evaluator.evaluate",
            inputs={
                "video": "stage:render_heldout",
                "reference": "job:capture",
                "dataset": "stage:preprocess",
                "motion": "stage:respeak",
            },
            share=0.5,
        ),
    )
