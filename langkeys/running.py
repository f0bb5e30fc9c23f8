"""The environment of a program that is run with a user's Credentials."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langkeys.environment_names import steers
from langkeys.errors import NotFoundError, SecretKeyError, UsageError
from langkeys.models import CREDENTIAL, User
from langkeys.store.base import Store
from langkeys.variables import find_value, read_by_servers

if TYPE_CHECKING:
    from langkeys.crypto import Cipher


CLOSED = "the secret key does not open it"
"""A reason to leave a variable out."""


@dataclass(frozen=True)
class Prepared:
    """A whole environment, and what was left out of it: names by the reason, in words."""

    environment: Mapping[bytes, bytes] = field(repr=False)
    left_out: Mapping[str, Sequence[str]]


def prepared(
    store: Store,
    cipher: Callable[[], "Cipher"],
    owner: User,
    inherited: Mapping[str, str],
    only: Sequence[str],
) -> Prepared:
    """Put a user's Credentials over ``inherited``: all, or those that ``only`` names.

    Variables without a value are passed over. Raises NotFoundError where ``only`` names one that is
    not there, SecretKeyError where it names one that does not open, or where none opens.
    """
    # As bytes: values are UTF-8 whatever the locale is.
    environment = {os.fsencode(name): os.fsencode(value) for name, value in inherited.items()}
    left_out: dict[str, list[str]] = {}
    missing = dict.fromkeys(only)
    added = 0
    for variable in read_by_servers(store.variables(owner.id)):
        name = variable.name
        if variable.type != CREDENTIAL or (only and name not in missing):
            continue
        value = find_value(variable, cipher)
        if value == "":
            continue  # a server's placeholder
        refusal = _refusal(name, value, is_named=bool(only))
        if value is not None and refusal is None:
            environment[name.encode()] = value.encode()
            added += 1
            missing.pop(name, None)
        elif only:
            error = SecretKeyError if value is None else UsageError
            raise error(f"{name} of {store.location}: {refusal}; nothing was run")
        else:
            left_out.setdefault(str(refusal), []).append(name)
    if missing:
        raise NotFoundError(
            f"{owner.username} has no Credential {', '.join(missing)} with a value in"
            f" {store.location}; nothing was run",
            hint="langkeys variable list shows what there is",
        )
    closed = left_out.get(CLOSED, [])
    if closed and not added:
        raise SecretKeyError(
            f"the secret key opens none of the {len(closed)} Credentials of {owner.username} in"
            f" {store.location}; nothing was run",
            hint="use the secret key of the server that wrote them: LANGFLOW_SECRET_KEY, or the"
            " file secret_key in its config folder",
        )
    return Prepared(environment, left_out)


def _refusal(name: str, value: str | None, *, is_named: bool) -> str | None:
    """Say why a variable does not go into the environment, or None where it does."""
    if value is None:
        return CLOSED
    if not name or "=" in name or "\0" in name + value:
        return "no environment can hold it"
    if not is_named and steers(name):
        return "it would steer the loader or the shell (--only adds it)"
    return None
