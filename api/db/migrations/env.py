"""What Alembic runs; ``api.db.migrate`` gives it an open connection."""

from alembic import context

from api.db.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters a table by copying it
)
context.run_migrations()
