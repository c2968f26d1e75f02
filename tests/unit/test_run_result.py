"""The table that a run prints."""

from services.embedded.run_result import RunResult, score_rows
from shared.contracts.scores import Score, ScoresManifest


def _scores(video: str, **values: float | None) -> ScoresManifest:
    scores = {
        name: Score(
            value=value,
            unit="px" if name == "lmd" else "1",
            higher_is_better=None,
            baselines={"mean_mouth": 3.19} if name == "lmd" and video == "spoken" else {},
            unavailable=None if value is not None else "there is no reference",
        )
        for name, value in values.items()
    }
    return ScoresManifest(video=video, n_frames=75, scores=scores)


def test_each_figure_stands_beside_its_baselines() -> None:
    """What could not be computed is a dash, not a number."""
    result = RunResult(
        files={},
        seconds={},
        scores={
            "spoken": _scores("spoken", lmd=1.003, ssim=0.947),
            "video": _scores("video", lmd=None, jitter=0.5),
        },
    )

    assert [
        ["lmd", "1.003", "-", "px", "mean_mouth 3.190"],
        ["ssim", "0.947", "-", "", ""],
        ["jitter", "-", "0.500", "", ""],
    ] == score_rows(result)
