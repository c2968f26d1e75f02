"""bench: times, and the few-shot experiment."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.embedded.commands.running import choose_rasterizer, prepare
from services.embedded.commands.words import DeviceOption, JsonOption, PresetOption, SeedOption
from services.embedded.terminal import (
    Terminal,
    open_terminal,
    print_json,
    print_table,
    progress_bar,
)

if TYPE_CHECKING:  # importing them brings the media libraries and Numba
    from services.embedded.bench_raster import RasterTiming
    from services.embedded.few_shot import Trial


def bench(
    captures: Annotated[
        list[Path] | None,
        typer.Argument(exists=True, dir_okay=False, help="For --fewshot: captures with sound."),
    ] = None,
    avatar: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Avatar to render.")
    ] = None,
    motion: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Motion to render.")
    ] = None,
    fewshot: Annotated[
        str | None, typer.Option(help="Seconds of training to compare, such as 5,7.5,10.")
    ] = None,
    holdout: Annotated[
        float, typer.Option(min=0.2, help="For --fewshot: seconds that are judged.")
    ] = 3.2,
    against: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Another 2D rasterizer, run in turn."),
    ] = None,
    latency: Annotated[
        bool, typer.Option("--latency", help="Print how much sound encoders and models wait for.")
    ] = False,
    preset: PresetOption = "standard",
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    out: Annotated[Path, typer.Option(help="For --fewshot: folder of the results.")] = Path(
        "fewshot_output"
    ),
    as_json: JsonOption = False,
) -> None:
    """Time this machine, or measure how many seconds of capture are enough.

    Without arguments it times the rasterizer on three random scenes; with an avatar and a motion
    also the rendering from pose to encoded video, in parts and as a whole.

    \b
    talksplat bench
    talksplat bench --avatar me/avatar --motion me/motion
    talksplat bench --fewshot 5,7.5,10 me.mp4 you.mp4 --out fewshot
    talksplat bench --latency
    """
    terminal = open_terminal(is_json=as_json)
    if latency:
        _print_latencies(terminal)
        return
    if (fewshot is None) != (not captures):
        raise typer.BadParameter("--fewshot and captures go together")
    if (avatar is None) != (motion is None):
        raise typer.BadParameter("--avatar and --motion go together")
    lengths = _lengths(fewshot) if fewshot else ()
    rasterizer = choose_rasterizer(terminal, device)
    prepare(terminal)
    if captures:
        from services.embedded.few_shot import FewShotOptions, run_few_shot

        options = FewShotOptions(
            lengths=lengths,
            holdout_seconds=holdout,
            preset=preset,
            rasterizer=rasterizer,
            seed=seed,
        )
        trials = run_few_shot(captures, options, out, partial(progress_bar, terminal))
        _print_trials(terminal, trials, out / "report.html")
    else:
        told: dict[str, object] = {"rasterizer": _time_raster(terminal, rasterizer, against)}
        if avatar and motion:
            told["render"] = _time_render(terminal, avatar, motion)
        if as_json:
            print_json(terminal, told)


def _print_latencies(terminal: Terminal) -> None:
    from services.embedded.bench_latency import list_latencies

    latencies = list_latencies()
    if terminal.is_json:
        print_json(terminal, [row._asdict() for row in latencies])
        return
    rows = [
        [
            row.kind,
            row.name,
            "all" if row.look_ahead_s is None else f"{row.look_ahead_s:.3f} s",
            "yes" if row.is_chunkable else "no",
            ", ".join(row.missing),
        ]
        for row in latencies
    ]
    header = ["", "name", "sound waited for", "chunk by chunk", "files missing"]
    print_table(terminal.results, "algorithmic latency", header, rows)


def _lengths(text: str) -> tuple[float, ...]:
    try:
        lengths = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"--fewshot takes numbers with commas, not {text!r}") from error
    if min(lengths) <= 0:
        raise typer.BadParameter("--fewshot takes seconds above 0")
    return lengths


def _print_trials(terminal: Terminal, trials: "list[Trial]", report: Path) -> None:
    from services.embedded.few_shot import JUDGED
    from services.embedded.few_shot_report import write_few_shot_report

    write_few_shot_report(report, trials)
    if terminal.is_json:
        print_json(terminal, [trial.model_dump(mode="json") for trial in trials])
        return
    rows = [
        [
            trial.subject,
            f"{trial.training_seconds:g} s",
            *(_number(trial.scores[name].value) for name in JUDGED if name in trial.scores),
            f"{trial.run_seconds:.0f} s",
        ]
        for trial in trials
    ]
    print_table(terminal.results, str(report), ["subject", "training", *JUDGED, "took"], rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _time_raster(
    terminal: Terminal, rasterizer: str, against: Path | None
) -> list[dict[str, object]]:
    from services.embedded.bench_raster import bench_raster

    timings = bench_raster(rasterizer, against=against)
    rows = [
        [
            f"{t.scene.n_gaussians} at {t.scene.side} px",
            *(f"{ms:.1f}" for ms in _columns(t)),
            f"{t.times_real_time:.1f}",
            " ".join(f"{ratio:.2f}" for ratio in t.ratios or ()),
        ]
        for t in timings
    ]
    header = ["Gaussians", "2D", "2D learn", "draw", "learn"]
    header += ["surfels", "surfels learn", "first", "x real time", "ratios"]
    if not terminal.is_json:
        print_table(terminal.results, f"rasterizer {rasterizer}, ms, warm medians", header, rows)
        terminal.results.print(
            "2D: sorting, binning, blending. draw: with projection. learn: with spherical harmonics"
            " of degree 3, forward and backward. surfels: the same discs, learning from colours,"
            " normals and distortion. first: with compiling.\n"
        )
    return [t._asdict() | {"scene": t.scene._asdict()} for t in timings]


def _columns(t: "RasterTiming") -> tuple[float, ...]:
    """Milliseconds in the order of the table's header."""
    gaussians = (t.plane_draw, t.plane_learn, t.draw, t.whole_learn)
    return (*gaussians, t.surfels_draw, t.surfels_learn, t.first)


def _time_render(terminal: Terminal, avatar: Path, motion: Path) -> dict[str, object]:
    from services.embedded.bench_render import bench_render

    timing = bench_render(avatar, motion)
    rows = [[name, f"{value:.2f} ms"] for name, value in timing.parts_ms.items()]
    rows.append(["whole, parts overlapping", f"{timing.whole_ms:.2f} ms"])
    rows.append(
        ["", f"{timing.fps:.1f} frames per second, {timing.times_real_time:.2f} x real time"]
    )
    if timing.cold_seconds is not None:
        rows.append(["first frame of a new process", f"{timing.cold_seconds:.1f} s"])
    title = f"render, {timing.n_gaussians} Gaussians, {timing.width} x {timing.height}, per frame"
    if not terminal.is_json:
        print_table(terminal.results, title, ["part", ""], rows)
    return timing._asdict() | {"fps": timing.fps, "times_real_time": timing.times_real_time}
