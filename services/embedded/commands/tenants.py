"""tenant: operators make tenants and keys in the database itself; the gateway may be down."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.embedded.commands.words import JsonOption
from services.embedded.operating import operator_work
from services.embedded.terminal import open_terminal, print_json, print_table
from shared.errors import InvalidInput

if TYPE_CHECKING:
    from api.accounts import NewKey
    from api.db.records import ApiKey, KeyScope, Tenant

_ROWS = 1000
ScopeOption = Annotated[str, typer.Option(help="member, admin or operator.")]
TenantId = Annotated[str, typer.Argument(metavar="TENANT_ID")]
KeyId = Annotated[str, typer.Argument(metavar="KEY_ID")]
app = typer.Typer(help="Make tenants and their API keys, list and end them.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the new tenant.")],
    scope: ScopeOption = "admin",
    weight: Annotated[
        float, typer.Option(min=0.01, max=100, help="Share of the workers, relative to others.")
    ] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Make a tenant with a first API key, which is shown once."""
    from api.accounts import KeyTerms, create_key, create_tenant

    with operator_work() as (work, making):
        made = create_tenant(work, name, making, weight=weight)
        key = create_key(work, made.tenant_id, KeyTerms("first", _scope(scope)), making)
    _show_key(key, as_json=as_json)


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the tenants, newest first."""
    from api.db.tenants import list_tenants

    with operator_work() as (work, _making):
        found = list_tenants(work, None, _ROWS)
    rows = [_tenant_row(tenant) for tenant in found]
    _show("tenants", ["tenant_id", "name", "weight", "created_at", "state"], rows, as_json=as_json)


@app.command()
def show(tenant_id: TenantId, as_json: JsonOption = False) -> None:
    """Show a tenant's quotas, what it holds now, and its compute of this month."""
    from api.db.tenants import find_tenant
    from api.db.usage import read_using
    from api.ids import missing

    with operator_work() as (work, making):
        found = find_tenant(work, tenant_id)
        if found is None:
            raise missing("ten", tenant_id)
        using = read_using(work, tenant_id, making.now)
    quotas = found.quotas
    about: dict[str, Any] = {
        "tenant_id": found.tenant_id,
        "name": found.name,
        "state": "disabled" if found.disabled_at else "active",
        "weight": found.weight,
        "max_running_jobs": quotas.max_running_jobs,
        "open_jobs": using.n_open_jobs,
        "max_open_jobs": quotas.max_open_jobs,
        "stored_bytes": using.stored_bytes,
        "max_stored_bytes": quotas.max_stored_bytes,
        "month_compute_seconds": using.compute_seconds,
        "max_compute_seconds": quotas.max_compute_seconds,
    }
    terminal = open_terminal(is_json=as_json)
    if as_json:
        print_json(terminal, about)
    else:
        rows = [[name, str(value)] for name, value in about.items()]
        print_table(terminal.results, "tenant", ["", ""], rows)


@app.command()
def change(
    tenant_id: TenantId,
    name: Annotated[str | None, typer.Option(help="New name.")] = None,
    weight: Annotated[float | None, typer.Option(min=0.01, max=100, help="New share.")] = None,
    max_running_jobs: Annotated[int | None, typer.Option(min=0, help="Under way.")] = None,
    max_open_jobs: Annotated[int | None, typer.Option(min=0, help="And queued.")] = None,
    max_stored_gb: Annotated[float | None, typer.Option(min=0, help="In the store.")] = None,
    max_compute_hours: Annotated[float | None, typer.Option(min=0, help="A month.")] = None,
    disabled: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Whether its keys work.")
    ] = None,
) -> None:
    """Change a tenant: its name, share, quotas, and whether its keys work.

    \b
    talksplat tenant change ten_... --weight 2 --max-running-jobs 50
    talksplat tenant change ten_... --disable
    """
    from api.db.tenants import change_tenant
    from api.ids import missing

    wanted: dict[str, Any] = {
        "name": name,
        "weight": weight,
        "max_running_jobs": max_running_jobs,
        "max_open_jobs": max_open_jobs,
        "max_stored_bytes": None if max_stored_gb is None else int(max_stored_gb * 1e9),
        "max_compute_seconds": None if max_compute_hours is None else max_compute_hours * 3600,
    }
    changes = {column: value for column, value in wanted.items() if value is not None}
    with operator_work() as (work, making):
        if disabled is not None:
            changes["disabled_at"] = making.now if disabled else None
        if not changes:
            raise InvalidInput("invalid_request", "nothing to change; see --help")
        if not change_tenant(work, tenant_id, changes):
            raise missing("ten", tenant_id)


@app.command()
def key(
    tenant_id: TenantId,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "key",
    scope: ScopeOption = "member",
    days: Annotated[int | None, typer.Option(min=1, help="It ends after so many.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make another API key, which is shown once."""
    from api.accounts import KeyTerms, create_key

    with operator_work() as (work, making):
        ends = None if days is None else making.now + timedelta(days=days)
        made = create_key(work, tenant_id, KeyTerms(name, _scope(scope), ends), making)
    _show_key(made, as_json=as_json)


@app.command()
def keys(tenant_id: TenantId, as_json: JsonOption = False) -> None:
    """List a tenant's keys, newest first; their secrets are known to nobody."""
    from api.db.api_keys import list_keys

    with operator_work() as (work, making):
        rows = [_key_row(each, making.now) for each in list_keys(work, tenant_id, None, _ROWS)]
    _show("keys", ["key_id", "name", "scope", "created_at", "state"], rows, as_json=as_json)


@app.command()
def rotate(
    tenant_id: TenantId,
    key_id: KeyId,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=24 * 90, help="The old key still works for so long.")
    ] = 24.0,
    as_json: JsonOption = False,
) -> None:
    """Make a key like an old one, which ends after the overlap."""
    from api.accounts import rotate_key

    with operator_work() as (work, making):
        made = rotate_key(work, tenant_id, key_id, timedelta(hours=overlap_hours), making)
    _show_key(made, as_json=as_json)


@app.command()
def revoke(tenant_id: TenantId, key_id: KeyId) -> None:
    """End a key now; gateways notice within seconds."""
    from api.accounts import end_key

    with operator_work() as (work, making):
        end_key(work, tenant_id, key_id, making.now)


def _scope(text: str) -> "KeyScope":
    from api.db.records import KeyScope

    if text not in set(KeyScope):
        raise InvalidInput("bad_key_scope", f"scope {text!r}; choose {', '.join(KeyScope)}")
    return KeyScope(text)


def _tenant_row(tenant: "Tenant") -> list[str]:
    state = "disabled" if tenant.disabled_at else "active"
    made = f"{tenant.created_at:%Y-%m-%d}"
    return [tenant.tenant_id, tenant.name, f"{tenant.weight:g}", made, state]


def _key_row(each: "ApiKey", now: datetime) -> list[str]:
    is_over = each.expires_at is not None and each.expires_at <= now
    ends = f"until {each.expires_at:%Y-%m-%d %H:%M}" if each.expires_at else "active"
    state = "revoked" if each.revoked_at else "over" if is_over else ends
    return [each.key_id, each.name, each.scope.value, f"{each.created_at:%Y-%m-%d}", state]


def _show(title: str, header: list[str], rows: list[list[str]], *, as_json: bool) -> None:
    terminal = open_terminal(is_json=as_json)
    if as_json:
        named: list[dict[str, Any]] = [dict(zip(header, row, strict=True)) for row in rows]
        print_json(terminal, named)
    else:
        print_table(terminal.results, title, header, rows)


def _show_key(made: "NewKey", *, as_json: bool) -> None:
    """The only time that a secret is seen."""
    terminal = open_terminal(is_json=as_json)
    if as_json:
        about = {"tenant_id": made.key.tenant_id, "key_id": made.key.key_id}
        print_json(terminal, {**about, "api_key": made.token})
    else:
        terminal.results.print(made.token, highlight=False, markup=False, soft_wrap=True)
