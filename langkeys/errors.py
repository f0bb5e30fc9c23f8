"""The error tree: each class has one ``error.code`` for JSON and one exit code.

This module imports nothing else of langkeys. A message names the object and its file or database. A
hint names the next step. Neither ever contains a secret.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

MAX_CANDIDATES = 10
"""The maximum number of matches that an error lists."""

CHANGES_EXIT_CODE = 8
"""Not an error: ``plan`` and ``apply`` with ``--exit-code`` exit with it if there are changes."""


class LangkeysError(Exception):
    """Base of all expected errors.

    ``candidates`` are lines for stderr that help to choose between several matches.
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, hint: str | None = None, candidates: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.candidates = candidates


class FailedError(LangkeysError):
    """The command could not do what it was asked to do."""


class DeclinedError(LangkeysError):
    """The user answered no at a prompt."""

    code = "declined"


class UsageError(LangkeysError):
    """The command line is invalid."""

    code = "usage"
    exit_code = 2


class ConfigError(LangkeysError):
    """A setting is missing, invalid, or contradicts another."""

    code = "config"
    exit_code = 2


class UnsupportedError(LangkeysError):
    """The Langflow generation of the database does not support the request."""

    code = "unsupported"
    exit_code = 2


class NotFoundError(LangkeysError):
    """Nothing matches the request."""

    code = "not_found"
    exit_code = 3


class AmbiguousError(LangkeysError):
    """More than one object matches the request."""

    code = "ambiguous"
    exit_code = 3


class UnauthenticatedError(LangkeysError):
    """Nobody is authenticated: no password, a wrong one, or no such user."""

    code = "unauthenticated"
    exit_code = 4


class ForbiddenError(LangkeysError):
    """The acting user is not an active superuser."""

    code = "forbidden"
    exit_code = 4


class InvalidKeyError(LangkeysError):
    """The API key presented is not valid.

    ``reason`` is one of ``unknown``, ``expired``, ``inactive``, ``owner inactive``, ``duplicate``
    or ``refused by the server``; ``langkeys whoami`` also knows ``undecryptable``.
    """

    code = "invalid_key"
    exit_code = 4

    def __init__(self, message: str, *, reason: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class ConflictError(LangkeysError):
    """The object exists already, or the change would make the server unusable."""

    code = "conflict"
    exit_code = 5


class StoreError(LangkeysError):
    """The database cannot be opened, is locked, corrupt, read-only, or not Langflow's."""

    code = "store"
    exit_code = 6


class NoTablesError(StoreError):
    """The database exists but is empty: no Langflow server has created its tables yet."""


class LockedError(StoreError):
    """Another process has held a lock on the database for too long."""


class UnreadableRowError(StoreError):
    """A row cannot be read: a column has content that no server writes."""

    def __init__(
        self, location: str, *, table: str, row: str, name: str | None, column: str
    ) -> None:
        named = "" if name is None else f" ({name})"
        super().__init__(
            f"row {row}{named} of table {table} in {location} cannot be read: its"
            f" {column} is malformed",
            hint="fix or delete the row; langkeys doctor lists every such row",
        )
        self.table = table
        self.row = row
        self.column = column


class SecretKeyError(LangkeysError):
    """The secret key is missing or malformed, or cannot decrypt what is stored."""

    code = "secret_key"
    exit_code = 7


class InterruptedCommandError(LangkeysError):
    """The user pressed Ctrl-C."""

    code = "interrupted"
    exit_code = 130


class CommandNotRunError(FailedError):
    """The program exists but cannot be executed. The exit code is the one that shells use."""

    exit_code = 126


class CommandNotFoundError(FailedError):
    """The program does not exist. The exit code is the one that shells use."""

    exit_code = 127


def _tree(error: type[LangkeysError]) -> Iterator[type[LangkeysError]]:
    yield error
    for below in error.__subclasses__():
        yield from _tree(below)


EXIT_CODES: Mapping[str, int] = {
    "done": 0,
    "changes": CHANGES_EXIT_CODE,
    "command_not_run": CommandNotRunError.exit_code,
    "command_not_found": CommandNotFoundError.exit_code,
    **{error.code: error.exit_code for error in reversed([*_tree(LangkeysError)])},
}
"""The exit code for each ``error.code``; help texts use them."""

EXIT_CODE_MEANINGS: Mapping[int, str] = {
    0: "done",
    1: "failed, or the check said no (`doctor`, `--require-superuser`)",
    2: "bad usage, bad setting, or not supported by this Langflow version",
    3: "nothing matches, or more than one does",
    4: "not authenticated, not a superuser, or the given key is not valid",
    5: "already exists, or was revoked before",
    6: "the database: missing, locked, corrupt, read-only, not Langflow's",
    7: "the secret key: missing, malformed, or cannot decrypt the stored values",
    CHANGES_EXIT_CODE: "there are, or were, changes (`plan` and `apply` with `--exit-code` only)",
    126: "`run`: the program cannot be run",
    127: "`run`: there is no such program",
    130: "Ctrl-C",
}
"""The meaning of each exit code in Markdown, for ``docs/exit-codes.md`` and the man page."""
