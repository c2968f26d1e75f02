"""A transaction in whose name repositories read and write.

Use cases take it and never commit; ``session.tenant_work`` and ``session.engine_work`` begin and
end it::

    with tenant_work(database, tenant_id) as work:
        job = use_cases.cancel_job(work, job_id, now)
"""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection


class UnitOfWork(NamedTuple):
    """An open transaction and whose it is."""

    connection: Connection
    tenant_id: str | None
    """None sees every tenant: the engine and operators."""

    @property
    def is_postgresql(self) -> bool:
        """Whether rows can be locked one by one."""
        return self.connection.dialect.name == "postgresql"

    def owned(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """Condition that a row is this tenant's; part of every query on a tenant's table."""
        if self.tenant_id is None:
            return sa.true()
        column = table.c.tenant_id if "tenant_id" in table.c else table.c.id
        return column == self.tenant_id

    def tenant(self) -> str:
        """The tenant in whose name this is done; the engine has none."""
        assert self.tenant_id is not None, "this needs the transaction of a tenant"
        return self.tenant_id
