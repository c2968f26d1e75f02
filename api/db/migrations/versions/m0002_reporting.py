"""Views of usage and quality for dashboards, and the role that reads them.

It makes what the code says today; with the first release its statements are to be copied here, so
that later changes of the code leave it as it was.
"""

from alembic import op

from api.db.reporting import reporting_statements

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make role and views; SQLite has no roles, and its one process no dashboards."""
    if op.get_bind().dialect.name == "postgresql":
        for statement in reporting_statements():
            op.execute(statement)


def downgrade() -> None:
    """Take a backup before an upgrade; there is no way back."""
    raise NotImplementedError("restore a backup instead")
