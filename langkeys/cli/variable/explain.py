"""``langkeys variable explain``."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from langkeys.cli.completion import complete_variables
from langkeys.cli.invocation import variable_session
from langkeys.cli.options import JsonCommand, UserOption, invocation, new_app
from langkeys.cli.present.variables import variable_object
from langkeys.models import Variable, dashed
from langkeys.sessions.session import Access
from langkeys.text import joined
from langkeys.variables import precedence
from langkeys.variables.precedence import Explanation, is_raw

app = new_app()


@app.command(cls=JsonCommand)
def explain(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="The variable name in the flow's field.",
            autocompletion=complete_variables,
        ),
    ],
    tweak: Annotated[
        bool, typer.Option("--tweak", help="Assume that the run sets a tweak for the field.")
    ] = False,
    user: UserOption = None,
) -> None:
    """Explain which value of a variable a server uses, and why.

    The answer is for the acting user, or for --user. The order of precedence is: a tweak of the
    run, the stored variable, the server's environment. The server's environment is assumed to be
    that of langkeys and its .env file. No value is shown.

    Piped columns, one line: name, wins (tweak, stored, environment or none), what it hides
    (separated by commas), type, default_fields (separated by commas), opens, kept_at_restart,
    falls_back (whether the server looks in its environment for a name that is not stored). JSON:
    name, user_id, username, wins, hides, stored (the object of list, with value null; null if not
    stored), rows (how many variables have that name), kept_at_restart, falls_back, environment
    (where it is set), reasons (the sentences).

    \b
    Examples:
      langkeys variable explain OPENAI_API_KEY
      langkeys variable explain OPENAI_API_KEY --tweak --json
    """
    out = invocation(context).output
    out.require_stdout()
    with variable_session(context, access=Access.READ) as session:
        owner = session.owner(user)
        found = precedence.explain(
            session.store,
            session.settings,
            lambda: session.reading_cipher,
            owner,
            name,
            has_tweak=tweak,
        )
        location = session.store.location
    sentences = [*_winner(found, location), *_stored(found), *_fallback(found), *_import(found)]
    if out.as_json:
        out.document(_object(found, sentences))
    elif out.is_terminal:
        out.sentence(*sentences)
    else:
        out.rows([_row(found)])


def _winner(found: Explanation, location: str) -> Iterator[str]:
    name, stored = found.name, found.stored
    places = {
        "tweak": "the tweak",
        "stored": f"the stored variable of {found.owner.username} in {location}",
        "environment": f"the server's environment ({found.environment})",
    }
    if found.wins == "none":
        yield f"{name} has no value that a server could use for {found.owner.username}."
        if stored is None:
            yield f"It is not stored in {location}."
    else:
        yield f"{name}: {places[found.wins]} wins."
        if found.wins == "tweak" and found.generation.tweak_is_a_name:
            yield (
                f"A Langflow {found.generation.release} server treats the text of a"
                ' tweak as a variable name: write the tweak as {"value": TEXT,'
                ' "load_from_db": false}.'
            )
        if found.hides:
            hidden = joined(places[which] for which in found.hides)
            yield f"It hides {hidden}."


def _stored(found: Explanation) -> Iterator[str]:
    stored, release = found.stored, found.generation.release
    if stored is None:
        return
    fields = ", ".join(stored.default_fields or ())
    yield (
        f"The stored variable has type {stored.type or 'none'} and applies to"
        f" {(f'the fields {fields}' if fields else 'no field by itself')}."
    )
    if len(found.rows) > 1:
        yield (
            f"There are {len(found.rows)} variables with that name; a server reads the one"
            " created first."
        )
    if not found.can_decrypt:
        and_then = (
            ""
            if found.generation.undecryptable_falls_back
            else f", and a Langflow {release} server then has an empty value or fails"
        )
        yield f"It cannot be decrypted with the secret key{and_then}."
    elif not found.has_value:
        yield "It has no value."
    elif stored.is_encrypted:
        yield "The secret key decrypts it."
    if is_raw(stored, found.generation):
        yield (
            f"It is encrypted though its type is {stored.type}: a Langflow {release} server hands"
            " out the encrypted text; set it again."
        )
    yield _kept(found, stored, release)


def _kept(found: Explanation, stored: Variable, release: str) -> str:
    if not found.is_imported:
        return (
            "Servers do not change it when they start, because they do not import"
            " this name from their environment."
        )
    if found.is_kept:
        return (
            f"A Langflow {release} server keeps it when it starts and when the user logs in,"
            " whatever its environment says."
        )
    because = (
        "servers of that generation always do"
        if not found.generation.keeps_set_variables
        else "it was imported from there. To keep it, use langkeys variable set"
    )
    return (
        f"A Langflow {release} server overwrites it when it starts or the user logs in, if its"
        f" environment has {stored.name}: {because}."
    )


def _fallback(found: Explanation) -> Iterator[str]:
    release = found.generation.release
    said = {
        "generation": f"a Langflow {release} server never uses it in place of a variable",
        "setting": "LANGFLOW_FALLBACK_TO_ENV_VAR is false",
        "guarded": f"a Langflow {release} server never uses this name from it in a flow",
    }
    if found.no_fallback is not None:
        yield f"The server's environment is not used: {said[found.no_fallback]}."
        return
    where = (
        f"is set in {found.environment}"
        if found.environment
        else "is not set in the environment that langkeys sees"
    )
    lead = "If a variable is not stored, a server looks in its environment"
    if found.stored is not None:
        lead = "Without it, a server would use its environment"
    yield f"{lead}: {found.name} {where}."


def _import(found: Explanation) -> Iterator[str]:
    if found.stored is None and found.is_imported and found.environment is not None:
        yield (
            "A server with this name in its environment stores it as a Credential"
            " when it starts or the user logs in."
        )


def _object(found: Explanation, sentences: list[str]) -> dict[str, Any]:
    stored = found.stored
    return {
        "name": found.name,
        "user_id": dashed(found.owner.id),
        "username": found.owner.username,
        "wins": found.wins,
        "hides": found.hides,
        "stored": None
        if stored is None
        else variable_object(stored, None, can_decrypt=bool(found.can_decrypt)),
        "rows": len(found.rows),
        "kept_at_restart": found.is_kept,
        "falls_back": found.no_fallback is None,
        "environment": found.environment,
        "reasons": sentences,
    }


def _row(found: Explanation) -> tuple[object, ...]:
    stored = found.stored
    return (
        found.name,
        found.wins,
        ",".join(found.hides),
        None if stored is None else stored.type,
        None if stored is None else ",".join(stored.default_fields or ()),
        _word(found.can_decrypt),
        _word(found.is_kept),
        _word(found.no_fallback is None),
    )


def _word(flag: bool | None) -> str | None:
    return None if flag is None else str(flag).lower()
