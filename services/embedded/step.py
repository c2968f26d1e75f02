"""Does one step of a flow once: a record beside the results tells what each was made from."""

import functools
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from shared.contracts.artifact import MANIFEST, Manifest
from shared.errors import InvalidInput
from shared.progress import Progress

_RECORDS = ".talksplat"
_PRODUCT = Path(__file__).parent.parent.parent


class Step(NamedTuple):
    """One stage with its inputs, ready to be run."""

    name: str
    code: tuple[str, ...]
    """Folders of the product whose code makes the result; it is made again after a change."""
    out: Path
    """Folder of the artifact that it writes."""
    inputs: tuple[Path, ...]
    """Artifacts and files that it reads."""
    options: BaseModel
    run: Callable[[Progress], Manifest | None]


class StepRecord(BaseModel):
    """What is remembered of a step."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    key: str
    """Digest of inputs, options and code."""
    seconds: float | None = None
    """How long it took; None while it has not finished."""


class StepRunner:
    """Runs the steps of one flow in one folder and knows how long each took."""

    def __init__(
        self,
        folder: Path,
        show: Callable[[str], AbstractContextManager[Progress]],
        *,
        is_forced: bool = False,
    ) -> None:
        self._records = folder / _RECORDS
        self._show = show
        self.is_forced = is_forced
        self.seconds: dict[str, float] = {}

    def do(self, step: Step) -> None:
        """Run ``step`` unless it has been done with the same inputs and options.

        A step that was stopped half-way finds its own files again; what an earlier run made from
        other inputs is removed first.

        Raises:
            InvalidInput: ``folder_occupied`` the output folder is not of our making.
        """
        record_path = self._records / f"{step.name.replace(' ', '_')}.json"
        record = _read_record(record_path)
        key = step_key(step)
        is_same = record is not None and record.key == key and not self.is_forced
        if is_same and record and record.seconds is not None and (step.out / MANIFEST).is_file():
            self.seconds[step.name] = record.seconds
            with self._show(step.name) as progress:
                progress(1.0, "done before")
            return
        if not is_same:
            _clear(step.out, is_ours=record is not None)
        self._records.mkdir(parents=True, exist_ok=True)
        _write_record(record_path, StepRecord(key=key))
        with self.timed(step.name) as progress:
            step.run(progress)
        _write_record(record_path, StepRecord(key=key, seconds=self.seconds[step.name]))

    @contextmanager
    def timed(self, name: str) -> Iterator[Progress]:
        """Show what is done inside the block under ``name``, and note how long it took."""
        started = time.monotonic()
        with self._show(name) as progress:
            yield progress
        self.seconds[name] = round(time.monotonic() - started, 2)


def step_key(step: Step) -> str:
    """Digest of everything that decides what a step makes."""
    told = {
        "step": step.name,
        "code": [code_digest(folder) for folder in step.code],
        "options": step.options.model_dump(mode="json"),
        "inputs": [digest(path) for path in step.inputs],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


@functools.cache
def code_digest(folder: str) -> str:
    """SHA-256 of a folder's Python files, such as ``services/trainer``."""
    code = hashlib.sha256()
    for path in sorted((_PRODUCT / folder).rglob("*.py")):
        code.update(path.relative_to(_PRODUCT).as_posix().encode())
        code.update(path.read_bytes())
    return code.hexdigest()


def digest(path: Path) -> str:
    """SHA-256 of a file, or of an artifact's manifest, which holds its files' digests."""
    file = path / MANIFEST if path.is_dir() else path
    if not file.is_file():
        raise InvalidInput("file_not_found", f"{file} is not there")
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _clear(folder: Path, *, is_ours: bool) -> None:
    """Remove the results of an earlier run, and nothing else."""
    if not folder.exists():
        return
    if not is_ours:
        raise InvalidInput(
            "folder_occupied",
            f"{folder} is there already and was not made by this command; choose another --out",
        )
    shutil.rmtree(folder)


def _read_record(path: Path) -> StepRecord | None:
    if not path.is_file():
        return None
    return StepRecord.model_validate_json(path.read_text(encoding="utf-8"))


def _write_record(path: Path, record: StepRecord) -> None:
    path.write_text(record.model_dump_json() + "\n", encoding="utf-8")
