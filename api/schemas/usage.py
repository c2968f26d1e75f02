"""What a tenant has used and may use."""

from pydantic import ConfigDict

from api.schemas.admin import QuotasBody
from api.schemas.model import AnswerBody


class ServiceUsageBody(AnswerBody):
    """Compute of one month in one service."""

    month: str
    """``2026-11``, UTC."""
    service: str
    """Such as ``trainer``."""
    compute_seconds: float
    """Time of workers."""
    n_stages: int
    """Attempts that are counted."""


class UsageBody(AnswerBody):
    """Usage beside the quotas."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "month": "2026-11",
                    "compute_seconds": 812.5,
                    "n_open_jobs": 2,
                    "stored_bytes": 48_211_004,
                    "quotas": {"max_running_jobs": 4, "max_open_jobs": 1000},
                    "by_service": [
                        {
                            "month": "2026-11",
                            "service": "trainer",
                            "compute_seconds": 700.0,
                            "n_stages": 3,
                        }
                    ],
                }
            ]
        }
    )

    month: str
    """The current one, UTC."""
    compute_seconds: float
    """Of this month, all services."""
    n_open_jobs: int
    """Jobs queued or under way."""
    stored_bytes: int
    """Uploads and artifacts."""
    quotas: QuotasBody
    """What may be used at most."""
    by_service: list[ServiceUsageBody]
    """This month and the eleven before."""
