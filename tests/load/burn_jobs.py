"""Jobs for tests of the platform: kinds whose stages burn CPU, one queue after the other.

The stages read their input from the store, and what each must write follows from it, so that every
result can be computed again.
"""

import hashlib
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from api.ids import Kind, new_id
from api.jobs.job import Job
from api.jobs.plan import Plan, QueueClass, StageSpec, check_plan
from api.jobs.use_cases import Origin, new_job

ENTRY = "burn.burn"
MODULE = "tests.burn_stage"
"""What workers are given as their ``--entries``."""
LEASE_SECONDS = 20
N_INPUT_BYTES = 4096


def _stage(
    name: str,
    service: str,
    inputs: Mapping[str, str],
    queue_class: QueueClass = QueueClass.batch,
) -> StageSpec:
    return StageSpec(
        name=name,
        service=service,
        entry=ENTRY,
        queue_class=queue_class,
        inputs=inputs,
        max_attempts=10,  # one stage may be hit by several of fifty kills
        lease_seconds=LEASE_SECONDS,
        deadline_seconds=300,
    )


_AVATAR = check_plan(
    (
        _stage("prepare", "preprocess", {"capture": "job:input"}),
        _stage("train", "trainer", {"dataset": "stage:prepare"}),
        _stage("fit", "audio2motion", {"dataset": "stage:prepare"}),
        _stage("score", "evaluator", {"avatar": "stage:train", "motion": "stage:fit"}),
    )
)
_VIDEO = check_plan(
    (
        _stage("animate", "audio2motion", {"speech": "job:input"}, QueueClass.interactive),
        _stage("render", "renderer", {"motion": "stage:animate"}, QueueClass.interactive),
        _stage("score", "evaluator", {"video": "stage:render"}, QueueClass.interactive),
    )
)
PLANS: Mapping[str, Plan] = {
    "burn_avatar": lambda _options: _AVATAR,
    "burn_video": lambda _options: _VIDEO,
}
"""Both kinds together use all five services and both classes of queues."""


def input_key(tenant_id: str, number: int) -> str:
    """Where the input of job ``number`` lies."""
    return f"tenants/{tenant_id}/uploads/burn-{number}"


def input_bytes(seed: int, number: int) -> bytes:
    """What lies there."""
    return random.Random(f"{seed}/{number}").randbytes(N_INPUT_BYTES)  # noqa: S311 - test data


def burn_job(
    tenant_id: str, number: int, seed: int, seconds: tuple[float, float] = (0.3, 1.0)
) -> Job:
    """Job ``number`` of a run, not stored; every fifth makes an avatar.

    Its stages burn between the two ``seconds`` of CPU, most of them little more than the first.
    """
    draw = random.Random(f"{seed}/{number}/options")  # noqa: S311 - test data
    kind = "burn_avatar" if number % 5 == 0 else "burn_video"
    options = {
        stage.name: {
            "seconds": seconds[0] + (seconds[1] - seconds[0]) * draw.random() ** 6,
            "seed": draw.randrange(1 << 30),
        }
        for stage in PLANS[kind]({})
    }
    return make_job(tenant_id, kind, input_key(tenant_id, number), options, PLANS)


def make_job(
    tenant_id: str,
    kind: str,
    key: str,
    options: Mapping[str, Mapping[str, Any]],
    plans: Mapping[str, Plan],
) -> Job:
    """A job of a test's own kind with one input; not stored."""
    now = datetime.now(UTC)
    trace = hashlib.sha256(key.encode()).hexdigest()

    def draw_id(kind_of_id: Kind) -> str:
        return new_id(kind_of_id, now)

    origin = Origin(now, draw_id, f"00-{trace[:32]}-{trace[32:48]}-01")
    return new_job(
        kind,
        tenant_id,
        "made_by_a_test",
        origin,
        inputs={"input": key},
        options=options,
        plans=plans,
    )
