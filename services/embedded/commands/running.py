"""What commands do before and around a stage."""

import os
from collections.abc import Callable
from pathlib import Path

import typer

from services.embedded.terminal import Terminal, open_terminal, print_json, progress_bar
from shared import rasterizer_choice
from shared.contracts.artifact import Manifest
from shared.progress import Progress
from shared.rasterizer_choice import Device
from shared.settings import read_settings


def do_stage(
    title: str, stage: Callable[[Progress], Manifest | None], out: Path, *, is_json: bool
) -> None:
    """Run one stage behind a progress bar and print where its result lies."""
    terminal = open_terminal(is_json=is_json)
    prepare(terminal)
    with progress_bar(terminal, title) as progress:
        manifest = stage(progress)
    if is_json:
        told = manifest.model_dump(mode="json") if manifest else None
        print_json(terminal, {"out": str(out), "manifest": told})
    else:
        terminal.results.print(str(out), highlight=False, markup=False)


def prepare(terminal: Terminal) -> None:
    """Set up threads and determinism as the environment says."""
    from shared.compute import prepare_compute

    settings = read_settings(os.environ)
    n_threads = prepare_compute(settings)
    terminal.notes.print(f"threads: {n_threads}", highlight=False)


def read_bars(choices: list[str]) -> dict[str, float]:
    """``NAME=VALUE`` as ``EvaluateOptions.min_quality`` takes it."""
    bars: dict[str, float] = {}
    for choice in choices:
        name, _, value = choice.partition("=")
        try:
            bars[name] = float(value)
        except ValueError as error:
            raise typer.BadParameter(f"--min-quality is NAME=NUMBER, not {choice}") from error
    return bars


def read_method_options(choices: list[str]) -> dict[str, int | float | str | bool]:
    """``NAME=VALUE`` as the avatar method takes it: true and false, numbers, else a word."""
    return read_choices("--method-option", choices)


def read_choices(flag: str, choices: list[str]) -> dict[str, int | float | str | bool]:
    """``NAME=VALUE`` of a flag that may be repeated."""
    options: dict[str, int | float | str | bool] = {}
    for choice in choices:
        name, sign, value = choice.partition("=")
        if not sign or not name:
            raise typer.BadParameter(f"{flag} is NAME=VALUE, not {choice}")
        options[name] = _read_value(value)
    return options


def _read_value(text: str) -> int | float | str | bool:
    if text in {"true", "false"}:
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def choose_rasterizer(terminal: Terminal, device: Device) -> str:
    """Registry name of the rasterizer for ``device``; never chosen silently."""
    choice = rasterizer_choice.choose_rasterizer(device)
    terminal.notes.print(f"rasterizer: {choice.name} ({choice.reason})", highlight=False)
    return choice.name
