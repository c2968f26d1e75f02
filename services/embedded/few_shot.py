"""How few seconds are enough? Training length against scores, on any captures.

For each length a piece is cut from the end of the capture: that many seconds of training and the
same held-out seconds behind them, so that all lengths are judged on the same frames and nothing
outside the piece can be learnt from. The scores are those of ``spoken``.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from services.embedded.run_flow import Flow, RunOptions, run_flow
from services.embedded.step import StepRunner
from services.renderer.encode import Encoding, Speech, VideoWriter
from services.trainer.options import Preset
from shared.contracts.scores import Score
from shared.contracts.tracked_dataset import FPS
from shared.errors import InvalidInput
from shared.media.audio import fit_length, read_audio, write_wav
from shared.media.video import probe_video, read_frames
from shared.progress import Progress

JUDGED = ("psnr", "ssim", "lmd", "opening_corr")
_PIECE_CRF = 4
"""Of the cut piece: far below what can be seen, since it is both food and truth."""


class FewShotOptions(BaseModel):
    """Choices of the experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    lengths: tuple[float, ...]
    """Seconds of training."""
    holdout_seconds: float = 3.2
    """Seconds behind them that are judged."""
    preset: Preset = "standard"
    """Effort of each training."""
    rasterizer: str = "cpu"
    """Registry name of the rasterizer."""
    seed: int = 0
    """Seed of everything random."""


class Trial(BaseModel):
    """One training."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    subject: str
    """Name of the capture's file."""
    training_seconds: float
    """Length of the training part."""
    scores: dict[str, Score]
    """Of the held-out part, spoken: JUDGED."""
    run_seconds: float
    """How long the whole flow took."""


def run_few_shot(
    captures: list[Path],
    options: FewShotOptions,
    out: Path,
    show: Callable[[str], AbstractContextManager[Progress]],
) -> list[Trial]:
    """Train on each length of each capture; finished trainings are not repeated.

    Raises:
        InvalidInput: ``too_short`` a capture has less than the longest length and the hold-out.
    """
    for capture in captures:
        needed = max(options.lengths) + options.holdout_seconds
        found = _length(capture)
        if found < needed - 0.5 / FPS:
            raise InvalidInput(
                "too_short", f"{capture.name} has {found:.2f} s, the experiment needs {needed} s"
            )
    return [
        _try_length(capture, length, options, out / capture.stem / f"{length:g}s", show)
        for capture in captures
        for length in options.lengths
    ]


def cut_piece(capture: Path, seconds: float, out: Path) -> None:
    """Write the last ``seconds`` of a capture, at 25 frames per second, with its sound."""
    info = probe_video(capture)
    n_all = sum(1 for _ in read_frames(capture, FPS))
    first = n_all - round(seconds * FPS)
    speech: Speech | None = None
    wave = out.with_suffix(".wav")
    if info.has_audio:
        samples = read_audio(capture, start_s=info.start_s + first / FPS)
        write_wav(wave, fit_length(samples, round(seconds * 16_000)))
        speech = Speech(wave, 0.0)
    encoding = Encoding(info.width, info.height, FPS, "medium", _PIECE_CRF, has_alpha=False)
    with VideoWriter(out, encoding, speech) as video:
        for number, frame in enumerate(read_frames(capture, FPS)):
            if number >= first:
                video.write(frame)
    wave.unlink(missing_ok=True)


def _try_length(
    capture: Path,
    length: float,
    options: FewShotOptions,
    folder: Path,
    show: Callable[[str], AbstractContextManager[Progress]],
) -> Trial:
    folder.mkdir(parents=True, exist_ok=True)
    piece = folder / "capture.mp4"
    cut_piece(capture, length + options.holdout_seconds, piece)
    chosen = RunOptions(
        preset=options.preset,
        holdout_seconds=options.holdout_seconds,
        rasterizer=options.rasterizer,
        seed=options.seed,
    )

    def show_trial(step: str) -> AbstractContextManager[Progress]:
        return show(f"{capture.stem} {length:g} s, {step}")

    result = run_flow(Flow(piece, None, chosen, folder), StepRunner(folder, show_trial))
    spoken = result.scores["spoken"].scores
    return Trial(
        subject=capture.stem,
        training_seconds=length,
        scores={name: spoken[name] for name in JUDGED if name in spoken},
        run_seconds=sum(result.seconds.values()),
    )


def _length(capture: Path) -> float:
    return sum(1 for _ in read_frames(capture, FPS)) / FPS
