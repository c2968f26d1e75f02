"""The stage of a heartbeat: reads what the one before has written and writes a little itself.

Every service's workers know it. It takes the way of real stages (queue, store, child process,
events), so its success says that this way is open.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.contracts.artifact import MANIFEST
from shared.errors import InvalidInput
from shared.progress import Progress
from shared.worker.stage_entry import Facts, StageEntry, parse_options


class HeartbeatOptions(BaseModel):
    """A heartbeat has no choices."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def beat(inputs: Path, options: dict[str, Any], out: Path, progress: Progress) -> Facts:
    """Write the SHA-256 of everything below ``inputs``.

    Raises:
        InvalidInput: ``file_not_found`` where nothing came.
    """
    parse_options(HeartbeatOptions, options)
    files = sorted(path for path in inputs.rglob("*") if path.is_file())
    if not files:
        raise InvalidInput("file_not_found", "a heartbeat found nothing of the one before it")
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    manifest = {"kind": "heartbeat", "sha256": digest.hexdigest()}
    (out / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    progress(1.0, "beaten")
    return {"sha256": digest.hexdigest()}


ENTRIES = {"heartbeat.beat": StageEntry(beat)}
