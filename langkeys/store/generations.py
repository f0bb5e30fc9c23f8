"""The generations of Langflow: how to recognize each in a database, and how its servers behave.

Generations are told apart by their columns wherever these differ. Tables and the Alembic revision
are used only where columns do not differ: the table ``apikey`` has the same columns from 1.5 to
1.8. The facts were measured on live servers and read from the releases' migrations.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from langkeys.errors import StoreError, UnsupportedError


class Generation(NamedTuple):
    """What a server of one Langflow generation stores, accepts and does.

    ``release`` is the first Langflow release of the generation. ``note`` tells the operator how the
    generation was recognized, if that was uncertain, for example because of an unknown revision.
    """

    release: str
    encrypts_keys: bool
    """API keys are stored as Fernet tokens. Without this, servers reject such keys."""
    has_key_hash: bool
    has_key_expiry: bool
    honours_key_state: bool
    """Servers refuse inactive and expired keys."""
    honours_owner_state: bool
    """Every endpoint refuses the keys of an inactive owner, not only ``whoami``."""
    short_keys_by_prng: bool | None
    """Short secret keys (under 32 characters) use the old derivation.

    None if that depends on the release.
    """
    pads_always: bool
    """Servers append 1 to 4 = to a long secret key; a newline at its end then does no harm."""
    reads_old_short_keys: bool
    """Servers can decrypt values of the old derivation of a short secret key."""
    encrypts_generic: bool
    """Variables of type Generic are encrypted too."""
    auto_login_is_named: bool
    """AUTO_LOGIN logs in the user that LANGFLOW_SUPERUSER names; otherwise always ``langflow``."""
    deletes_default_superuser: bool
    """With AUTO_LOGIN=false, a start or stop deletes a user ``langflow`` that never logged in."""
    reads_env_key: bool
    """Servers support LANGFLOW_API_KEY_SOURCE=env."""
    auto_login_default: bool
    skip_auth_default: bool
    """The default of LANGFLOW_SKIP_AUTH_AUTO_LOGIN."""
    reads_skip_auth: bool
    """Servers support that setting; without it, AUTO_LOGIN=true means that no API key is needed."""
    open_mcp: bool
    """With AUTO_LOGIN=true, MCP endpoints need no API key, whatever SKIP_AUTH_AUTO_LOGIN is."""
    open_webhooks: bool
    """Webhooks need no API key unless WEBHOOK_AUTH_ENABLE is set."""
    has_environment_managed: bool
    """There is a column ``variable.is_environment_managed``."""
    keeps_set_variables: bool
    """A variable set by a user keeps its value at a start with another value in the environment."""
    tweak_is_a_name: bool
    """A tweak of a field that takes a variable is a variable's name, not a value."""
    falls_back: bool
    """A variable that is not stored is read from the environment, unless that is disabled."""
    undecryptable_falls_back: bool
    """So is a Credential that cannot be decrypted; otherwise it is empty or an error."""
    guards_environment: bool
    """Servers never read Langflow's own settings and known secrets from the environment."""
    revision: str | None = None
    note: str | None = None
    heads: tuple[str, ...] = ()
    """The Alembic heads of the generation's releases."""
    introduced: str | None = None
    """A column or table that it introduced; None if only its heads identify it."""
    delete_only: bool = False
    """langkeys reads such a database and deletes rows, but writes nothing else."""


_1_5 = Generation(
    release="1.5",
    heads=("d9a6ea21edcd",),
    encrypts_keys=False,
    has_key_hash=False,
    has_key_expiry=False,
    honours_key_state=False,
    honours_owner_state=False,
    short_keys_by_prng=True,
    pads_always=True,
    reads_old_short_keys=True,
    encrypts_generic=True,
    auto_login_is_named=False,
    deletes_default_superuser=True,
    reads_env_key=False,
    auto_login_default=True,
    skip_auth_default=True,
    reads_skip_auth=True,
    open_mcp=True,
    open_webhooks=True,
    has_environment_managed=False,
    keeps_set_variables=False,
    # From lfx.interface.initialize.loading, lfx.processing.process and, before 1.7, from langflow's
    # own code.
    tweak_is_a_name=True,
    falls_back=False,
    undecryptable_falls_back=False,
    guards_environment=False,
)


def _next(
    before: Generation,
    release: str,
    heads: tuple[str, ...],
    introduced: str | None = None,
    **changes: Any,
) -> Generation:
    """Return a generation that differs from the previous one only by ``changes``."""
    return before._replace(release=release, heads=heads, introduced=introduced, **changes)


_1_6 = _next(_1_5, "1.6", ("d37bc4322900",), skip_auth_default=False, falls_back=True)
# Only the wheel of 1.7.3 was seen to read LANGFLOW_API_KEY_SOURCE; assume it for all of 1.7.
_1_7 = _next(_1_6, "1.7", ("182e5471b900",), falls_back=False, reads_env_key=True)
_1_8 = _next(
    _1_7,
    "1.8",
    ("59a272d6669a",),
    introduced="sso_config",
    encrypts_keys=True,
    encrypts_generic=False,
    keeps_set_variables=True,
    tweak_is_a_name=False,
    falls_back=True,
)
_1_9 = _next(
    _1_8,
    "1.9",
    ("d306e5c17c41",),
    introduced="apikey.api_key_hash",
    has_key_hash=True,
    pads_always=False,
    open_webhooks=False,
)
# 1.10.0 and 1.10.1 have the same revision but different derivations of short secret keys.
_1_10_0 = _next(
    _1_9,
    "1.10.0",
    ("b7c4d8e9f012",),
    has_key_expiry=True,
    honours_key_state=True,
    short_keys_by_prng=None,
)
_1_10_2 = _next(
    _1_10_0,
    "1.10.2",
    ("e1705947c729", "d49cbced8696"),
    introduced="apikey.expires_at",
    short_keys_by_prng=False,
    reads_old_short_keys=False,
    auto_login_is_named=True,
)
_1_11 = _next(
    _1_10_2,
    "1.11",
    ("d19e7b3c5a42",),
    introduced="a2a_tasks",
    reads_old_short_keys=True,
    honours_owner_state=True,
    open_mcp=False,
    undecryptable_falls_back=True,
    guards_environment=True,  # So does 1.10.3, but its columns are those of 1.10.2.
)
_1_12_0 = _next(_1_11, "1.12.0", ("c6d8e0f2a4b7",))
_1_12_1 = _next(
    _1_12_0,
    "1.12.1",
    ("d7e9f1a3b5c8", "a1b2c9d3e4f5", "386662af02e9"),
    introduced="variable.is_environment_managed",
    has_environment_managed=True,
)
_1_13 = _next(
    _1_12_1,
    "1.13",
    ("e5a7c9b1d3f2",),
    introduced="user.retired_at",
    deletes_default_superuser=False,
    auto_login_default=False,
)

GENERATIONS = (
    _1_5, _1_6, _1_7, _1_8, _1_9, _1_10_0, _1_10_2, _1_11, _1_12_0, _1_12_1, _1_13,
)  # fmt: skip
"""All generations, oldest first. Each covers the releases up to the next one."""

NEWEST = GENERATIONS[-1]

# The heads of the last releases before 1.5. They look up an API key by its row alone, as 1.5 does.
# This was seen on a live 1.4.3 and read in the wheels of the other releases.
_BEFORE_1_5: Mapping[str, str] = {
    "5ace73a7f223": "1.0",
    "1eab2c3eb45e": "1.1",
    "dd9e0804ebd1": "1.2",
    "1b8b740a6fa3": "1.3",
    "66f72f04a1de": "1.4",
}

MIGRATION_TABLE = "_alembic_tmp_"
"""The prefix of the temporary tables that a migration uses to rewrite another table."""

REQUIRED_COLUMNS: Mapping[str, frozenset[str]] = {
    "user": frozenset(
        ("id", "username", "password", "is_active", "is_superuser", "create_at", "updated_at")
    ),
    "apikey": frozenset(
        (
            "id",
            "name",
            "last_used_at",
            "total_uses",
            "is_active",
            "created_at",
            "api_key",
            "user_id",
        )
    ),
    "variable": frozenset(("id", "name", "value", "type", "created_at", "updated_at", "user_id")),
}
"""The columns of each table that identify a Langflow database; every generation has them."""


def unfinished_tables(tables: Iterable[str]) -> list[str]:
    """Return the temporary tables that an unfinished migration has left."""
    return sorted(table for table in tables if table.startswith(MIGRATION_TABLE))


def schema_problems(
    columns: Mapping[str, frozenset[str]], revisions: Sequence[str], generation: Generation
) -> list[str]:
    """Describe problems of the tables and revisions; the sentences do not name the database.

    ``revisions`` are the rows of ``alembic_version``; empty if the table does not exist.
    """
    problems = [
        f"table {table} is left from an unfinished migration of Langflow"
        for table in unfinished_tables(columns)
    ]
    if "alembic_version" in columns and len(revisions) != 1:
        named = f" ({', '.join(sorted(revisions))})" if revisions else ""
        problems.append(
            f"alembic_version has {len(revisions)} rows{named} instead of one: a"
            " migration of Langflow is unfinished; treated as Langflow"
            f" {generation.release}"
        )
    elif revisions and _find_by_head(revisions[0]) and generation.note is not None:
        problems.append(generation.note)
    return problems


def get_generation(
    columns: Mapping[str, frozenset[str]], revision: str | None, location: str
) -> Generation:
    """Return the generation of a database with these columns (by table) and this Alembic revision.

    ``revision`` is None if ``alembic_version`` does not exist (as after ``langkeys init``) or does
    not have exactly one row. ``location`` names the database in errors. Raises StoreError if it is
    not a Langflow database, UnsupportedError if its columns and revision match no known generation.
    """
    for table, required in REQUIRED_COLUMNS.items():
        missing = required - columns.get(table, frozenset())
        if missing:
            what = "table" if table not in columns else "column"
            names = table if table not in columns else f"{table}.{sorted(missing)[0]}"
            if left := unfinished_tables(columns):
                raise StoreError(
                    f"{location} has no {what} {names}, and {', '.join(left)} from an"
                    " unfinished migration of Langflow",
                    hint="restore the copy from before the upgrade, or let the server finish it",
                )
            raise StoreError(
                f"{location} is not a Langflow database: it has no {what} {names}",
                hint="specify the right one with --database or LANGFLOW_DATABASE_URL",
            )
    by_columns = _by_columns(columns)
    known = _find_by_head(revision)
    if known is not None and _fits(known, columns):
        return known._replace(revision=revision)
    if by_columns is None and revision is not None and revision in _BEFORE_1_5:
        return _before_1_5(_BEFORE_1_5[revision], revision)
    if by_columns is None:
        raise UnsupportedError(
            f"{location} has an unknown Langflow version older than 1.8 (revision"
            f" {revision or 'none'})",
            hint=f"langkeys supports Langflow {GENERATIONS[0].release} to"
            f" {GENERATIONS[-1].release}; upgrade Langflow and start it once",
        )
    if revision is None:
        # The database was created by ``langkeys init``; its generation must not change when
        # langkeys learns a newer one.
        return by_columns
    if known is not None:
        return by_columns._replace(
            revision=revision,
            note=f"revision {revision} is that of Langflow {known.release}, but the"
            " columns differ: a migration of Langflow is unfinished; treated as"
            f" Langflow {by_columns.release}",
        )
    later = GENERATIONS[GENERATIONS.index(by_columns) + 1 :]
    is_newest = not any(one.introduced for one in later)
    treated = GENERATIONS[-1] if is_newest else by_columns
    return treated._replace(
        revision=revision,
        note=f"revision {revision} is unknown to this langkeys; treated as Langflow "
        f"{treated.release}{' or newer' if is_newest else ', by its columns'}",
    )


def _before_1_5(release: str, revision: str) -> Generation:
    return _1_5._replace(
        release=release,
        heads=(revision,),
        revision=revision,
        reads_skip_auth=False,
        delete_only=True,
        note=f"Langflow {release}: langkeys only reads, revokes and deletes here",
    )


def unsupported_write_error(generation: Generation, location: str) -> UnsupportedError:
    """Return the error for a write to a database whose generation is ``delete_only``."""
    return UnsupportedError(
        f"{location} is a database of Langflow {generation.release}, where langkeys"
        " only reads, revokes and deletes; nothing was written",
        hint=f"upgrade Langflow to {_1_5.release} or later and start it once",
    )


def require_writable(generation: Generation, location: str) -> None:
    """Raise UnsupportedError if langkeys does not write to this generation."""
    if generation.delete_only:
        raise unsupported_write_error(generation, location)


def _find_by_head(revision: str | None) -> Generation | None:
    return next((one for one in GENERATIONS if revision in one.heads), None)


def _fits(generation: Generation, columns: Mapping[str, frozenset[str]]) -> bool:
    return (
        generation.has_key_hash == ("api_key_hash" in columns["apikey"])
        and generation.has_key_expiry == ("expires_at" in columns["apikey"])
        and generation.has_environment_managed == ("is_environment_managed" in columns["variable"])
        and (generation is not NEWEST or "retired_at" in columns["user"])
    )


def _by_columns(columns: Mapping[str, frozenset[str]]) -> Generation | None:
    """Return the generation that tables and columns identify; None before 1.8.

    A missing column ends the search. A missing table does not: ``langkeys init`` creates only the
    tables of users, API keys and variables.
    """
    found = None
    for generation in GENERATIONS:
        if generation.introduced is None:
            continue
        table, _, column = generation.introduced.partition(".")
        if column in columns.get(table, ()) or (not column and table in columns):
            found = generation
        elif column:
            break
    return found
