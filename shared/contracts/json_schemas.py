"""Writes the JSON Schemas: ``python -m shared.contracts.json_schemas``."""

import json
from pathlib import Path

from pydantic import TypeAdapter

from shared.contracts.artifact import Manifest
from shared.contracts.avatar import AvatarManifest
from shared.contracts.command import COMMAND, CancelStage, RunStage
from shared.contracts.event import EVENT, StageEvent, WorkerSeen
from shared.contracts.motion import MotionManifest
from shared.contracts.motion_model import MotionModelManifest
from shared.contracts.scores import ScoresManifest
from shared.contracts.tracked_dataset import TrackedDatasetManifest
from shared.contracts.upload import UploadManifest
from shared.contracts.video import VideoManifest

MANIFESTS: dict[str, type[Manifest]] = {
    "avatar": AvatarManifest,
    "motion": MotionManifest,
    "motion_model": MotionModelManifest,
    "scores": ScoresManifest,
    "tracked_dataset": TrackedDatasetManifest,
    "upload": UploadManifest,
    "video": VideoManifest,
}
"""By artifact kind."""

MESSAGES: dict[str, TypeAdapter[RunStage | CancelStage] | TypeAdapter[StageEvent | WorkerSeen]] = {
    "command": COMMAND,
    "event": EVENT,
}
"""What goes through the broker."""

FOLDER = Path(__file__).parent / "schemas"


def schema_text(manifest: type[Manifest]) -> str:
    """JSON Schema as it is stored, fields described by their own texts."""
    return json.dumps(manifest.model_json_schema(), indent=2, sort_keys=True) + "\n"


def message_schema_text(name: str) -> str:
    """JSON Schema of one of MESSAGES as it is stored."""
    return json.dumps(MESSAGES[name].json_schema(), indent=2, sort_keys=True) + "\n"


def write_schemas(folder: Path) -> None:
    """Write one file per artifact kind and per sort of message."""
    for kind, manifest in MANIFESTS.items():
        (folder / f"{kind}.json").write_text(schema_text(manifest), encoding="utf-8")
    for name in MESSAGES:
        (folder / f"{name}.json").write_text(message_schema_text(name), encoding="utf-8")


if __name__ == "__main__":
    write_schemas(FOLDER)
