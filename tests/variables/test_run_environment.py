from __future__ import annotations

from collections.abc import Sequence

import pytest

from langkeys.config.known_settings import KNOWN
from langkeys.errors import NotFoundError, SecretKeyError, UsageError
from langkeys.store.protocol import Store
from langkeys.variables.run_environment import (
    CANNOT_DECRYPT,
    NOT_CREDENTIAL_LIKE,
    RunEnvironment,
    left_out_message,
    run_environment,
    without_own_secrets,
)

from ..conftest import SUPERUSER
from ..support import variable_rows
from ..support.databases import Database
from ..support.samples import CREDENTIAL, OTHER_SECRET_KEY, encrypted
from ..support.stores import cipher

CYRILLIC = "\u041eK_KEY"
INHERITED = {"HOME": "/home", "TOKEN": "inherited"}


def prepare(store: Store, *only: str) -> RunEnvironment:
    owner = store.find_user_named(SUPERUSER)
    assert owner is not None
    return run_environment(store, cipher, owner, INHERITED, only)


def added(made: RunEnvironment) -> dict[bytes, bytes]:
    inherited = {name.encode(): value.encode() for name, value in INHERITED.items()}
    assert inherited.keys() <= made.environment.keys()
    return {name: value for name, value in made.environment.items() if inherited.get(name) != value}


def set_variables(
    database: Database, owner: str, names: Sequence[str], value: str = CREDENTIAL
) -> None:
    for name in names:
        variable_rows.add(database, owner, name, value)


def test_credentials_go_over_what_is_inherited(
    store: Store, database: Database, superuser: str
) -> None:
    set_variables(database, superuser, ["TOKEN", "MY_KEY"], "é\n")
    variable_rows.add(database, superuser, "GENERIC", "x", "Generic")
    set_variables(database, database.add_user("alice"), ["HERS"])
    made = prepare(store)
    assert added(made) == {b"TOKEN": "é\n".encode(), b"MY_KEY": "é\n".encode()}
    assert made.environment[b"HOME"] == b"/home"
    assert made.left_out == {}


def test_a_prepared_environment_shows_no_value(
    store: Store, database: Database, superuser: str
) -> None:
    set_variables(database, superuser, ["TOKEN"])
    assert CREDENTIAL not in repr(prepare(store))


def test_what_steers_or_does_not_fit_or_does_not_open_is_left_out_by_reason(
    store: Store, database: Database, superuser: str
) -> None:
    set_variables(database, superuser, ["OK_KEY", "PATH", "LD_TOKEN", "URL", CYRILLIC, "a=b", ""])
    set_variables(database, superuser, ["NUL_KEY"], "a\0b")
    token = encrypted("x", OTHER_SECRET_KEY)
    variable_rows.add(database, superuser, "CANNOT_DECRYPT", token, is_encrypted=False)
    made = prepare(store)
    assert list(added(made)) == [b"OK_KEY"]
    assert sorted(made.left_out.values()) == [
        ["CANNOT_DECRYPT"],
        ["PATH", "LD_TOKEN", "URL", CYRILLIC],
        ["a=b", "", "NUL_KEY"],
    ]
    assert made.left_out[CANNOT_DECRYPT] == ["CANNOT_DECRYPT"]
    assert made.left_out[NOT_CREDENTIAL_LIKE] == ["PATH", "LD_TOKEN", "URL", CYRILLIC]


def test_what_is_left_out_by_its_name_alone_is_said_with_the_options_that_take_it() -> None:
    said = left_out_message(NOT_CREDENTIAL_LIKE, ["PATH", "MY KEY", "$(id)"])
    assert "--only PATH --only 'MY KEY' --only '$(id)'" in said
    assert "--only" not in left_out_message(CANNOT_DECRYPT, ["A"])


def test_where_all_is_left_out_by_its_name_the_secret_key_is_not_to_blame(
    store: Store, database: Database, superuser: str
) -> None:
    set_variables(database, superuser, ["PATH"])
    token = encrypted("x", OTHER_SECRET_KEY)
    variable_rows.add(database, superuser, "CANNOT_DECRYPT", token, is_encrypted=False)
    made = prepare(store)
    assert added(made) == {}
    assert made.left_out == {NOT_CREDENTIAL_LIKE: ["PATH"], CANNOT_DECRYPT: ["CANNOT_DECRYPT"]}


@pytest.mark.parametrize(
    "name",
    [
        "LANGKEYS_API_KEY", "LANGFLOW_SUPERUSER_PASSWORD", "LANGFLOW_SECRET_KEY",
        "langflow_secret_key", "Langkeys_Api_Key_File", "LANGFLOW_SECRET_KEY_FILE",
    ],
)  # fmt: skip
def test_langkeys_own_secrets_are_not_handed_on(name: str) -> None:
    assert without_own_secrets({name: "x", "HOME": "/"}, []) == {"HOME": "/"}


def test_no_setting_with_a_secret_is_handed_on_but_the_key_for_the_server() -> None:
    secret = {name for name, setting in KNOWN.items() if setting.kind == "secret"}
    assert "LANGFLOW_SECRET_KEY" in secret
    assert [*without_own_secrets(dict.fromkeys(secret, "x"), [])] == ["LANGFLOW_API_KEY"]


@pytest.mark.parametrize("name", ["SECRET_KEY", "SUPERUSER_PASSWORD", "secret_key"])
def test_another_programs_secret_of_an_unprefixed_name_stays(name: str) -> None:
    assert without_own_secrets({name: "the-key"}, ["the-key"]) == {}
    assert without_own_secrets({name: "another"}, ["the-key"]) == {name: "another"}


def test_the_key_that_programs_ask_a_server_with_is_handed_on() -> None:
    inherited = {"LANGFLOW_API_KEY": "x", "LANGFLOW_URL": "y", "LANGKEYS_ENV_FILE": "z"}
    assert without_own_secrets(inherited, ["x"]) == inherited


def test_only_adds_what_it_names_and_nothing_else(
    store: Store, database: Database, superuser: str
) -> None:
    set_variables(database, superuser, ["A", "B", "PATH"])
    made = prepare(store, "PATH", "A")
    assert set(added(made)) == {b"A", b"PATH"}
    assert made.left_out == {}


def test_only_takes_no_name_that_is_no_credential_with_a_value(
    store: Store, database: Database, superuser: str
) -> None:
    set_variables(database, superuser, ["A"])
    set_variables(database, superuser, ["EMPTY"], "")
    variable_rows.add(database, superuser, "GENERIC", "x", "Generic")
    for name in ("MISSING", "GENERIC", "EMPTY", "a"):
        with pytest.raises(NotFoundError, match=name):
            prepare(store, "A", name)


def test_only_raises_where_its_name_cannot_be_added(
    store: Store, database: Database, superuser: str
) -> None:
    token = encrypted("x", OTHER_SECRET_KEY)
    set_variables(database, superuser, ["OK", "a=b"])
    variable_rows.add(database, superuser, "CANNOT_DECRYPT", token, is_encrypted=False)
    with pytest.raises(SecretKeyError, match="CANNOT_DECRYPT"):
        prepare(store, "OK", "CANNOT_DECRYPT")
    with pytest.raises(UsageError, match="a=b"):
        prepare(store, "a=b")


def test_where_nothing_opens_nothing_is_run(
    store: Store, database: Database, superuser: str
) -> None:
    token = encrypted("x", OTHER_SECRET_KEY)
    variable_rows.add(database, superuser, "CANNOT_DECRYPT", token, is_encrypted=False)
    with pytest.raises(SecretKeyError):
        prepare(store)


def test_a_servers_placeholders_are_passed_over_and_its_first_row_counts(
    store: Store, database: Database, superuser: str
) -> None:
    # FLOW_ID as servers create it: a Generic variable and a Credential, both without a value.
    variable_rows.add(database, superuser, "FLOW_ID", "", "Generic")
    set_variables(database, superuser, ["FLOW_ID", "ASTRA_TOKEN"], "")
    set_variables(database, superuser, ["TWICE_KEY"], "first")
    set_variables(database, superuser, ["TWICE_KEY"], "second")
    made = prepare(store)
    assert added(made) == {b"TWICE_KEY": b"first"}
    assert made.left_out == {}
