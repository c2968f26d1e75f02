"""gateway and migrate: the platform's HTTP side."""

import os
from typing import Annotated

import typer

from services.embedded.operating import database_url
from services.embedded.terminal import open_terminal
from shared.settings import read_settings


def gateway(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve the HTTP API and run the job engine; needs database, broker and store."""
    from api.gateway import open_gateway, places_of
    from api.serving import listen, serve_http
    from api.settings import read_gateway_settings
    from shared.observability.logs import configure_logs

    configure_logs("gateway", level=log_level)
    places = places_of(read_settings(os.environ))
    with (
        listen(host, port) as listener,
        open_gateway(places, read_gateway_settings(os.environ)) as app,
    ):
        serve_http(app, listener, app.state.parts.is_alive)


def migrate() -> None:
    """Make or upgrade the database; run as its owner before a new version of the gateway.

    TALKSPLAT_DATABASE_URL is the gateway's, TALKSPLAT_MIGRATION_DATABASE_URL the owner's.
    TALKSPLAT_REPORTING_DATABASE_URL, if set, lets dashboards read aggregates.
    """
    from api.db.migrate import migrate_database

    url = database_url()
    owner, reporting = (
        os.environ.get(f"TALKSPLAT_{name}_DATABASE_URL") or None
        for name in ("MIGRATION", "REPORTING")
    )
    revision = migrate_database(url, owner, reporting)
    open_terminal(is_json=False).results.print(revision, highlight=False)
