"""``langkeys variable set``."""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from langkeys.cli import prompts
from langkeys.cli.completion import complete_variables
from langkeys.cli.invocation import settings_of, variable_session
from langkeys.cli.messages import warn_of_fate, warn_of_overwriting
from langkeys.cli.options import RemoteEncryptingCommand, UserOption, invocation, is_remote, new_app
from langkeys.cli.present.variables import show_variables, with_values
from langkeys.config.settings import Settings
from langkeys.errors import UsageError
from langkeys.models import CREDENTIAL, GENERIC
from langkeys.sessions.session import Access
from langkeys.times import now
from langkeys.variables import lifecycle as variables

app = new_app()


class Type(str, Enum):
    """The types of a variable."""

    CREDENTIAL = CREDENTIAL
    GENERIC = GENERIC


@app.command("set", cls=RemoteEncryptingCommand)
def set_(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="The variable's name.", autocompletion=complete_variables
        ),
    ],
    value_file: Annotated[
        Path | None,
        typer.Option("--value-file", metavar="FILE|-", help="Read the value from FILE or stdin."),
    ] = None,
    from_env: Annotated[
        bool,
        typer.Option("--from-env", help="Read the value from the environment variable NAME."),
    ] = False,
    type_: Annotated[
        Type | None,
        typer.Option(
            "--type",
            help="Default: the existing variable's type, or Credential for a new one.",
            show_default=False,
        ),
    ] = None,
    apply_to: Annotated[
        list[str] | None,
        typer.Option(
            "--apply-to",
            metavar="FIELD",
            help="A field that uses the variable by default; repeatable. Default: "
            "the existing variable's fields.",
        ),
    ] = None,
    user: UserOption = None,
) -> None:
    """Create or update a variable. The value is prompted for and not shown.

    A server keeps the stored value whatever its environment says, except Langflow 1.5 to 1.7. One
    newline at the end of a file or stdin is dropped. If servers have created several variables with
    the same name and user, all are updated.

    \b
    Examples:
      langkeys variable set OPENAI_API_KEY
      langkeys variable set OPENAI_API_KEY --value-file /run/secrets/openai --user alice
      langkeys variable set BASE_URL --type Generic --apply-to "Base URL" --value-file - < url.txt
    """
    call = invocation(context)
    if call.output.as_json:
        call.output.require_stdout()
    variables.check_name(name)
    if is_remote(context):
        from langkeys.cli.remote import variables as over_rest

        server = over_rest.variable_server(context, user)
        over_rest.set_(
            context,
            server,
            name,
            _value(
                settings_of(context),
                name,
                value_file,
                from_env,
                is_stored=lambda: over_rest.is_stored(server, name),
            ),
            type_=None if type_ is None else type_.value,
            apply_to=apply_to,
        )
        return
    with variable_session(context, access=Access.WRITE) as session:
        owner = session.owner(user)
        is_plain = type_ is Type.GENERIC and not session.generation.encrypts_generic
        session.check_secret_key(encrypts=not is_plain)
        value = _value(
            session.settings,
            name,
            value_file,
            from_env,
            is_stored=lambda: bool(session.store.variables_named([name], owner.id)),
        )
        update = variables.new_update(
            session.generation,
            lambda: session.cipher,
            name,
            value,
            type_=None if type_ is None else type_.value,
            default_fields=apply_to or None,
        )
        (outcome,) = variables.set_all(session.store, variables.one_owner(owner), [update])
        row = outcome.rows[0]
        many = "" if len(outcome.rows) == 1 else f", {len(outcome.rows)} rows of that name"
        call.output.note(
            f"{'created' if outcome.action == 'added' else 'updated'} {row.type} {row.name} for"
            f" {owner.username} in {session.store.location}{many}"
        )
        warn_of_overwriting(session, [row.name])
        warn_of_fate(session, owner)
        if call.output.as_json:
            show_variables(call.output, session, with_values(session, [row]), now(), as_array=False)


def _value(
    settings: Settings,
    name: str,
    value_file: Path | None,
    from_env: bool,
    *,
    is_stored: Callable[[], bool],
) -> str:
    what = f"the value of {name}"
    if value_file is not None and from_env:
        raise UsageError("--value-file and --from-env cannot be used together")
    if from_env:
        value = settings.environ.get(name)
        if value is None:
            in_file = settings.env_file is not None and settings.env_file_values.get(name)
            raise UsageError(
                f"{name} is not set in the process environment",
                hint=f"{settings.env_file} has it: langkeys variable import --only {name}"
                if in_file
                else "export it, or use --value-file",
            )
        return value
    if value_file is not None:
        return prompts.exact_text(value_file, what)
    if not prompts.can_ask():
        raise UsageError(
            f"no value given for {name}, and no terminal to ask for one",
            hint="use --value-file FILE, --value-file - for stdin, or --from-env",
        )
    replaces = " (replaces the stored value)" if is_stored() else ""
    return prompts.hidden(f"Value of {name}{replaces}") or ""
