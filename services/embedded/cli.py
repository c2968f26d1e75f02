"""The command line: its commands are functions of ``commands/``, its errors end here.

Heavy libraries are imported inside commands, so that ``--help`` answers at once.
"""

import signal
import sys
from types import FrameType

import typer
from pydantic import ValidationError

from services.embedded.commands import (
    backups,
    bench,
    capacity,
    exporting,
    flow,
    gateway,
    importing,
    jobs,
    machine,
    probe,
    serve,
    speaking,
    stages,
    tenants,
    worker,
)
from services.embedded.terminal import open_terminal
from shared.errors import PlatformError

FAILED, USAGE, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="talksplat",
    help="""From a short video of a person and a speech recording to a video of them saying it.

    \b
    talksplat demo                                          try it without any footage
    talksplat run --capture me.mp4 --speech hello.wav --out me
    talksplat preprocess me.mp4 -o dataset                  or stage by stage
    talksplat train dataset -o avatar
    talksplat fit-motion dataset -o avatar/motion_model
    talksplat animate avatar hello.wav -o motion
    talksplat render avatar motion -o hello.mp4
    talksplat serve                                         or as a platform, over HTTP
    """,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    flow.demo,
    flow.run,
    stages.preprocess,
    stages.train,
    speaking.fit_motion,
    speaking.animate,
    stages.render,
    stages.evaluate,
    machine.doctor,
    serve.serve,
    gateway.gateway,
    gateway.migrate,
    probe.probe,
    backups.backup,
    backups.restore,
    bench.bench,
    capacity.capacity,
    worker.worker,
):
    app.command()(command)
app.add_typer(exporting.app, name="export")
app.add_typer(importing.app, name="import")
app.add_typer(machine.models_app, name="models")
app.add_typer(jobs.app, name="jobs")
app.add_typer(tenants.app, name="tenant")


class Interrupted(BaseException):
    """Ctrl-C or a polite kill; a BaseException, so that nothing on the way swallows it."""


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 usage, 130 interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        app(args=arguments, prog_name="talksplat")
    except SystemExit as leaving:  # how Typer ends, well or with a usage error
        return leaving.code if isinstance(leaving.code, int) else 0
    except ValidationError as error:
        for problem in error.errors():
            option = ".".join(str(part) for part in problem["loc"]) or "options"
            _print_error("usage", f"{option}: {problem['msg']}")
        return USAGE
    except PlatformError as error:
        _print_error(error.code, error.message)
        return FAILED
    except OSError as error:
        _print_error("file_system", str(error))
        return FAILED
    except Interrupted:
        _print_error("interrupted", "the same command goes on where it stopped")
        return INTERRUPTED
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


def _print_error(code: str, message: str) -> None:
    open_terminal(is_json=False).notes.print(
        f"error[{code}]: {message}", markup=False, highlight=False, soft_wrap=True
    )


if __name__ == "__main__":
    main()
