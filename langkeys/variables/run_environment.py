"""Build the environment of a program that runs with a user's Credentials."""

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langkeys.errors import NotFoundError, SecretKeyError, UsageError
from langkeys.models import CREDENTIAL, User
from langkeys.store.protocol import Store
from langkeys.variables.environment_names import is_credential
from langkeys.variables.lifecycle import find_value, read_by_servers

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher


CANNOT_DECRYPT = "it cannot be decrypted"
"""A reason to omit a variable."""

NOT_CREDENTIAL_LIKE = "the name is not credential-like, or controls how programs run"
"""A reason to omit a variable; see ``langkeys.variables.environment_names.is_credential``."""

_OWN_SECRETS = ("LANGKEYS_API_KEY", "LANGFLOW_SUPERUSER_PASSWORD", "LANGFLOW_SECRET_KEY")
_UNPREFIXED_SECRETS = ("SECRET_KEY", "SUPERUSER_PASSWORD")


@dataclass(frozen=True)
class RunEnvironment:
    """A complete environment, and the names that were omitted, by reason."""

    environment: Mapping[bytes, bytes] = field(repr=False)
    left_out: Mapping[str, Sequence[str]]


def without_own_secrets(inherited: Mapping[str, str], values: Iterable[str]) -> dict[str, str]:
    """Return an environment without the secrets that langkeys itself uses.

    Their names are removed in any case, with or without ``_FILE``. ``SECRET_KEY`` and
    ``SUPERUSER_PASSWORD``, which servers read too, may belong to another program. So they are
    removed only if their value is in ``values``.
    """
    own = frozenset(values)
    kept = {}
    for name, value in inherited.items():
        bare = name.upper().removesuffix("_FILE")
        if bare in _OWN_SECRETS or (bare in _UNPREFIXED_SECRETS and value in own):
            continue
        kept[name] = value
    return kept


def run_environment(
    store: Store,
    cipher: Callable[[], "Cipher"],
    owner: User,
    inherited: Mapping[str, str],
    only: Sequence[str],
) -> RunEnvironment:
    """Return ``inherited`` with a user's Credentials added: those that ``only`` names.

    Without ``only``, these are the Credentials whose names have the form of a credential. Variables
    without a value are skipped. Raises NotFoundError if a name in ``only`` does not exist. Raises
    SecretKeyError if the value of a name in ``only`` cannot be decrypted, or if no value can.
    """
    # Use bytes, because the values are UTF-8 in every locale.
    environment = {os.fsencode(name): os.fsencode(value) for name, value in inherited.items()}
    left_out: dict[str, list[str]] = {}
    missing = dict.fromkeys(only)
    opens_one = False
    for variable in read_by_servers(store.variables(owner.id)):
        name = variable.name
        if variable.type != CREDENTIAL or (only and name not in missing):
            continue
        value = find_value(variable, cipher)
        if value == "":
            continue  # a placeholder that a server created
        opens_one = opens_one or value is not None
        refusal = _refusal(name, value, is_named=bool(only))
        if value is not None and refusal is None:
            environment[name.encode()] = value.encode()
            missing.pop(name, None)
        elif only:
            error = SecretKeyError if value is None else UsageError
            raise error(f"{name} in {store.location}: {refusal}; nothing was run")
        else:
            left_out.setdefault(str(refusal), []).append(name)
    if missing:
        raise NotFoundError(
            f"{owner.username} has no Credential {', '.join(missing)} with a value in"
            f" {store.location}; nothing was run",
            hint="to see the variables: langkeys variable list",
        )
    closed = left_out.get(CANNOT_DECRYPT, [])
    if closed and not opens_one:
        raise SecretKeyError(
            f"the secret key decrypts none of the {len(closed)} Credentials of"
            f" {owner.username} in {store.location}; nothing was run",
            hint="use the secret key of the server that wrote them: LANGFLOW_SECRET_KEY, or the"
            " file secret_key in its config folder",
        )
    return RunEnvironment(environment, left_out)


def _refusal(name: str, value: str | None, *, is_named: bool) -> str | None:
    """Return why a variable is omitted from the environment, or None."""
    if value is None:
        return CANNOT_DECRYPT
    if not name or "=" in name or "\0" in name + value:
        return "it cannot be an environment variable"
    if not is_named and not is_credential(name):
        return NOT_CREDENTIAL_LIKE
    return None


def left_out_message(reason: str, names: Sequence[str]) -> str:
    """Return a message about omitted variables, with the options that include them."""
    said = f"left out {', '.join(names)}: {reason}"
    if reason != NOT_CREDENTIAL_LIKE:
        return said
    options = " ".join(f"--only {shlex.quote(name)}" for name in names)
    return (
        f"{said}; to include them: {options} (with --only, list every other variable you need too)"
    )
