"""A gateway with a bare route beside it, to measure ours by; its argument is a port.

The bare route is what FastAPI and SQLAlchemy cost by themselves: no key, no checks, one INSERT in a
transaction of its own, through the same pool of connections and in the same process.
"""

import os
import sys
import uuid
from typing import Any

import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI
from sqlalchemy.engine import Engine

from api.gateway import open_gateway, places_of
from api.settings import read_gateway_settings
from shared.observability.logs import configure_logs
from shared.settings import read_settings

BARE_TABLE = "bare_inserts"
BARE_PATH = "/bare"


def bare_application(database: Engine) -> FastAPI:
    """One route, one INSERT."""
    app = FastAPI()
    table = sa.table(BARE_TABLE, sa.column("id"), sa.column("name"))

    @app.post(BARE_PATH, status_code=202)
    def insert(body: dict[str, Any]) -> dict[str, str]:
        row = {"id": uuid.uuid4().hex, "name": str(body["name"])}
        with database.begin() as connection:
            connection.execute(sa.insert(table).values(row))
        return row

    return app


def main(port: int) -> None:
    """Serve both until SIGTERM."""
    configure_logs("gateway", level="warning")
    settings = read_gateway_settings(os.environ)
    with open_gateway(places_of(read_settings(os.environ)), settings) as app:
        gateway = getattr(app, "app", app)
        bare = bare_application(gateway.state.parts.database)

        async def either(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
            chosen = bare if scope.get("path", "").startswith(BARE_PATH) else gateway
            await chosen(scope, receive, send)

        uvicorn.run(
            either, host="127.0.0.1", port=port, log_config=None, access_log=False, backlog=2048
        )


if __name__ == "__main__":
    main(int(sys.argv[1]))
