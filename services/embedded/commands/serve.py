"""``talksplat serve``: the whole platform in one process, with nothing to install."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from services.embedded.commands.words import JsonOption
from services.embedded.terminal import Terminal, open_terminal
from shared.settings import read_settings


def serve(
    data_dir: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="All data; ~/.talksplat/platform if not given."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make and show another API key.")
    ] = False,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    as_json: JsonOption = False,
) -> None:
    """Serve the HTTP API and run its jobs, in one process and without any server.

    The first start prints an API key. Stopped or killed, it goes on where it was when it is started
    again; a training from its last checkpoint. Ends with Ctrl-C.

    \b
    talksplat serve
    curl -H "Authorization: Bearer $KEY" http://127.0.0.1:8000/v1/jobs
    """
    from api.serving import listen, serve_http, url_of
    from api.settings import read_gateway_settings
    from services.embedded.platform import NICENESS, open_platform
    from shared.observability.logs import configure_logs

    configure_logs("serve", level=log_level, is_json=as_json)
    # For the processes of the stages, which read their settings from the environment they inherit.
    os.environ.setdefault("TALKSPLAT_NICENESS", str(NICENESS))
    settings, gateway = read_settings(os.environ), read_gateway_settings(os.environ)
    folder = (data_dir or settings.data_dir).expanduser().absolute()
    with (
        listen(host, port) as listener,
        open_platform(folder, gateway, is_key_wanted=new_key) as platform,
    ):
        _tell(open_terminal(is_json=as_json), url_of(listener), folder, platform.new_key)
        serve_http(platform.app, listener, platform.is_alive)


def _tell(terminal: Terminal, url: str, folder: Path, key: str | None) -> None:
    """Say where it is and how to get in; before the log grows."""
    if terminal.is_json:
        line = json.dumps({"url": url, "data_dir": str(folder), "api_key": key})
        terminal.results.print(line, highlight=False, markup=False, soft_wrap=True)
        return
    key_line = (
        f"API key: {key}\n         shown only now; keep it"
        if key
        else "API key: the one shown at the first start; talksplat serve --new-key makes another"
    )
    text = f"Serving: {url}\nRoutes:  {url}/docs\nData:    {folder}\n{key_line}"
    terminal.results.print(text, highlight=False, markup=False, soft_wrap=True)
