"""``langkeys secret-key check``."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from langkeys.cli.invocation import session_of
from langkeys.cli.options import JsonCommand, invocation, new_app
from langkeys.cli.output import Head, Output, array_lines, tab_separated
from langkeys.cli.spool import Spool
from langkeys.errors import SecretKeyError
from langkeys.models import dashed
from langkeys.secret_key.reencryption import CheckedValue, check_values
from langkeys.sessions.secret_key import LoadedSecretKey, get_secret_key, read_secret_key
from langkeys.sessions.session import Access
from langkeys.text import counted

app = new_app()

MAX_NAMED = 50
"""The maximum number of undecryptable values that a terminal shows by name."""


@app.command(cls=JsonCommand)
def check(
    context: typer.Context,
    old_key_file: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Also try the key in FILE; repeatable."),
    ] = None,
) -> None:
    """Check that the secret key decrypts every encrypted value; exit {secret_key} if it does not.

    Tries every value in the columns where Langflow stores encrypted values, and every Fernet token
    anywhere else. The latter are reported but do not fail the check. With --old-key-file, the
    output shows which key decrypts which value. Read-only; needs no password. Piped columns: table,
    column, row, name, where (known or stray), the fingerprint of the key that decrypts it, or
    nothing.

    \b
    Examples:
      langkeys secret-key check
      langkeys secret-key check --old-key-file secret_key.old
      langkeys secret-key check --json | jq '.values[] | select(.fingerprint == null)'
    """
    out = invocation(context).output
    out.require_stdout()
    with session_of(context, access=Access.NOBODY) as session:
        keys = [get_secret_key(session)]
        keys += [read_secret_key(session, path) for path in old_key_file or ()]
        tally = _Tally(len(keys))
        location = session.store.location
        with Spool() as spool:
            with out.progress("reading", session.store.rows_to_pass()) as done:
                ciphers = [key.cipher for key in keys]
                found = tally.count_each(check_values(session.store, ciphers, done))
                if out.as_json:
                    spool.fill(array_lines(_object(keys, item) for item in found))
                elif out.is_terminal:
                    deque(found, maxlen=0)
                else:
                    spool.fill(tab_separated(_row(keys, item)) for item in found)
            if out.as_json:
                out.document_with_array(_head(location, keys, tally), "values", spool)
            elif out.is_terminal:
                _show(out, keys, tally)
            else:
                out.deliver(spool)
    if tally.not_by_first:
        undecryptable = tally.count(lambda is_expected, key: is_expected and key is None)
        out.warn(
            f"the secret key from {keys[0].source} (fingerprint {keys[0].fingerprint})"
            f" cannot decrypt {counted(tally.not_by_first, 'value')} in {location}"
            + (f"; no given key decrypts {undecryptable} of them" if len(keys) > 1 else "")
        )
        raise typer.Exit(SecretKeyError.exit_code)


class _Tally:
    """Counts values while they are read, because there may be a million of them."""

    def __init__(self, keys: int) -> None:
        self.by_column: Counter[tuple[str, str, bool, int | None]] = Counter()
        self.first_undecryptable: list[CheckedValue] = []
        self._keys = keys

    def count_each(self, values: Iterable[CheckedValue]) -> Iterator[CheckedValue]:
        """Yield the values and count them."""
        by_column = self.by_column
        for item in values:
            by_column[item.table, item.column, item.is_expected, item.key] += 1
            if item.key is None and len(self.first_undecryptable) < MAX_NAMED:
                self.first_undecryptable.append(item)
            yield item

    def count(self, wanted: Callable[[bool, int | None], bool]) -> int:
        """Count the values for which ``wanted(is_expected, key)`` is true."""
        return sum(
            number
            for (_, _, is_expected, key), number in self.by_column.items()
            if wanted(is_expected, key)
        )

    @property
    def decrypted_by(self) -> list[int]:
        """Return the number of values that each key decrypts."""
        counts = [0] * self._keys
        for (_, _, _, key), number in self.by_column.items():
            if key is not None:
                counts[key] += number
        return counts

    @property
    def not_by_first(self) -> int:
        """Return the number of expected values that the current key cannot decrypt."""
        return self.count(lambda is_expected, key: is_expected and key != 0)


def _head(location: str, keys: list[LoadedSecretKey], tally: _Tally) -> dict[str, Any]:
    return {
        "ok": not tally.not_by_first,
        "database": location,
        "keys": [
            {"fingerprint": key.fingerprint, "source": key.source, "opens": opens}
            for key, opens in zip(keys, tally.decrypted_by, strict=True)
        ],
    }


def _object(keys: list[LoadedSecretKey], item: CheckedValue) -> dict[str, Any]:
    return {
        "table": item.table,
        "column": item.column,
        "row": dashed(item.row),
        "name": item.name,
        "known": item.is_expected,
        "fingerprint": None if item.key is None else keys[item.key].fingerprint,
    }


def _row(keys: list[LoadedSecretKey], item: CheckedValue) -> tuple[object, ...]:
    return (
        item.table,
        item.column,
        dashed(item.row),
        item.name,
        "known" if item.is_expected else "stray",
        None if item.key is None else keys[item.key].fingerprint,
    )


def _show(out: Output, keys: list[LoadedSecretKey], tally: _Tally) -> None:
    columns: dict[tuple[str, str], Counter[int | None]] = {}
    for (table, column, _, key), number in tally.by_column.items():
        columns.setdefault((table, column), Counter())[key] += number
    rows = [
        (".".join(place), *(str(counts[number]) for number in (*range(len(keys)), None)))
        for place, counts in sorted(columns.items())
    ]
    titles = ("COLUMN", *(f"KEY {key.fingerprint}" for key in keys), "CANNOT DECRYPT")
    out.table([Head(title, is_kept=True) for title in titles], rows)
    lines = [
        f"{('known' if item.is_expected else 'stray')}  {item.table}.{item.column} of row"
        f" {dashed(item.row)}{(f' ({item.name})' if item.name else '')} cannot be"
        " decrypted"
        for item in tally.first_undecryptable
    ]
    undecryptable = tally.count(lambda _, key: key is None)
    if undecryptable > len(lines):
        lines.append(f"and {undecryptable - len(lines)} more")
    lines.append(
        f"the secret key from {keys[0].source} decrypts {tally.decrypted_by[0]} of"
        f" {counted(tally.by_column.total(), 'value')}"
    )
    out.sentence(*lines)
