"""Statements for PostgreSQL's roles and row-level security: called by migrations.

Two roles own nothing and cannot log in. ``talksplat_tenant`` sees rows of the tenant that
``talksplat.tenant`` names, and none where nothing is set; ``talksplat_engine`` sees all. A login
role is a member of both without inheriting: before ``SET ROLE`` it may do nothing.
"""

from api.db.session import ENGINE_ROLE, TENANT_ROLE, TENANT_SETTING

ROLES = (TENANT_ROLE, ENGINE_ROLE)
_SETTING = f"NULLIF(current_setting('{TENANT_SETTING}', true), '')"


def role_statements() -> list[str]:
    """Make the roles where they are not there; they belong to the whole server."""
    return [
        f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN NOINHERIT; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        for role in ROLES
    ]


def security_statements(table: str, column: str) -> list[str]:
    """Force row-level security on ``table``, whose ``column`` names the tenant."""
    is_own = f"{column} = {_SETTING}"
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        (
            f"CREATE POLICY {table}_of_tenant ON {table} TO {TENANT_ROLE} "
            f"USING ({is_own}) WITH CHECK ({is_own})"
        ),
        (
            f"CREATE POLICY {table}_of_engine ON {table} TO {ENGINE_ROLE} "
            "USING (true) WITH CHECK (true)"
        ),
    ]


def grant_statements(table: str, *, tenant: str) -> list[str]:
    """Let the engine do everything with ``table``, and tenants what ``tenant`` names."""
    to_tenant = [f"GRANT {tenant} ON {table} TO {TENANT_ROLE}"] if tenant else []
    return [f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {ENGINE_ROLE}", *to_tenant]


def sequence_statements(schema: str = "public") -> list[str]:
    """Let both roles draw numbers for new rows."""
    return [f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {', '.join(ROLES)}"]
