"""models and doctor: looks at the machine."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from services.embedded.commands.words import JsonOption
from services.embedded.terminal import open_terminal, print_json, print_table, progress_bar
from shared.errors import InvalidInput
from shared.settings import read_settings

models_app = typer.Typer(rich_markup_mode=None)


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show the optional model files: which are there, and what each unlocks.

    \b
    talksplat models
    talksplat models import ict-facekit ICT-FaceKit
    """
    if context.invoked_subcommand is not None:
        return
    from shared.model_files import find_model_files

    terminal = open_terminal(is_json=as_json)
    settings = read_settings(os.environ)
    found = find_model_files(settings.models_dir)
    if as_json:
        rows = [row.file._asdict() | {"presence": row.presence} for row in found]
        print_json(terminal, {"folder": str(settings.models_dir), "files": rows})
        return
    table = [
        [row.presence, row.file.name, row.file.unlocks, row.file.licence, row.file.owner]
        for row in found
    ]
    header = ["", "file", "unlocks", "licence", "from"]
    print_table(terminal.results, f"{settings.models_dir}; none is needed", header, table)


@models_app.command("import")
def import_model(
    kind: Annotated[Literal["ict-facekit"], typer.Argument(help="What it is.")],
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="As its owner publishes it.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Pack a published model into the file that talksplat reads, in the models folder.

    \b
    git clone https://github.com/ICT-VGL/ICT-FaceKit
    talksplat models import ict-facekit ICT-FaceKit
    """
    from shared.scanned_heads.ict_import import pack_ict

    terminal = open_terminal(is_json=as_json)
    with progress_bar(terminal, f"import {kind}") as progress:
        path = pack_ict(folder, read_settings(os.environ).models_dir, progress)
    if as_json:
        print_json(terminal, {"out": str(path)})
    else:
        terminal.results.print(str(path), highlight=False, markup=False)


def doctor(
    part: Annotated[
        Literal["all", "gateway", "preprocess", "trainer", "audio2motion", "renderer", "evaluator"],
        typer.Option("--for", help="Only what this deployable needs."),
    ] = "all",
    as_json: JsonOption = False,
) -> None:
    """Look at this machine and the servers that TALKSPLAT_* name: what is wrong, and what to do.

    \b
    talksplat doctor
    talksplat doctor --for renderer
    """
    from services.embedded.doctor import examine

    terminal = open_terminal(is_json=as_json)
    findings = examine(read_settings(os.environ), Path.cwd(), part)
    if as_json:
        print_json(terminal, [finding._asdict() for finding in findings])
    else:
        rows = [["ok" if f.is_well else "PROBLEM", f.subject, f.text] for f in findings]
        print_table(terminal.results, "doctor", ["", "what", "found"], rows)
    unwell = [finding.subject for finding in findings if not finding.is_well]
    if unwell:
        raise InvalidInput("machine_not_ready", f"look at: {', '.join(unwell)}")
