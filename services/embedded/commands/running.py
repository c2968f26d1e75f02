"""What commands do before and around a stage."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import typer

from services.embedded.commands.words import Device
from services.embedded.terminal import Terminal, open_terminal, print_json, progress_bar
from shared.contracts.artifact import Manifest
from shared.errors import MissingModel
from shared.progress import Progress
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


def parse_choices(words: list[str]) -> dict[str, int | float | str | bool]:
    """Options of a method from ``name=value``; numbers, true and false are what they look like."""
    chosen: dict[str, int | float | str | bool] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not (name and sign):
            raise typer.BadParameter(f"{word!r} is not name=value")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        chosen[name] = value if isinstance(value, (int, float, bool)) else text
    return chosen


def prepare(terminal: Terminal) -> None:
    """Set up threads and determinism as the environment says."""
    from shared.compute import prepare_compute

    settings = read_settings(os.environ)
    n_threads = prepare_compute(settings)
    terminal.notes.print(f"threads: {n_threads}", highlight=False)


def choose_rasterizer(terminal: Terminal, device: Device) -> str:
    """Registry name of the rasterizer for ``device``; never chosen silently."""
    from shared.plugins import plugin_names

    has_gpu = False
    if device != "cpu" and "gsplat_cuda" in plugin_names("shared.rasterizers"):
        import torch

        has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise MissingModel(
            "no_gpu", "no GPU rasterizer can be used on this machine; use --device cpu"
        )
    name = "gsplat_cuda" if has_gpu else "cpu"
    terminal.notes.print(f"rasterizer: {name}", highlight=False)
    return name
