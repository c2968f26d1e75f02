"""Everything of the first release: tables, roles, row-level security, append-only evidence.

It makes what the code says today; with the first release its statements are to be copied here, so
that later changes of the code leave it as it was.
"""

from alembic import op

from api.db.append_only import APPEND_ONLY, append_only_statements
from api.db.row_security import (
    ROLES,
    grant_statements,
    role_statements,
    security_statements,
    sequence_statements,
)
from api.db.tables import TENANT_TABLES, metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ALL = "SELECT, INSERT, UPDATE, DELETE"
_FOR_TENANTS = {
    **dict.fromkeys(TENANT_TABLES, _ALL),
    **dict.fromkeys(APPEND_ONLY, "SELECT, INSERT"),
    "tenants": "SELECT",
}
"""What a tenant's transaction may do; with other tables nothing."""


def upgrade() -> None:
    """Make everything."""
    connection = op.get_bind()
    metadata.create_all(connection)
    dialect = connection.dialect.name
    statements: list[str] = []
    if dialect == "postgresql":
        statements += role_statements()
        for table in metadata.tables:
            statements += grant_statements(table, tenant=_FOR_TENANTS.get(table, ""))
        for table, column in TENANT_TABLES.items():
            statements += security_statements(table, column)
        statements += sequence_statements()
    for statement in [*statements, *append_only_statements(dialect, ROLES)]:
        op.execute(statement)


def downgrade() -> None:
    """There is nothing before the first release."""
    raise NotImplementedError("restore a backup instead")
