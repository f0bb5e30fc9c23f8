"""apply and users: passwords, protected users, complete lists, every user, and waiting."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from ..conftest import SUPERUSER
from ..support import databases
from ..support.manifests import Declared
from ..support.samples import CREDENTIAL, PASSWORD, SECRET_KEY
from ..support.sites import Site
from ..support.variable_rows import add, get_row, rows


@pytest.fixture
def declared(site: Site) -> Declared:
    return Declared(site)


def logs_in(declared: Declared, username: str, password: str) -> bool:
    settings = {
        "LANGFLOW_AUTO_LOGIN": "false",
        "LANGFLOW_SUPERUSER": username,
        "LANGFLOW_SUPERUSER_PASSWORD": password,
    }
    return declared.site.call("whoami", **settings).code == 0


def test_a_password_is_set_when_the_account_is_made_and_not_again(declared: Declared) -> None:
    declared.write("users: {alice: {password_from: {file: p}}}", p="first password\n")
    declared.apply().done()
    assert logs_in(declared, "alice", "first password")
    (declared.site.folder / "p").write_text("second password")
    declared.assert_up_to_date()
    declared.write("users: {alice: {password_from: {file: p}, set_password: always}}")
    result = declared.apply().done()
    assert result.rows[0][:5] == ["change", "user", "alice", "alice", "password"]
    assert "second" not in result.stdout + result.stderr
    assert logs_in(declared, "alice", "second password")
    before = declared.database.content()
    declared.apply().done()
    assert declared.database.content() == before


def test_a_generated_password_is_that_of_its_file(declared: Declared) -> None:
    declared.write("users: {alice: {password_to: {file: out/p}, set_password: always}}")
    (declared.site.folder / "out/p").write_text("\n")  # counts as an empty file
    declared.apply().done()
    assert logs_in(declared, "alice", declared.out("p"))
    declared.assert_up_to_date()
    (declared.site.folder / "out/p").write_text("left by a run that died\n")
    declared.apply().done()
    assert logs_in(declared, "alice", "left by a run that died")
    (declared.site.folder / "out/p").unlink()
    declared.apply().done()
    assert logs_in(declared, "alice", declared.out("p"))


def test_a_password_that_is_refused_is_never_shown(declared: Declared) -> None:
    declared.write("users: {alice: {password_from: {file: p}}}", p="two\nlines-of-it")
    result = declared.apply().failed(2, "password_from", "control character")
    assert "lines-of-it" not in result.stderr


@pytest.mark.parametrize("state", ["is_active: false", "is_superuser: false"])
def test_protected_users_stay_as_they_are(declared: Declared, state: str) -> None:
    declared.write(f"users: {{{SUPERUSER}: {{{state}}}}}")
    declared.apply().failed(5, "LANGFLOW_SUPERUSER names")
    other = declared.database.add_user("other")
    acting = declared.database.add_key(other, "acting").plaintext
    settings = {"LANGKEYS_API_KEY": acting, "LANGFLOW_AUTO_LOGIN": "false"}
    declared.write(f"users: {{other: {{{state}}}}}")
    declared.apply(**settings).failed(5, "langkeys acts as")


def test_a_complete_list_of_users_deactivates_and_never_deletes(declared: Declared) -> None:
    for name in ("alice", "bob", "carol"):
        declared.database.add_user(name, is_superuser=False)
    declared.write("complete: [users]\nusers: {alice: {}}")
    found = json.loads(declared.plan("--json").done().stdout)
    assert [user["name"] for user in found["not_listed"]] == ["bob", "carol"]
    assert any(SUPERUSER in warning for warning in found["warnings"])
    declared.apply("--prune").done()
    active = declared.database.rows("SELECT username FROM user WHERE is_active ORDER BY username")
    assert [row[0] for row in active] == [SUPERUSER, "alice"]
    declared.assert_up_to_date("--prune")


def test_every_active_user_has_it_and_an_own_entry_wins(declared: Declared) -> None:
    for name in ("alice", "bob", "carol", "gone"):
        declared.database.add_user(name, is_superuser=False, is_active=name != "gone")
    declared.write(
        "every_user: {variables: {A: {value_from: {file: a}}}}\n"
        "users:\n"
        "  alice: {variables: {A: {type: Generic, value: own}}}\n"
        "  bob: {variables: {A: {state: absent}}}\n"
        "  carol: {is_active: false}\n"
        "  gone: {is_active: true}\n",
        a=CREDENTIAL,
    )
    declared.apply().done()
    found = {
        row[0]: row[1]
        for row in declared.database.rows(
            "SELECT username, type FROM variable JOIN user ON user.id = variable.user_id"
        )
    }
    assert found == {SUPERUSER: "Credential", "alice": "Generic", "gone": "Credential"}
    declared.assert_up_to_date()


def test_what_a_server_manages_is_never_pruned_and_is_kept_once_declared(
    declared: Declared, superuser: str
) -> None:
    add(
        declared.database,
        superuser,
        "OPENAI_API_KEY",
        CREDENTIAL,
        managed=True,
        updated_at="2026-01-01 00:00:00.000000",
    )
    add(declared.database, superuser, "EXTRA", CREDENTIAL, managed=False)
    declared.write(f"users: {{{SUPERUSER}: {{complete: [variables]}}}}")
    result = declared.apply("--prune").done()
    assert [row[3] for row in result.rows] == ["EXTRA"]
    assert [row.name for row in rows(declared.database)] == ["OPENAI_API_KEY"]
    # The value is the same, but a server's next start could overwrite it from the environment.
    declared.write(
        "every_user: {variables: {OPENAI_API_KEY: {value_from: {file: v}}}}", v=CREDENTIAL
    )
    assert declared.apply().done().rows[0][4] == "is_environment_managed"
    assert get_row(declared.database, "OPENAI_API_KEY").managed == 0
    declared.assert_up_to_date()


def test_an_optional_value_is_left_alone_where_it_is_missing(
    declared: Declared, superuser: str
) -> None:
    add(declared.database, superuser, "A", CREDENTIAL)
    declared.write(
        f"users: {{{SUPERUSER}: {{variables: {{A: {{value_from: {{env: NONE, optional: true}}}},"
        " B: {value_from: {env: NONE, optional: true}}}}}"
    )
    result = declared.plan("--exit-code").done()
    assert "users.administrator.variables.B: left out" in result.stderr
    assert get_row(declared.database, "A").plaintext == CREDENTIAL


def test_it_waits_for_tables_and_the_acting_user(empty_site: Site) -> None:
    empty_site.settings = {
        "LANGFLOW_DATABASE_URL": f"sqlite:///{empty_site.folder / empty_site.path}",
        "LANGFLOW_SECRET_KEY": SECRET_KEY,
        "LANGFLOW_SUPERUSER": SUPERUSER,
        "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD,
    }
    declared = Declared(empty_site)
    declared.write("every_user: {variables: {A: {type: Generic, value: x}}}")
    declared.apply("--wait", "1s").failed(6)

    def make() -> None:
        time.sleep(1)
        database = databases.create(empty_site.folder / empty_site.path)
        time.sleep(1)
        database.add_user(SUPERUSER)

    thread = threading.Thread(target=make)
    thread.start()
    empty_site.run("apply", "-f", "m.yaml", "--wait", "60s").done()
    thread.join()
    assert len(rows(empty_site.database, "A")) == 1
    # Waiting does not help with a wrong password.
    start = time.monotonic()
    wrong = {"LANGFLOW_SUPERUSER_PASSWORD": "wrong-password"}
    declared.apply("--wait", "60s", **wrong).failed(4)
    assert time.monotonic() - start < 30


def test_the_variables_of_another_place_are_refused(declared: Declared, tmp_path: Path) -> None:
    declared.write("every_user: {variables: {A: {type: Generic, value: x}}}")
    declared.apply(LANGFLOW_VARIABLE_STORE="kubernetes").failed(2, "kubernetes")


# Written and read back

WRITES = {
    "INSERT ON user BEGIN UPDATE user SET is_superuser = 1 WHERE id = new.id": "user 'alice'",
    "UPDATE ON user BEGIN UPDATE user SET is_active = 1 WHERE id = new.id": "user 'bob'",
    "INSERT ON variable BEGIN UPDATE variable SET value = 'x' WHERE id = new.id": "variable NEW",
    "UPDATE ON variable BEGIN DELETE FROM variable WHERE id = new.id": "variable OLD",
}


CHANGED = """
every_user: {variables: {NEW: {type: Generic, value: a}, OLD: {type: Generic, value: b}}}
users: {alice: {password_from: {file: p}}, bob: {is_active: false}}
"""


@pytest.mark.parametrize("trigger", WRITES)
def test_what_is_not_stored_as_written_is_an_error(declared: Declared, trigger: str) -> None:
    declared.database.add_user("bob", is_superuser=False)
    declared.write("every_user: {variables: {OLD: {type: Generic, value: a}}}")
    declared.apply().done()
    declared.database.rows(f"CREATE TRIGGER changed AFTER {trigger}; END")
    declared.write(CHANGED, p=PASSWORD)
    result = declared.apply().failed(1, WRITES[trigger], "was not stored as written")
    assert "the database's triggers" in result.stderr


def test_a_variable_that_comes_back_is_an_error(declared: Declared) -> None:
    user_id = declared.database.rows("SELECT id FROM user")[0][0]
    add(declared.database, user_id, "OLD", "a", "Generic")
    declared.write(f"users: {{{SUPERUSER}: {{variables: {{OLD: {{state: absent}}}}}}}}")
    declared.database.rows(
        "CREATE TRIGGER back AFTER DELETE ON variable BEGIN INSERT INTO variable"
        " (id, name, value, type, user_id) VALUES"
        " (old.id, old.name, old.value, old.type, old.user_id); END"
    )
    declared.apply().failed(1, "variable OLD is still in", "something restores it")
