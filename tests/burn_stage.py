"""A stage for tests of the platform: reads a file, burns CPU, writes three hashed files.

It is no service's: workers are given this module's name. What it writes follows from its input and
its options alone, so that every run of it can be checked.
"""

import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import InvalidInput
from shared.progress import Progress
from shared.worker.stage_entry import Facts, StageEntry, parse_options

N_FILES = 3


class BurnOptions(BaseModel):
    """What a test wants."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    seconds: float = Field(default=0.3, ge=0, le=600)
    """CPU time to burn."""
    seed: int = 0
    """Changes what is written."""
    steps: int = 0
    """With a checkpoint after each, if over 0."""
    fault: str = ""
    """``refuse``, ``bug``, ``die``, ``memory``, ``link``, ``silent`` or ``hang``."""


def burn(inputs: Path, options: dict[str, Any], out: Path, progress: Progress) -> Facts:
    """Write three files that follow from all inputs and the seed."""
    chosen = parse_options(BurnOptions, options)
    source = hashlib.sha256(str(chosen.seed).encode())
    for path in sorted(path for path in inputs.rglob("*") if path.is_file()):
        source.update(path.read_bytes())
    _fail(chosen.fault, out)
    n_done = _burn_steps(chosen, out, progress) if chosen.steps else 0
    if not chosen.steps:
        _burn_cpu(chosen.seconds, progress)
    files = {}
    for number in range(N_FILES):
        body = hashlib.sha256(source.digest() + bytes([number])).hexdigest() * 64
        (out / f"{number}.txt").write_text(body, encoding="utf-8")
        files[f"{number}.txt"] = hashlib.sha256(body.encode()).hexdigest()
    if chosen.fault != "silent":
        (out / "manifest.json").write_text(json.dumps({"kind": "burned", "files": files}))
    return {"digest": source.hexdigest(), "n_steps_done": n_done}


def _burn_cpu(seconds: float, progress: Progress) -> None:
    started = time.process_time()
    while (spent := time.process_time() - started) < seconds:
        hashlib.sha256(bytes(1 << 16)).digest()
        progress(min(spent / seconds, 1.0), "burning")


def _burn_steps(chosen: BurnOptions, out: Path, progress: Progress) -> int:
    """Steps that an earlier attempt has done are not done again; returns how many were."""
    folder = out / "checkpoints"
    index = folder / "latest.json"
    start = json.loads(index.read_text())["step"] if index.is_file() else 0
    folder.mkdir(exist_ok=True)
    for step in range(start + 1, chosen.steps + 1):
        _burn_cpu(chosen.seconds / chosen.steps, lambda _fraction, _message: None)
        part = folder / "latest.json.part"
        part.write_text(json.dumps({"step": step}))
        part.replace(index)
        progress(step / chosen.steps, f"step {step}")
    index.unlink(missing_ok=True)
    folder.rmdir()
    return chosen.steps - start


def _fail(fault: str, out: Path) -> None:
    match fault:
        case "refuse":
            raise InvalidInput("no_face", "no face was found; film the head facing the camera")
        case "bug":
            raise RuntimeError("secret insides")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "memory":
            raise MemoryError
        case "link":
            (out / "stolen").symlink_to("/etc/passwd")
        case "hang":
            time.sleep(600)


ENTRIES = {"burn.burn": StageEntry(burn, kept=("checkpoints",))}
