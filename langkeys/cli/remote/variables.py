"""``langkeys variable`` over REST: variables are sent one by one."""

from collections.abc import Iterable, Mapping, Sequence

import typer

from langkeys.cli import prompts
from langkeys.cli.options import invocation
from langkeys.cli.output import Output
from langkeys.cli.present.paging import Paging, sliced
from langkeys.cli.present.variables import VariableRow, show_variable_rows
from langkeys.cli.remote.connection import require_self, server_of
from langkeys.models import CREDENTIAL, Variable, dashed
from langkeys.remote import variables
from langkeys.remote.server import Server
from langkeys.remote.variables import Outcome, Policy, VariableUpdate
from langkeys.text import counted, listed
from langkeys.times import now
from langkeys.variables.lifecycle import check_name

_USER = "variable --user"


def variable_server(
    context: typer.Context, user: str | None, *, all_users: bool = False, writes: bool = True
) -> Server:
    """Return the server for variables; they always belong to the acting user."""
    server = server_of(context, writes=writes)
    if all_users:
        server.require(_USER)
    require_self(server, user, _USER)
    return server


def set_(
    context: typer.Context,
    server: Server,
    name: str,
    value: str,
    *,
    type_: str | None,
    apply_to: Sequence[str] | None,
) -> None:
    """Send a variable."""
    out = invocation(context).output
    fields = None if not apply_to else tuple(dict.fromkeys(apply_to))
    outcome = variables.set_variable(server, VariableUpdate(name, value, type_, fields))
    row = outcome.rows[0]
    many = "" if len(outcome.rows) == 1 else f", {len(outcome.rows)} rows of that name"
    out.note(
        f"sent {row.type} {row.name} for {server.acting.username} to {server.location},"
        f" {'created' if outcome.action == 'added' else 'updated'}{many}{_not_shown(row)}"
    )
    if out.as_json:
        _show(out, [(row, None if row.type == CREDENTIAL else value)], as_array=False)


def is_stored(server: Server, name: str) -> bool:
    """Tell whether the acting user has a variable with this name."""
    return any(row.name == name for row, _ in variables.list_variables(server))


def _not_shown(row: Variable) -> str:
    return "; the server never shows its value" if row.type == CREDENTIAL else ""


def list_(
    context: typer.Context,
    *,
    user: str | None,
    all_users: bool,
    paging: Paging[VariableRow],
) -> None:
    """List the variables of the acting user."""
    out = invocation(context).output
    out.require_stdout()
    server = variable_server(context, user, all_users=all_users, writes=False)
    found = variables.list_variables(server)
    shown = paging.page(
        lambda limit, offset: sliced(found, limit, offset),
        lambda pair: VariableRow(pair[0], pair[1], None),
    )
    _show(out, shown)


def delete(
    context: typer.Context, names: Sequence[str], *, user: str | None, yes: bool, dry_run: bool
) -> None:
    """Delete variables one by one."""
    out = invocation(context).output
    out.require_stdout()
    server = variable_server(context, user)
    present = variables.list_variables(server)
    found = {
        row.id: (row, value)
        for row, value in (variables.get_variable(server, present, name) for name in names)
    }
    rows = [row for row, _ in found.values()]
    many = f"{counted(len(rows), 'variable')} of {server.acting.username}"
    if dry_run:
        out.note(f"dry run: {many} in {server.location} would be deleted; nothing was done")
    else:
        every = listed([row.name for row in rows])
        prompts.confirm(
            f"Delete {every} of {server.acting.username} in {server.location}?", yes=yes
        )
        variables.delete_variables(server, rows)
        out.note(f"deleted {many} in {server.location}")
    _show(out, found.values())


def import_(
    context: typer.Context,
    server: Server,
    chosen: Mapping[str, str],
    policy: Policy,
    *,
    dry_run: bool,
) -> list[Outcome]:
    """Send variables one by one."""
    for name in chosen:
        check_name(name)
    wanted = [VariableUpdate(name, value) for name, value in chosen.items()]
    with invocation(context).output.progress("sending variables", len(wanted)) as done:
        return variables.import_variables(server, wanted, policy, dry_run=dry_run, done=done)


def show_outcomes(out: Output, server: Server, outcomes: Sequence[Outcome]) -> None:
    """Show the results for variables without their values, as ``import`` does."""
    acting = server.acting
    if out.as_json:
        out.array(
            {
                "name": outcome.name,
                "user_id": dashed(acting.id),
                "username": acting.username,
                "action": outcome.action,
            }
            for outcome in outcomes
        )
        return
    rows = [(outcome.action, outcome.name, acting.username) for outcome in outcomes]
    if not out.is_terminal:
        out.rows(rows)
    elif rows:
        out.table(("ACTION", "NAME", "USER"), rows)


def _show(
    out: Output, pairs: Iterable[tuple[Variable, str | None]], *, as_array: bool = True
) -> None:
    shown = ((row, value, None) for row, value in pairs)
    show_variable_rows(out, shown, now(), as_array=as_array)
