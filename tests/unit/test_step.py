"""Steps of a flow are done once, unless something changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from services.embedded.step import Step, StepRunner
from shared.contracts.artifact import MANIFEST, Manifest, write_manifest
from shared.errors import InvalidInput
from shared.progress import Progress, silent


class _Options(BaseModel):
    effort: int = 1


class _Made(Manifest):
    kind: Literal["motion"] = "motion"


class _Maker:
    """A stage that counts how often it ran."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.n_runs = 0
        self.is_broken = False

    def run(self, progress: Progress) -> Manifest:
        self.n_runs += 1
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "half.txt").write_text("half done")
        if self.is_broken:
            raise InvalidInput("broken", "stopped half-way")
        progress(1.0, "made")
        write_manifest(self.out, _Made())
        return _Made()


@contextmanager
def _quiet(title: str) -> Iterator[Progress]:
    del title
    yield silent


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An input file."""
    path = tmp_path / "capture.mp4"
    path.write_bytes(b"one")
    return path


def _step(maker: _Maker, source: Path, effort: int = 1) -> Step:
    return Step(
        "train", ("services/trainer",), maker.out, (source,), _Options(effort=effort), maker.run
    )


def test_a_finished_step_is_not_done_again(tmp_path: Path, source: Path) -> None:
    """Equal inputs and options find the record; its time is remembered."""
    maker = _Maker(tmp_path / "out" / "avatar")
    StepRunner(tmp_path / "out", _quiet).do(_step(maker, source))

    again = StepRunner(tmp_path / "out", _quiet)
    again.do(_step(maker, source))

    assert 1 == maker.n_runs
    assert {"train"} == set(again.seconds)


def test_another_input_does_the_step_again(tmp_path: Path, source: Path) -> None:
    """What was made from the old input is gone first."""
    maker = _Maker(tmp_path / "out" / "avatar")
    runner = StepRunner(tmp_path / "out", _quiet)
    runner.do(_step(maker, source))
    (maker.out / "old.txt").write_text("old")

    source.write_bytes(b"two")
    runner.do(_step(maker, source))

    assert 2 == maker.n_runs
    assert not (maker.out / "old.txt").exists()


def test_other_options_do_the_step_again(tmp_path: Path, source: Path) -> None:
    """Options are part of what a result was made from."""
    maker = _Maker(tmp_path / "out" / "avatar")
    runner = StepRunner(tmp_path / "out", _quiet)

    runner.do(_step(maker, source, effort=1))
    runner.do(_step(maker, source, effort=2))

    assert 2 == maker.n_runs


def test_force_does_the_step_again(tmp_path: Path, source: Path) -> None:
    """Whatever the record says."""
    maker = _Maker(tmp_path / "out" / "avatar")
    StepRunner(tmp_path / "out", _quiet).do(_step(maker, source))

    StepRunner(tmp_path / "out", _quiet, is_forced=True).do(_step(maker, source))

    assert 2 == maker.n_runs


def test_a_stopped_step_finds_its_own_files_again(tmp_path: Path, source: Path) -> None:
    """So that a training can go on from its checkpoint."""
    maker = _Maker(tmp_path / "out" / "avatar")
    maker.is_broken = True
    runner = StepRunner(tmp_path / "out", _quiet)
    with pytest.raises(InvalidInput):
        runner.do(_step(maker, source))
    (maker.out / "checkpoint").write_text("step 100")
    maker.is_broken = False

    runner.do(_step(maker, source))

    assert (maker.out / "checkpoint").is_file()
    assert (maker.out / MANIFEST).is_file()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, source: Path) -> None:
    """Only what this command made is ever removed."""
    maker = _Maker(tmp_path / "out" / "avatar")
    maker.out.mkdir(parents=True)
    (maker.out / "letter.txt").write_text("dear")

    with pytest.raises(InvalidInput) as refusal:
        StepRunner(tmp_path / "out", _quiet).do(_step(maker, source))

    assert "folder_occupied" == refusal.value.code
    assert "dear" == (maker.out / "letter.txt").read_text()


def test_a_missing_input_is_refused_before_the_step(tmp_path: Path) -> None:
    """The message names the file."""
    maker = _Maker(tmp_path / "out" / "avatar")

    with pytest.raises(InvalidInput) as refusal:
        StepRunner(tmp_path / "out", _quiet).do(_step(maker, tmp_path / "nothing.mp4"))

    assert "file_not_found" == refusal.value.code
    assert 0 == maker.n_runs
