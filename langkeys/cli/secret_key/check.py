"""``langkeys secret-key check``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from langkeys.cli.invocation import session_of
from langkeys.cli.options import JsonCommand, invocation, new_app
from langkeys.cli.output import Output
from langkeys.errors import SecretKeyError
from langkeys.key_session import Key, key_from_file, key_in_force
from langkeys.models import dashed
from langkeys.reencryption import Checked, checked_values

app = new_app()


@app.command(cls=JsonCommand)
def check(
    context: typer.Context,
    old_key_file: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Try the key in FILE, too; may be given again."),
    ] = None,
) -> None:
    """Try the secret key on every encrypted value of the database; exit 7 if one does not open.

    Everything is tried: the columns where Langflow keeps encrypted values, and Fernet tokens
    anywhere else, which are reported and do no harm. With --old-key-file it says which of the keys
    opens what. Read-only; needs no password. Piped columns: table, column, row, name, where (known
    or stray), the fingerprint of the key that opens it, or nothing.

    \b
    Examples:
      langkeys secret-key check
      langkeys secret-key check --old-key-file secret_key.old
      langkeys secret-key check --json | jq '.values[] | select(.fingerprint == null)'
    """
    out = invocation(context).output
    out.require_stdout()
    with session_of(context) as session:
        keys = [key_in_force(session)]
        keys += [key_from_file(session, path) for path in old_key_file or ()]
        with out.progress("reading", session.store.rows_to_pass()) as done:
            found = list(checked_values(session.store, [key.cipher for key in keys], done))
        location = session.store.location
    if out.as_json:
        out.document(_document(location, keys, found))
    elif out.is_terminal:
        _show(out, keys, found)
    else:
        out.rows(_row(keys, item) for item in found)
    first_only = [item for item in found if item.is_known and item.key != 0]
    if first_only:
        unopened = sum(item.key is None for item in first_only)
        out.warn(
            f"the secret key from {keys[0].source} (fingerprint {keys[0].fingerprint}) does not"
            f" open {len(first_only)} values of {location}"
            + (f"; {unopened} of them open with no key given" if len(keys) > 1 else "")
        )
        raise typer.Exit(SecretKeyError.exit_code)


def _document(location: str, keys: list[Key], found: list[Checked]) -> dict[str, Any]:
    return {
        "ok": all(item.key == 0 for item in found if item.is_known),
        "database": location,
        "keys": [
            {
                "fingerprint": key.fingerprint,
                "source": key.source,
                "opens": sum(item.key == place for item in found),
            }
            for place, key in enumerate(keys)
        ],
        "values": [
            {
                "table": item.table,
                "column": item.column,
                "row": dashed(item.row),
                "name": item.name,
                "known": item.is_known,
                "fingerprint": None if item.key is None else keys[item.key].fingerprint,
            }
            for item in found
        ],
    }


def _row(keys: list[Key], item: Checked) -> tuple[object, ...]:
    return (
        item.table,
        item.column,
        dashed(item.row),
        item.name,
        "known" if item.is_known else "stray",
        None if item.key is None else keys[item.key].fingerprint,
    )


def _show(out: Output, keys: list[Key], found: list[Checked]) -> None:
    places: dict[tuple[str, str], list[Checked]] = {}
    for item in found:
        places.setdefault((item.table, item.column), []).append(item)
    columns = [f"KEY {key.fingerprint}" for key in keys]
    rows = [
        (
            ".".join(place),
            *(str(sum(item.key == number for item in items)) for number in range(len(keys))),
            str(sum(item.key is None for item in items)),
        )
        for place, items in sorted(places.items())
    ]
    if rows:
        out.table(("COLUMN", *columns, "NOT OPENED"), rows)
    closed = [item for item in found if item.key is None]
    lines = [
        f"{'known' if item.is_known else 'stray'}  {item.table}.{item.column} of row"
        f" {dashed(item.row)}{f' ({item.name})' if item.name else ''} does not open"
        for item in closed[:50]
    ]
    if len(closed) > len(lines):
        lines.append(f"and {len(closed) - len(lines)} more")
    opened = sum(item.key == 0 for item in found)
    lines.append(f"the secret key from {keys[0].source} opens {opened} of {len(found)} values")
    out.sentence(*lines)
