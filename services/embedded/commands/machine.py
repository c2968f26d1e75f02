"""models and doctor: looks at the machine."""

import os
from pathlib import Path

from services.embedded.commands.words import JsonOption
from services.embedded.terminal import open_terminal, print_json, print_table
from shared.errors import InvalidInput
from shared.settings import read_settings


def models(as_json: JsonOption = False) -> None:
    """Show the optional model files: which are there, and what each unlocks."""
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


def doctor(as_json: JsonOption = False) -> None:
    """Look whether this machine has what the stages need."""
    from services.embedded.doctor import examine

    terminal = open_terminal(is_json=as_json)
    findings = examine(read_settings(os.environ), Path.cwd())
    if as_json:
        print_json(terminal, [finding._asdict() for finding in findings])
    else:
        rows = [["ok" if f.is_well else "PROBLEM", f.subject, f.text] for f in findings]
        print_table(terminal.results, "doctor", ["", "what", "found"], rows)
    unwell = [finding.subject for finding in findings if not finding.is_well]
    if unwell:
        raise InvalidInput("machine_not_ready", f"look at: {', '.join(unwell)}")
