"""What langkeys can do over REST, depending on the server's version; the docs show this table."""

from typing import NamedTuple

from langkeys.errors import UnsupportedError

YES, OWN, ANY, OWN_AND_ANY = "yes", "own", "key", "own, key"
NEW, PART, NO = "new", "part", "-"
"""The values of a cell.

``own``: only for objects of the acting API key's user. ``new``: only for objects that the command
itself creates. ``key``: for any API key that is given in full on stdin. ``part``: only what is
visible from outside.
"""

VERSIONS = ("1.5 to 1.7", "1.8, 1.9", "1.10 to 1.12", "1.13")
"""The columns of the table; the last one also holds for newer servers."""

_FIRST = ((1, 5), (1, 8), (1, 10), (1, 13))


class Ability(NamedTuple):
    """A row of the table: a command or option, and how each version supports it.

    ``why`` says what a server without support would do, ``hint`` what the user can do instead.
    """

    name: str
    cells: tuple[str, str, str, str]
    why: str = ""
    hint: str | None = None
    note: str = ""


def _all(name: str, cell: str, note: str = "") -> Ability:
    return Ability(name, (cell,) * 4, note=note)


def _none(name: str, why: str, hint: str | None = None, note: str = "") -> Ability:
    return Ability(name, (NO,) * 4, why, hint, note)


_ON_DATABASE = "use langkeys on the server's database"

ABILITIES = (
    _all("whoami", ANY, "the server counts one use of the key"),
    _all("api-key create", OWN, "`--count`: one request each"),
    Ability(
        "api-key create --expires",
        (NO, NO, YES, YES),
        "it silently drops the expiry, and the key would work forever",
        "create the key without --expires, and revoke it in time",
        "older servers silently drop it: refused before the request",
    ),
    _none(
        "api-key create --user",
        "a key made over REST belongs to the user of the acting key",
        "use an API key of that user",
    ),
    _all("api-key list", OWN, "`at_rest` is not known"),
    _none(
        "api-key list --all-users",
        "it only lists the keys of the acting user",
        "use an API key of that user",
        "nor `--user`",
    ),
    _all("api-key show", OWN),
    _all("api-key revoke", OWN_AND_ANY, "up to 1.7 servers delete anybody's; langkeys does not"),
    _all("api-key rotate", OWN_AND_ANY),
    Ability(
        "api-key rotate --expires",
        (NO, NO, YES, YES),
        "it silently drops the expiry, and the key would work forever",
        "rotate without --expires",
    ),
    _none(
        "api-key rotate --grace",
        "no server lets an API key's expiry be changed",
        "rotate --keep-old, and revoke the old key later by its id",
        "`--keep-old` takes its place",
    ),
    _all("api-key prune", OWN, "never the acting key"),
    _all("variable set", OWN, "a Credential cannot be read back"),
    Ability(
        "variable set --type",
        (NEW, OWN, OWN, OWN),
        "it silently drops a new type for an existing variable",
        "delete the variable, then set it again with --type",
        "older servers silently drop it for existing variables: refused before the request",
    ),
    _all("variable import", OWN, "one by one, not all or none"),
    _all("variable list", OWN),
    _all("variable delete", OWN),
    _none(
        "variable --user",
        "it only shows the variables of the acting user",
        "use an API key of that user",
        "nor `--all-users`",
    ),
    _all("user list", YES, "no counts of keys and variables"),
    _all("user show", YES),
    _all("user create", YES, "two requests: servers create inactive users"),
    _all("user activate", YES),
    _all(
        "user deactivate",
        YES,
        "the last superuser is protected, except from changes at the same moment",
    ),
    _none(
        "user deactivate --revoke-keys",
        "only one's own keys can be revoked",
        "deactivate the user: since 1.11 that also disables their keys",
    ),
    _all("user promote", YES),
    _all("user demote", YES, "as `user deactivate`"),
    _all("user set-password", YES, "not tested by a login, which would be a write"),
    _all("doctor", PART, "not: ciphertexts, secret key, file modes, sign-up"),
)

_BY_NAME = {ability.name: ability for ability in ABILITIES}


def require_anywhere(name: str) -> None:
    """Raise UnsupportedError if no version of the server supports this over REST.

    This sends no request.
    """
    ability = _BY_NAME[name]
    if set(ability.cells) == {NO}:
        raise UnsupportedError(
            f"Langflow does not support {name} over REST: {ability.why}",
            hint=ability.hint or _ON_DATABASE,
        )


class Version(NamedTuple):
    """A server's version, numbered as Langflow releases: 1.11 for ``langflow-base`` 0.11."""

    major: int
    minor: int
    text: str

    @property
    def column(self) -> int:
        """The column of this server; the first column for an older server."""
        return max(sum((self.major, self.minor) >= first for first in _FIRST) - 1, 0)

    @property
    def is_known(self) -> bool:
        """Whether this version is at least the oldest one that langkeys was tested with."""
        return (self.major, self.minor) >= _FIRST[0]

    def cell(self, name: str) -> str:
        """Return the cell of an ability for this server."""
        return _BY_NAME[name].cells[self.column]

    def require(self, name: str, *, is_new: bool = True) -> None:
        """Raise UnsupportedError if a server of this version does not support an ability.

        ``is_new``: the command itself creates the object.
        """
        ability = _BY_NAME[name]
        if self.cell(name) == NO or (self.cell(name) == NEW and not is_new):
            raise UnsupportedError(
                f"Langflow {self.text} does not support {name} over REST: {ability.why}",
                hint=ability.hint or _ON_DATABASE,
            )


def table_lines() -> list[str]:
    """Return the table in Markdown, for docs/rest.md."""
    lines = [f"| command | {' | '.join(VERSIONS)} | note |", "|" + "---|" * (len(VERSIONS) + 2)]
    lines += [f"| `{a.name}` | {' | '.join(a.cells)} | {a.note} |" for a in ABILITIES]
    return lines
