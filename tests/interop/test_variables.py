"""langkeys and a server set, list and read variables that the other has written."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.fernet import Fernet

from .database import Database
from .expectations import Expected
from .langflow_code import decrypted
from .langflow_rest import Answer
from .langflow_server import PASSWORD, SUPERUSER, LangflowServer
from .langkeys_process import Langkeys
from .variable_flow import VariableFlows

SET_BEFORE, BY_SET, BY_IMPORT, UNTOUCHED = "SET_BEFORE", "BY_SET", "BY_IMPORT", "UNTOUCHED"
IMPORTED = (SET_BEFORE, BY_SET, BY_IMPORT, UNTOUCHED)
ONLY_IN_ENVIRONMENT = "ONLY_IN_ENVIRONMENT"
VALUE = 'it\'s a $ecret # with "everything"\nand a second line é'


@dataclass
class Place:
    """A server with variables in its environment, langkeys, and a key of the superuser."""

    server: LangflowServer
    langkeys: Langkeys
    key: str

    @property
    def database(self) -> Database:
        return Database(self.server.database)

    def set(self, name: str, value: str, *more: str) -> str:
        arguments = ("variable", "set", name, "--value-file", "-", *more)
        return self.langkeys(*arguments, stdin=value).done().stderr

    def rows(self, name: str) -> list[dict[str, Any]]:
        sql = "SELECT * FROM variable WHERE name = ? ORDER BY rowid"
        return self.database.query(sql, name)

    def listed(self, name: str) -> dict[str, Any]:
        """Return the variable with a name as ``GET /api/v1/variables/`` lists it."""
        answer = self.server.rest.variables(self.key)
        assert answer.status == 200, answer
        (found,) = [variable for variable in answer.body if variable["name"] == name]
        return dict(found)

    def post(self, name: str, value: str, kind: str, fields: list[str]) -> Answer:
        body = {"name": name, "value": value, "type": kind, "default_fields": fields}
        answer = self.server.rest.request(
            "POST", "/api/v1/variables/", key=self.key, json_body=body
        )
        assert answer.status == 201, answer
        until(lambda: bool(self.rows(name)))  # up to 1.11, servers answer before they commit
        return answer

    def restart_with(self, value: str) -> None:
        """Restart the server with another value of the imported names, and log in."""
        self.server.stop()
        self.server.settings |= dict.fromkeys(IMPORTED, value)
        self.server.start()
        self.log_in()

    def log_in(self) -> None:
        # Up to 1.12.0 a user's variables are imported when they log in, and not at a start.
        self.server.rest.login(SUPERUSER, PASSWORD)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def place(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    environment = {
        "LANGFLOW_VARIABLES_TO_GET_FROM_ENVIRONMENT": ",".join(IMPORTED),
        BY_SET: "environment-1",
        BY_IMPORT: "environment-1",
        UNTOUCHED: "environment-1",
        ONLY_IN_ENVIRONMENT: "from-the-environment",
    }
    folder = tmp_path_factory.mktemp("variables")
    with LangflowServer(version, folder, extra=environment) as server:
        langkeys = Langkeys(tmp_path_factory.mktemp("langkeys"), server.settings)
        key = langkeys("api-key", "--name", "variables").done().stdout.strip()
        place = Place(server, langkeys, key)
        place.log_in()
        until(lambda: bool(place.rows(UNTOUCHED)))
        yield place


@pytest.fixture
def name() -> str:
    return f"NAME_{uuid.uuid4().hex[:8]}"


# Set by langkeys


def test_a_credential_set_here_is_listed_by_the_server_with_its_fields(
    place: Place, name: str
) -> None:
    place.set(name, VALUE, "--apply-to", "Password", "--apply-to", "OpenAI API Key")
    listed = place.listed(name)
    assert (listed["type"], listed["value"]) == ("Credential", None)
    assert listed["default_fields"] == ["Password", "OpenAI API Key"]
    here = place.langkeys("variable", "show", name, "--json").done().json()
    assert here["id"] == listed["id"]
    assert list(here)[:5] == ["id", "name", "type", "value", "default_fields"]


def test_a_generic_one_set_here_is_listed_with_its_value(place: Place, name: str) -> None:
    place.set(name, "http://localhost:1234", "--type", "Generic", "--apply-to", "Base URL")
    listed = place.listed(name)
    assert (listed["type"], listed["value"]) == ("Generic", "http://localhost:1234")
    assert listed["default_fields"] == ["Base URL"]
    place.set(name, "http://localhost:5678")
    assert place.listed(name)["value"] == "http://localhost:5678"


def test_one_that_is_deleted_here_is_gone_for_the_server(place: Place, name: str) -> None:
    place.set(name, VALUE)
    place.langkeys("variable", "delete", name, "--yes").done()
    listed = place.server.rest.variables(place.key).body
    assert name not in [variable["name"] for variable in listed]


# Set by the server


@pytest.mark.parametrize("kind", ["Credential", "Generic"])
def test_one_posted_over_rest_is_listed_revealed_and_updated_here(
    place: Place, name: str, kind: str
) -> None:
    posted = place.post(name, "posted", kind, ["Password"]).body
    (here,) = [
        variable
        for variable in place.langkeys("variable", "list", "--json").done().json()
        if variable["name"] == name
    ]
    assert (here["id"], here["type"], here["opens"]) == (posted["id"], kind, True)
    assert here["default_fields"] == ["Password"]
    assert here["value"] == (None if kind == "Credential" else "posted")
    reveal = ("variable", "show", name, "--reveal")
    assert place.langkeys(*reveal).done().stdout == "posted\n"

    place.set(name, VALUE)
    (row,) = place.rows(name)
    assert row["updated_at"] > row["created_at"]
    listed = place.listed(name)
    assert (listed["id"], listed["type"]) == (posted["id"], kind)
    assert listed["default_fields"] == ["Password"]
    if kind == "Generic":
        assert listed["value"] == VALUE


def test_one_updated_over_rest_is_what_is_revealed_here(place: Place, name: str) -> None:
    place.set(name, "old")
    listed = place.listed(name)
    body = {"id": listed["id"], "name": name, "value": "patched"}
    path = f"/api/v1/variables/{listed['id']}"
    before = place.rows(name)
    answer = place.server.rest.request("PATCH", path, key=place.key, json_body=body)
    assert answer.status == 200, answer
    until(lambda: place.rows(name) != before)
    shown = place.langkeys("variable", "show", name, "--reveal").done().stdout
    assert shown == "patched\n"


def test_langflows_own_code_opens_what_was_set_here(
    place: Place, name: str, expected: Expected
) -> None:
    place.set(name, VALUE)
    place.set(f"{name}_GENERIC", VALUE, "--type", "Generic")
    env = f"{name}_IMPORTED='{VALUE.replace(chr(39), chr(92) + chr(39))}'\n"
    arguments = ("variable", "import", "-", "--only", f"{name}_IMPORTED")
    place.langkeys(*arguments, stdin=env).done()
    (credential,), (generic,), (imported,) = (
        place.rows(f"{name}{end}") for end in ("", "_GENERIC", "_IMPORTED")
    )
    stored = [credential["value"], imported["value"]]
    if generic["value"].startswith("gAAAAA"):
        assert expected.at_rest == "plaintext"  # 1.5 to 1.7 encrypt every variable
        stored.append(generic["value"])
    else:
        assert generic["value"] == VALUE
    assert all(value.startswith("gAAAAA") for value in stored)
    assert decrypted(place.server, stored) == [VALUE] * len(stored)


def test_a_program_run_here_has_what_the_server_stores(place: Place, name: str) -> None:
    place.post(name, "posted", "Credential", [])
    done = place.langkeys("run", "--only", name, "--", "printenv", name).done()
    assert done.stdout == "posted\n"


# Precedence


@pytest.fixture(scope="module")
def flows(place: Place) -> VariableFlows:
    return VariableFlows(place.server, place.key, place.server.rest.login(SUPERUSER, PASSWORD))


def winner(place: Place, name: str, *more: str) -> str:
    arguments = ("variable", "explain", name, "--json", *more)
    return str(place.langkeys(*arguments).done().json()["wins"])


def taken(place: Place, flows: VariableFlows, name: str) -> str | None:
    """Return the value that a run uses for a variable, which `explain` must predict."""
    value = flows.value_of(name)
    assert (winner(place, name) == "none") is (value is None), (name, value)
    return value


def test_what_explain_says_is_what_a_run_takes(
    place: Place, flows: VariableFlows, name: str, expected: Expected
) -> None:
    place.set(ONLY_IN_ENVIRONMENT, "stored", "--type", "Generic")
    assert winner(place, ONLY_IN_ENVIRONMENT) == "stored"
    assert flows.value_of(ONLY_IN_ENVIRONMENT) == "stored"

    assert winner(place, ONLY_IN_ENVIRONMENT, "--tweak") == "tweak"
    tweaked = flows.value_of(ONLY_IN_ENVIRONMENT, tweak="tweaked")
    assert (tweaked == "tweaked") is expected.tweak_is_a_value
    if not expected.tweak_is_a_value:
        place.set(name, "of-another", "--type", "Generic")
        assert flows.value_of(ONLY_IN_ENVIRONMENT, tweak=name) == "of-another"
        place.langkeys("variable", "delete", name, "--yes").done()

    place.langkeys("variable", "delete", ONLY_IN_ENVIRONMENT, "--yes").done()
    assert taken(place, flows, ONLY_IN_ENVIRONMENT) == (
        "from-the-environment" if expected.falls_back else None
    )
    assert taken(place, flows, name) is None


def test_a_server_falls_back_to_its_environment_where_explain_says_so(
    place: Place, flows: VariableFlows, expected: Expected
) -> None:
    place.set(ONLY_IN_ENVIRONMENT, "stored")
    assert taken(place, flows, ONLY_IN_ENVIRONMENT) == "stored"
    stray = Fernet(Fernet.generate_key()).encrypt(b"stored").decode()
    sql = "UPDATE variable SET value = ? WHERE name = ?"
    place.database.execute(sql, stray, ONLY_IN_ENVIRONMENT)
    assert taken(place, flows, ONLY_IN_ENVIRONMENT) == (
        "from-the-environment" if expected.undecryptable_falls_back else None
    )
    place.langkeys("variable", "delete", ONLY_IN_ENVIRONMENT, "--yes").done()

    # A setting of the server itself in its environment.
    shown = taken(place, flows, "LANGFLOW_SUPERUSER_PASSWORD")
    is_given = expected.falls_back and not expected.guards_environment
    assert shown == (PASSWORD if is_given else None)


def test_a_server_reads_the_row_created_first_and_set_reaches_it(
    place: Place, flows: VariableFlows, name: str
) -> None:
    place.set(name, "first", "--type", "Generic")
    (row,) = place.rows(name)
    # Its id sorts before the other's: servers do not choose by id.
    second = row | {"id": f"0000{uuid.uuid4().hex[4:]}"}
    marks = ", ".join("?" * len(second))
    sql = f"INSERT INTO variable ({', '.join(second)}) VALUES ({marks})"
    place.database.execute(sql, *second.values())
    place.database.execute("UPDATE variable SET name = name WHERE id = ?", second["id"])
    if row["value"] == "first":  # not encrypted
        place.database.execute("UPDATE variable SET value = 'second' WHERE id = ?", second["id"])
        assert flows.value_of(name) == "first"
    assert "2 rows" in place.set(name, "third")
    assert flows.value_of(name) == "third"
    place.database.execute("DELETE FROM variable WHERE id = ?", row["id"])
    assert flows.value_of(name) == "third"


# Kept over a restart; these tests come last, because they are slow and change the environment


def test_what_a_person_sets_overrides_the_environment_for_good(
    place: Place, expected: Expected
) -> None:
    place.set(SET_BEFORE, "person")
    said = place.set(BY_SET, "person")
    assert ("overwrites BY_SET" in said) is expected.overwrites_variables
    env = f"{BY_IMPORT}=person\nUNRELATED=x\n"
    keep = place.langkeys("variable", "import", "-", "--json", stdin=env).done().json()
    assert [(one["name"], one["action"]) for one in keep] == [(BY_IMPORT, "kept")]
    arguments = ("variable", "import", "-", "--policy", "overwrite", "--json")
    done = place.langkeys(*arguments, stdin=env).done().json()
    assert [(one["name"], one["action"]) for one in done] == [(BY_IMPORT, "changed")]

    for restart in (2, 3):
        explained = {
            name: place.langkeys("variable", "explain", name, "--json").done().json()
            for name in IMPORTED
        }
        before = {name: revealed(place, name) for name in IMPORTED}
        place.restart_with(f"environment-{restart}")
        until(lambda: bool(place.rows(UNTOUCHED)))
        after = {name: revealed(place, name) for name in IMPORTED}
        for name in IMPORTED:
            kept = after[name] == before[name]
            assert explained[name]["kept_at_restart"] is kept, (restart, name, explained[name])
        if expected.overwrites_variables:
            assert set(after.values()) == {f"environment-{restart}"}
        else:
            assert [after[name] for name in (SET_BEFORE, BY_SET, BY_IMPORT)] == ["person"] * 3
    rows = [row for name in IMPORTED for row in place.rows(name)]
    assert len(rows) == len(IMPORTED)
    assert decrypted(place.server, [row["value"] for row in rows]) == list(after.values())


def revealed(place: Place, name: str) -> str:
    return place.langkeys("variable", "show", name, "--reveal").done().stdout.removesuffix("\n")


def test_what_is_exported_after_all_that_reads_back(place: Place) -> None:
    exported = place.langkeys("variable", "export", "--reveal", "--format", "json").done().json()
    assert set(IMPORTED) <= exported.keys()
    assert json.dumps(exported) == json.dumps({name: revealed(place, name) for name in exported})
