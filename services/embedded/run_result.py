"""What a run leaves for people: a few files at the top of its folder, and one table of figures."""

import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from shared.contracts.artifact import read_manifest
from shared.contracts.scores import Score, ScoresManifest
from shared.contracts.video import VideoManifest

_JUDGED = {
    "spoken": "heldout/spoken_scores",
    "selfdriven": "heldout/selfdriven_scores",
    "video": "scores",
}


class RunResult(BaseModel):
    """Contents of ``scores.json``, and what ``--json`` prints."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    files: dict[str, str]
    """Results, by what they are; paths."""
    seconds: dict[str, float]
    """How long each step took when it was done."""
    scores: dict[str, ScoresManifest]
    """``spoken`` and ``selfdriven``: the held-out part; ``video``: the speech."""


def gather_results(out: Path, seconds: dict[str, float]) -> RunResult:
    """Copy the videos and the report to the top of ``out`` and write ``scores.json``."""
    video = out / _file_of(out / "video")
    shutil.copyfile(out / "video" / video.name, video)
    files = {"video": video, "scores": out / "scores.json", "report": out / "report.html"}
    scores = {
        name: read_manifest(out / folder, ScoresManifest)
        for name, folder in _JUDGED.items()
        if (out / folder).is_dir()
    }
    # The held-out part has a truth to be compared with; its report says more.
    told = next(name for name in _JUDGED if name in scores)
    shutil.copyfile(out / _JUDGED[told] / "report.html", files["report"])
    heldout = "spoken" if "spoken" in scores else "selfdriven"
    if heldout in scores:
        source = out / "heldout" / f"{heldout}_video"
        files["heldout"] = out / "heldout.mp4"
        shutil.copyfile(source / _file_of(source), files["heldout"])
    result = RunResult(
        files={name: str(path) for name, path in files.items()}, seconds=seconds, scores=scores
    )
    files["scores"].write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return result


def selfdriven_notes(out: Path) -> list[str]:
    """What the spoken part's report says of the same frames with their tracked expression."""
    scores = read_manifest(out / _JUDGED["selfdriven"], ScoresManifest).scores
    told = ", ".join(f"{name} {_figure(scores.get(name))}" for name in ("psnr", "ssim", "lmd"))
    return [
        "Head pose is the capture's; expression, jaw, lips, blinks and torso are predicted.",
        f"With the tracked expression instead (selfdriven): {told}.",
    ]


def score_rows(result: RunResult) -> list[list[str]]:
    """Name, value of each judged video, unit, and the baselines of the first that has any."""
    names = list(dict.fromkeys(name for judged in result.scores.values() for name in judged.scores))
    rows = []
    for name in names:
        found = [judged.scores.get(name) for judged in result.scores.values()]
        known = [score for score in found if score is not None]
        unit = known[0].unit.replace("1", "")
        baselines = next((score.baselines for score in known if score.baselines), {})
        told = ", ".join(f"{key} {value:.3f}" for key, value in baselines.items())
        rows.append([name, *map(_figure, found), unit, told])
    return rows


def _figure(score: Score | None) -> str:
    return "-" if score is None or score.value is None else f"{score.value:.3f}"


def _file_of(video: Path) -> str:
    return Path(read_manifest(video, VideoManifest).file).name
