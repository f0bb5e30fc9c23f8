"""Explain which value of a variable a server uses, and why.

Langflow's order is: a tweak of the run, the stored variable, the server's environment, nothing.
This comes from ``lfx.interface.initialize.loading`` and ``langflow.services.variable.service``, and
was measured on live servers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langkeys.config.settings import Settings
from langkeys.models import CREDENTIAL, GENERIC, User, Variable
from langkeys.store.generations import Generation
from langkeys.store.protocol import Store
from langkeys.variables import lifecycle as variables
from langkeys.variables.environment_names import imported_names, is_guarded

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

ORDER = ("tweak", "stored", "environment", "none")
"""The possible sources; the first with a usable value wins."""


@dataclass(frozen=True)
class Explanation:
    """The sources of a variable's value, and which of them wins.

    ``rows`` are the owner's stored variables with that name; a server uses the first. ``wins`` and
    ``hides`` are from ``ORDER``. ``environment`` says where langkeys finds a value in its own
    environment; a server elsewhere may have another value. ``can_decrypt``, ``has_value`` and
    ``is_kept`` (at the server's next start and the user's next login) describe the first row; they
    are None if there is none. ``is_imported``: servers copy this variable from their environment.
    ``no_fallback`` says why the server does not use its environment's value: ``setting``,
    ``generation`` or ``guarded``; None if it does.
    """

    name: str
    owner: User
    generation: Generation
    wins: str
    hides: tuple[str, ...]
    rows: Sequence[Variable]
    can_decrypt: bool | None
    has_value: bool | None
    is_kept: bool | None
    is_imported: bool
    environment: str | None
    no_fallback: str | None

    @property
    def stored(self) -> Variable | None:
        """The stored variable that a server uses."""
        return self.rows[0] if self.rows else None


def explain(
    store: Store,
    settings: Settings,
    cipher: Callable[[], "Cipher"],
    owner: User,
    name: str,
    *,
    has_tweak: bool,
) -> Explanation:
    """Return which value of ``name`` a server uses for the user ``owner``."""
    generation = store.generation
    rows = store.variables_named([name], owner.id)
    environment = _environment(settings, name)
    no_fallback = _no_fallback(settings, generation, name)
    is_imported = bool(settings.flag("LANGFLOW_STORE_ENVIRONMENT_VARIABLES")) and (
        name in imported_names(settings)
    )
    stored = rows[0] if rows else None
    can_decrypt = has_value = kept = None
    if stored is not None:
        value = variables.find_value(stored, cipher)
        can_decrypt, has_value = value is not None, value != ""
        kept = not is_imported or is_kept(stored, generation)
    # If a stored token cannot be decrypted, older servers do not fall back to the environment.
    falls_back = no_fallback is None and (
        stored is None or not stored.is_encrypted or generation.undecryptable_falls_back
    )
    is_used = {
        "tweak": has_tweak,
        "stored": stored is not None
        and (bool(can_decrypt and has_value) or is_raw(stored, generation)),
        "environment": environment is not None and falls_back,
    }
    is_there = {"stored": stored is not None, "environment": environment is not None}
    winner = next((which for which in ORDER if is_used.get(which)), "none")
    return Explanation(
        name=name,
        owner=owner,
        generation=generation,
        wins=winner,
        hides=tuple(which for which in ORDER[ORDER.index(winner) + 1 :] if is_there.get(which)),
        rows=rows,
        can_decrypt=can_decrypt,
        has_value=has_value,
        is_kept=kept,
        is_imported=is_imported,
        environment=environment,
        no_fallback=no_fallback,
    )


def is_raw(variable: Variable, generation: Generation) -> bool:
    """Tell whether a server uses the Fernet token itself as the value.

    From 1.8 on, servers do not decrypt Generic values, but an older value may still be encrypted.
    """
    return variable.is_encrypted and variable.type != CREDENTIAL and not generation.encrypts_generic


def is_kept(variable: Variable, generation: Generation) -> bool:
    """Tell whether a server keeps a stored value if its environment has a different one.

    It compares the two values at its start and at the user's login.
    """
    if not generation.keeps_set_variables:
        return False
    changed = (
        variable.created_at is not None
        and variable.updated_at is not None
        and variable.updated_at > variable.created_at
    )
    if not generation.has_environment_managed:
        return changed
    if variable.type == GENERIC or variable.is_environment_managed is not True:
        # If the origin of a row is unknown (None), a server only marks it as environment-managed,
        # and only if both values are equal.
        return True
    return variable.created_at is None or variable.updated_at != variable.created_at


def _environment(settings: Settings, name: str) -> str | None:
    if settings.environ.get(name):
        return "this environment"
    return str(settings.env_file) if settings.env_file_values.get(name) else None


def _no_fallback(settings: Settings, generation: Generation, name: str) -> str | None:
    if not generation.falls_back:
        return "generation"
    if not settings.flag("LANGFLOW_FALLBACK_TO_ENV_VAR"):
        return "setting"
    return "guarded" if generation.guards_environment and is_guarded(name) else None
