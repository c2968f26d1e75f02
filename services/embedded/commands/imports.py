"""import: what others have measured, into a tracked dataset."""

from pathlib import Path
from typing import Annotated

import typer

from services.embedded.commands.running import do_stage
from services.embedded.commands.words import ExistingFile, ExistingFolder, JsonOption
from shared.contracts.artifact import Manifest
from shared.progress import Progress

app = typer.Typer(
    help="Take in what others have measured.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("au")
def action_units(
    table: Annotated[Path, ExistingFile],
    dataset: Annotated[Path, ExistingFolder],
    as_json: JsonOption = False,
) -> None:
    """Take brows and blinks from OpenFace's au.csv instead of tracking.

    \b
    talksplat import au au.csv dataset
    """

    def stage(_progress: Progress) -> Manifest:
        from services.preprocess.action_units import import_action_units

        return import_action_units(table, dataset)

    do_stage("import", stage, dataset, is_json=as_json)


@app.command("teeth")
def teeth(
    masks: Annotated[Path, ExistingFolder],
    dataset: Annotated[Path, ExistingFolder],
    as_json: JsonOption = False,
) -> None:
    """Take a black and white PNG per frame as the regions of the teeth.

    \b
    talksplat import teeth masks dataset
    """

    def stage(_progress: Progress) -> Manifest:
        from services.preprocess.teeth_masks import import_teeth

        return import_teeth(masks, dataset)

    do_stage("import", stage, dataset, is_json=as_json)
