"""Options that several commands share, with their help."""

from pathlib import Path
from typing import Annotated

import typer

from services.trainer.options import Preset
from shared.rasterizer_choice import Device

ExistingFile = typer.Argument(exists=True, dir_okay=False)
ExistingFolder = typer.Argument(exists=True, file_okay=False)

PresetOption = Annotated[Preset, typer.Option(help="Effort of the training.")]
MethodOption = Annotated[str, typer.Option(help="Avatar method.")]
MethodChoices = Annotated[
    list[str],
    typer.Option(
        "--method-option", metavar="NAME=VALUE", help="Option of the method; may be repeated."
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="auto takes a GPU where one can be used.")]
HeadModelOption = Annotated[str, typer.Option(help="Head model; flame and ict_face need files.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Do finished steps again.")]
MotionModelOption = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="Motion model of another capture."),
]
