"""Statements that make tables append-only, whoever writes: called by a migration.

Triggers, beside missing permissions: they hold in SQLite too, and against the tables' owner.
"""

APPEND_ONLY = ("consents", "consent_revocations", "consent_uses")
"""Evidence: what was allowed, withdrawn and done stays as it was written."""

_REFUSE = """
CREATE FUNCTION talksplat_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$
"""


def append_only_statements(dialect: str, app_roles: tuple[str, ...] = ()) -> list[str]:
    """DDL for ``postgresql`` or ``sqlite``; ``app_roles`` lose what they may have been granted."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for table in APPEND_ONLY
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        _REFUSE,
        *(statement for table in APPEND_ONLY for statement in _for_postgresql(table, app_roles)),
    ]


def _for_postgresql(table: str, app_roles: tuple[str, ...]) -> list[str]:
    refuse = "EXECUTE FUNCTION talksplat_refuse_change()"
    row, all_rows = "BEFORE UPDATE OR DELETE", "BEFORE TRUNCATE"
    return [
        f"CREATE TRIGGER {table}_refuse_change {row} ON {table} FOR EACH ROW {refuse}",
        f"CREATE TRIGGER {table}_refuse_truncate {all_rows} ON {table} FOR EACH STATEMENT {refuse}",
        *(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM {role}" for role in app_roles),
    ]
