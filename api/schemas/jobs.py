"""Jobs: how far a request is."""

from datetime import datetime

from pydantic import ConfigDict, Field

from api.jobs.job import JobStatus, StageStatus
from api.schemas.links import Links
from api.schemas.model import AnswerBody, id_field

_ID = "job_01jd5xr1c4e9h2k6n8q0s3v5w7"


class JobFailure(AnswerBody):
    """Why a job failed."""

    code: str
    """For programs; see docs/errors.md."""
    message: str
    """What was found, what was expected and what to do."""
    retryable: bool
    """Whether the same request may succeed later."""
    stage: str
    """Where it failed."""
    scores: dict[str, float] | None
    """With ``quality_below`` the figures that were measured, by metric."""


class StageBody(AnswerBody):
    """One step of a job."""

    stage: str
    """Its name, unique within the job."""
    status: StageStatus
    """``waiting`` for other stages, ``ready`` for a worker, ``dispatched`` to one, ``running`` …"""
    progress: float = Field(ge=0, le=1)
    """Share done."""
    message: str
    """What is being done."""
    attempt: int = Field(ge=0)
    """How often it was sent to a worker."""
    is_stalled: bool
    """Alive, but without progress for a while."""
    seconds: float | None
    """What it took; null until it succeeded."""


class JobBody(AnswerBody):
    """A job."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "job_id": _ID,
                    "kind": "create_avatar",
                    "resource_id": "ava_01jd5xr0a1b2c3d4e5f6g7h8j9",
                    "status": "running",
                    "stage": "train",
                    "message": "step 1200 of 5000",
                    "progress": 0.31,
                    "attempt": 1,
                    "queue_position": None,
                    "eta_seconds": 220,
                    "failure": None,
                    "stages": [
                        {
                            "stage": "train",
                            "status": "running",
                            "progress": 0.24,
                            "message": "step 1200 of 5000",
                            "attempt": 1,
                            "is_stalled": False,
                            "seconds": None,
                        }
                    ],
                    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
                    "created_at": "2026-11-21T03:05:00Z",
                    "started_at": "2026-11-21T03:05:02Z",
                    "finished_at": None,
                    "urls": {
                        "self": f"/v1/jobs/{_ID}",
                        "events": f"/v1/jobs/{_ID}/events",
                        "cancel": f"/v1/jobs/{_ID}/cancel",
                    },
                }
            ]
        }
    )

    job_id: str = id_field("job")
    """Names it."""
    kind: str
    """What it does: ``create_avatar``, ``create_video`` or ``verify_upload``."""
    resource_id: str
    """The avatar, video or upload that it works on."""
    status: JobStatus
    """``queued``, ``running``, ``succeeded``, ``failed``, ``canceling`` or ``canceled``."""
    stage: str
    """The stage to look at."""
    message: str
    """What it is doing."""
    progress: float = Field(ge=0, le=1)
    """Share of the whole job that is done."""
    attempt: int = Field(ge=0)
    """How often that stage was sent to a worker."""
    queue_position: int | None = Field(ge=1)
    """Place among your jobs that wait for the same workers; null when it does not wait."""
    eta_seconds: int | None = Field(ge=0)
    """Estimate of what is left, as of the last progress; null without one."""
    failure: JobFailure | None
    """Why it failed."""
    stages: list[StageBody]
    """Its steps in order."""
    trace_id: str | None
    """W3C trace of the request that began it; in every log line of it."""
    created_at: datetime
    """When it was asked for."""
    started_at: datetime | None
    """When a worker first took it up."""
    finished_at: datetime | None
    """When it ended."""
    urls: Links
    """Where to go on."""


class JobEventBody(AnswerBody):
    """A line of a job's log: the ``data`` of a server-sent event."""

    job_id: str
    """The job."""
    sequence: int
    """Its place, from 1; the event's ``id``."""
    type: str
    """``job.queued``, ``job.running``, ``job.progress``, ``job.succeeded``, … ; its ``event``."""
    occurred_at: datetime
    """When."""
    data: dict[str, object]
    """What there is to say, such as ``stage``, ``progress`` and ``message``."""
