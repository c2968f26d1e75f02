"""demo and run: the whole flow."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from services.embedded.commands.running import choose_rasterizer, prepare, read_method_options
from services.embedded.commands.words import (
    DeviceOption,
    ForceOption,
    HeadModelOption,
    JsonOption,
    MethodChoices,
    MethodOption,
    MotionModelOption,
    PresetOption,
    SeedOption,
)
from services.embedded.run_result import RunResult, score_rows
from services.embedded.step import StepRunner
from services.embedded.terminal import (
    Terminal,
    open_terminal,
    print_json,
    print_table,
    progress_bar,
)
from shared.settings import read_settings


def demo(
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("demo_output"),
    seed: SeedOption = 0,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Try the whole flow on a capture that the command makes itself.

    It films a speaking puppet made from a public-domain photograph, keeps the last three seconds
    from training, trains an avatar on the rest, and lets it say both what was kept and something
    else. Takes a few minutes.
    """
    terminal = open_terminal(is_json=as_json)
    prepare(terminal)
    from services.embedded.demo import run_demo

    runner = StepRunner(out, partial(progress_bar, terminal), is_forced=force)
    outcome = run_demo(out, runner, seed)
    if as_json:
        print_json(terminal, outcome.model_dump(mode="json"))
        return
    _print_run(terminal, outcome.run)
    rows = [[name, f"{value:.3f}"] for name, value in outcome.truth.items()]
    print_table(terminal.results, "against the puppet's own motion", ["correlation", ""], rows)


def run(
    capture: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Video of one person speaking.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results.")],
    speech: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Recording to be spoken.")
    ] = None,
    method: MethodOption = "rigged_gaussians",
    method_option: MethodChoices = [],  # noqa: B006 - Typer reads it once
    preset: PresetOption = "standard",
    holdout: Annotated[
        float, typer.Option(min=0, help="Seconds at the capture's end kept for the scores.")
    ] = 0.0,
    motion_model: MotionModelOption = None,
    head_model: HeadModelOption = "open_head",
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """From a capture and a speech to a video of that person saying it, with scores.

    With --holdout the end of the capture is kept from training and spoken again from its own sound,
    so that the scores tell how good unseen speech is. Run again, the command goes on where it
    stopped, and does again only what has changed.

    \b
    talksplat run --capture me.mp4 --speech hello.wav --out me
    talksplat run --capture me.mp4 --holdout 3.3 --out me
    """
    if speech is None and holdout == 0:
        raise typer.BadParameter(
            "nothing to say: name a recording with --speech, or keep the capture's last seconds "
            "with --holdout, whose own sound is then spoken"
        )
    terminal = open_terminal(is_json=as_json)
    prepare(terminal)
    from services.embedded.run_flow import Flow, RunOptions, run_flow

    options = RunOptions(
        method=method,
        method_options=read_method_options(method_option),
        preset=preset,
        holdout_seconds=holdout,
        motion_model=motion_model,
        head_model=head_model,
        rasterizer=choose_rasterizer(terminal, device),
        seed=seed,
    )
    models_dir = read_settings(os.environ).models_dir
    runner = StepRunner(out, partial(progress_bar, terminal), is_forced=force)
    result = run_flow(Flow(capture, speech, options, out, models_dir), runner)
    if as_json:
        print_json(terminal, result.model_dump(mode="json"))
    else:
        _print_run(terminal, result)


def _print_run(terminal: Terminal, result: RunResult) -> None:
    header = ["score", *result.scores, "unit", "baselines"]
    print_table(terminal.results, "scores", header, score_rows(result))
    rows = [[name, f"{seconds:.1f} s"] for name, seconds in result.seconds.items()]
    rows.append(["all", f"{sum(result.seconds.values()):.1f} s"])
    print_table(terminal.results, "seconds", ["step", ""], rows)
    files = [[name, path] for name, path in result.files.items()]
    print_table(terminal.results, "files", ["what", ""], files)
