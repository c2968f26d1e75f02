"""gateway, migrate and tenant: the platform's HTTP side."""

import os
from typing import Annotated

import typer

from services.embedded.commands.words import JsonOption
from services.embedded.terminal import open_terminal, print_json
from shared.errors import InvalidInput
from shared.settings import Settings, read_settings


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
    """Make or upgrade the database; run as its owner before a new version of the gateway."""
    from api.db.migrate import migrate_database

    url = _database_url(read_settings(os.environ))
    revision = migrate_database(url, os.environ.get("TALKSPLAT_MIGRATION_DATABASE_URL") or None)
    open_terminal(is_json=False).results.print(revision, highlight=False)


def tenant(
    name: Annotated[str, typer.Argument(help="Name of the new tenant.")],
    scope: Annotated[
        str, typer.Option(help="Of its first key: member, admin or operator.")
    ] = "admin",
    as_json: JsonOption = False,
) -> None:
    """Make a tenant with a first API key, which is shown once."""
    import secrets
    from datetime import UTC, datetime

    from api.accounts import KeyTerms, Making, create_key, create_tenant
    from api.db.records import KeyScope
    from api.db.session import engine_work, open_database
    from api.gateway import draw_id

    if scope not in set(KeyScope):
        raise InvalidInput("bad_key_scope", f"scope {scope!r}; choose {', '.join(KeyScope)}")
    database = open_database(_database_url(read_settings(os.environ)))
    making = Making(datetime.now(UTC), draw_id, secrets.token_bytes)
    with engine_work(database) as work:
        made = create_tenant(work, name, making)
        key = create_key(work, made.tenant_id, KeyTerms("first", KeyScope(scope)), making)
    database.dispose()
    terminal = open_terminal(is_json=as_json)
    if as_json:
        told = {"tenant_id": made.tenant_id, "key_id": key.key.key_id, "api_key": key.token}
        print_json(terminal, told)
    else:
        terminal.results.print(key.token, highlight=False, markup=False, soft_wrap=True)


def _database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise InvalidInput(
            "missing_setting", "set TALKSPLAT_DATABASE_URL to the gateway's database"
        )
    return settings.database_url
