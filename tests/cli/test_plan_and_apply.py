"""plan and apply: their output, their questions, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..conftest import SUPERUSER
from ..support.databases import Database, ago
from ..support.manifests import Declared, new_key
from ..support.samples import CREDENTIAL, OTHER_SECRET_KEY, SECRET_KEY, encrypted
from ..support.sites import Site
from ..support.variable_rows import add, fields_of, get_row, rows

MANIFEST = """
name: prod
every_user:
  variables:
    OPENAI_API_KEY: {value_from: {file: openai}, default_fields: [OpenAI API Key]}
    REGION: {type: Generic, value: eu-west-1}
users:
  ci:
    is_superuser: false
    password_to: {file: out/password}
    api_keys:
      app: {expires: 90d, renew_before: 14d, grace: 24h, write_to: {file: out/key}}
      partner: {value_from: {file: partner}}
      laptop: {state: absent}
    variables:
      TOKEN: {value_from: {env: CI_TOKEN}}
      OLD: {state: absent}
  bob: {is_active: false, revoke_keys: true}
"""
TOKEN = {"CI_TOKEN": "token-from-the-environment"}


@pytest.fixture
def declared(site: Site) -> Declared:
    return Declared(site)


@pytest.fixture
def example(declared: Declared) -> Declared:
    bob = declared.database.add_user("bob", is_superuser=False)
    declared.database.add_key(bob, "old")
    declared.write(MANIFEST, openai=f"{CREDENTIAL}\n", partner=new_key())
    return declared


def test_a_plan_writes_nothing_and_says_what_would_be_done(example: Declared) -> None:
    before = example.database.content()
    result = example.plan(**TOKEN).done()
    assert [row[:5] for row in result.rows] == [
        ["change", "user", "bob", "bob", "is_active"],
        ["add", "user", "ci", "ci", ""],
        ["add", "variable", SUPERUSER, "OPENAI_API_KEY", ""],
        ["add", "variable", SUPERUSER, "REGION", ""],
        ["add", "variable", "ci", "OPENAI_API_KEY", ""],
        ["add", "variable", "ci", "REGION", ""],
        ["add", "variable", "ci", "TOKEN", ""],
        ["remove", "api_key", "bob", "old", ""],
        ["add", "api_key", "ci", "app", ""],
        ["add", "api_key", "ci", "partner", ""],
    ]
    assert CREDENTIAL not in result.stdout + result.stderr
    assert example.database.content() == before
    assert list((example.site.folder / "out").iterdir()) == []
    assert example.plan("--exit-code", **TOKEN).code == 8
    # A dry run of apply has the same output, and writes no line to the audit trail.
    assert example.apply("--dry-run", **TOKEN).done().stdout == result.stdout
    assert example.database.content() == before


def test_apply_does_it_and_a_second_run_finds_nothing(example: Declared) -> None:
    result = example.apply("--exit-code", "--json", **TOKEN)
    assert result.code == 8
    said = json.loads(result.stdout)
    assert list(said) == [
        "changed", "dry_run", "plan_id", "summary", "changes", "not_listed", "others", "warnings",
    ]  # fmt: skip
    assert (said["changed"], said["dry_run"]) == (True, False)
    assert said["summary"] == {
        "add": 8, "change": 1, "renew": 0, "deliver": 0, "remove": 1, "kept": 2,
    }  # fmt: skip
    example.assert_only_key("app", "ci")
    assert (example.site.folder / "out/key").stat().st_mode & 0o777 == 0o600
    assert get_row(example.database, "TOKEN").plaintext == TOKEN["CI_TOKEN"]
    assert fields_of(rows(example.database, "OPENAI_API_KEY")[0]) == ["OpenAI API Key"]
    login = {
        "LANGFLOW_AUTO_LOGIN": "false",
        "LANGFLOW_SUPERUSER": "ci",
        "LANGFLOW_SUPERUSER_PASSWORD": example.out("password"),
    }
    assert example.site.call("whoami", **login).done().rows[0][1] == "ci"
    before = example.database.content()
    again = example.apply("--exit-code", "--json", **TOKEN).done()
    assert json.loads(again.stdout)["changed"] is False
    assert example.database.content() == before
    audit = example.site.call("audit").done()
    assert "apply manifest" in audit.stdout
    assert "(prod)" in audit.stdout


def test_it_asks_before_something_is_removed(example: Declared) -> None:
    before = example.database.content()
    result = example.site.call("apply", "-f", "m.yaml", **TOKEN)
    result.failed(2, "this needs confirmation")
    assert example.database.content() == before
    example.write("users: {bob: {is_active: true}}")
    example.site.call("apply", "-f", "m.yaml").done()


def test_too_many_removals_are_none(declared: Declared) -> None:
    alice = declared.database.add_user("alice", is_superuser=False)
    for number in range(11):
        declared.database.add_key(alice, f"k{number}")
    declared.write("users: {alice: {complete: [api_keys]}}")
    found = json.loads(declared.plan("--json").done().stdout)
    assert (found["changed"], len(found["not_listed"])) == (False, 11)
    before = declared.database.content()
    for options in (("--prune",), ("--prune", "--dry-run")):
        declared.apply(*options).failed(5, "11 things", "--max-removals")
    assert declared.database.content() == before
    declared.apply("--prune", "--max-removals", "11").done()
    assert declared.database.rows("SELECT count(*) FROM apikey") == [(0,)]


def test_the_plan_that_was_expected_or_none(declared: Declared) -> None:
    declared.write("every_user: {variables: {A: {value_from: {file: a}}}}", a="one")
    first = json.loads(declared.plan("--json").done().stdout)["plan_id"]
    assert json.loads(declared.plan("--json").done().stdout)["plan_id"] == first
    (declared.site.folder / "a").write_text("two")
    declared.apply("--expect", first).failed(5, "not the one expected")
    (declared.site.folder / "a").write_text("one")
    declared.apply("--expect", first).done()
    declared.apply("--expect", first).failed(5)


def test_without_a_manifest_there_is_nothing_to_plan(declared: Declared) -> None:
    declared.site.call("plan").failed(2, "no manifest given")
    declared.site.call("apply", "--yes").failed(2, "no manifest given")


def test_a_wrong_manifest_is_refused_before_anything_is_opened(declared: Declared) -> None:
    declared.write("users: {ci: {is_activ: true, password_to: {file: out/p}}}")
    result = declared.apply("--json", LANGFLOW_DATABASE_URL="sqlite:////nowhere/at/all.db")
    described = json.loads(result.stderr)
    assert (result.code, described["error"]["code"]) == (2, "usage")
    assert described["candidates"] == [
        "m.yaml:2:14: users.ci.is_activ: unknown field; did you mean is_active?"
    ]
    assert list((declared.site.folder / "out").iterdir()) == []


# Rows that are missing in the database


def test_what_must_exist_and_does_not_is_listed_at_once(declared: Declared) -> None:
    declared.database.add_user("alice", is_superuser=False)
    declared.database.add_user("bob", is_superuser=False)
    declared.write(
        "users:\n"
        "  alice:\n"
        "    api_keys: {app: {expires: 1d}}\n"
        "    variables: {A: {}}\n"
        "  new: {is_active: true}\n"
        "  Alice2: {password_from: {file: p}}\n"
        "  BOB: {is_active: true}\n",
        p="langflow-password",
    )
    result = declared.plan().failed(2, "4 problems")
    lines = [line.strip() for line in result.stderr.splitlines() if "m.yaml:" in line]
    assert [line.partition(": ")[2].partition(": ")[0] for line in lines] == [
        "users.alice.api_keys.app", "users.alice.variables.A", "users.new", "users.BOB",
    ]  # fmt: skip
    assert "did you mean bob?" in lines[3]


def test_names_that_differ_in_case_are_one_user(declared: Declared) -> None:
    declared.database.add_user("bob")
    declared.write("users: {Bob: {password_from: {file: p}}}", p="a password")
    declared.apply().failed(5, "did you mean bob?")


@pytest.mark.parametrize("release", ["1.8", "1.9"])
def test_what_a_generation_lacks_is_named_line_by_line(
    release: str, site_of: object, tmp_path: Path
) -> None:
    site = site_of(release)  # type: ignore[operator]
    declared = Declared(site)
    owner = site.database.rows("SELECT id FROM user WHERE username = ?", (SUPERUSER,))[0][0]
    site.database.add_key(owner, "b")
    declared.write(
        f"users:\n  {SUPERUSER}:\n    api_keys:\n"
        "      a: {expires: 1d, grace: 1h, write_to: {file: out/key}}\n"
        "      b: {is_active: false}\n"
    )
    result = declared.apply("--json")
    described = json.loads(result.stderr)
    assert (result.code, described["error"]["code"]) == (2, "unsupported")
    assert [line.partition(": ")[0] for line in described["candidates"]] == [
        "m.yaml:5:11", "m.yaml:5:24", "m.yaml:6:11",
    ]  # fmt: skip
    renewed = "{renew_after: 9d, write_to: {file: out/key}}"
    declared.write(f"users: {{{SUPERUSER}: {{api_keys: {{a: {renewed}}}}}}}")
    declared.apply().done()
    declared.assert_accepted(declared.out(), SUPERUSER)
    declared.assert_up_to_date()
    (declared.site.folder / "out/key").unlink()
    assert declared.apply().done().rows[0][0] == "deliver"
    declared.assert_accepted(declared.out(), SUPERUSER)


# Names, and odd values


def test_names_of_all_kinds_that_are_stored_can_be_declared(declared: Declared) -> None:
    database: Database = declared.database
    alice = database.add_user("al:i#ce*", is_superuser=False)
    for name in ("a:b", "#c", "*d", "e\nf", "日本語"):
        database.add_key(alice, name)
        add(database, alice, name, CREDENTIAL)
    (declared.site.folder / "m.yaml").write_text(
        declared.site.call("manifest", "--user", "al:i#ce*").done().stdout, encoding="utf-8"
    )
    declared.assert_up_to_date()
    names = {name: {"state": "absent"} for name in ("a:b", "#c", "*d", "e\nf", "日本語")}
    document = {"version": 1, "users": {"al:i#ce*": {"api_keys": names, "variables": names}}}
    (declared.site.folder / "m.yaml").write_text(json.dumps(document), encoding="utf-8")
    result = declared.apply().done()
    assert [row[0] for row in result.rows] == ["remove"] * 10
    assert "e\\nf" in result.stdout
    declared.assert_up_to_date()


def test_a_new_name_that_could_not_be_shown_is_refused(declared: Declared) -> None:
    declared.write(
        f'users: {{{SUPERUSER}: {{variables: {{"a\\nb": {{value_from: {{file: p}}}}}},'
        ' api_keys: {"c\\u202ed": {write_to: {file: out/key}}}}}',
        p="x",
    )
    result = declared.apply().failed(2, "2 problems", "U+000A", "U+202E")
    assert "\u202e" not in result.stderr


def test_a_credential_that_cannot_be_decrypted(declared: Declared, superuser: str) -> None:
    closed = encrypted("old", OTHER_SECRET_KEY)
    add(declared.database, superuser, "CLOSED", closed, is_encrypted=False)
    add(declared.database, superuser, "OPEN", CREDENTIAL)
    declared.write(f"users: {{{SUPERUSER}: {{variables: {{CLOSED: {{type: Generic}}}}}}}}")
    declared.apply().failed(7, "cannot be decrypted")
    declared.write(f"users: {{{SUPERUSER}: {{variables: {{CLOSED: {{type: Credential}}}}}}}}")
    declared.assert_up_to_date()
    declared.write(
        f"users: {{{SUPERUSER}: {{variables: {{CLOSED: {{value_from: {{file: p}}}}}}}}}}", p="new"
    )
    assert declared.apply().done().rows[0][:5] == [
        "change", "variable", SUPERUSER, "CLOSED", "value",
    ]  # fmt: skip
    assert get_row(declared.database, "CLOSED").plaintext == "new"
    declared.assert_up_to_date()


def test_two_variables_of_one_name_get_the_same(declared: Declared, superuser: str) -> None:
    for value in ("one", "two"):
        add(declared.database, superuser, "TWICE", value)
    declared.write(
        f"users: {{{SUPERUSER}: {{variables: {{TWICE: {{value_from: {{file: p}}}}}}}}}}", p="two"
    )
    assert declared.apply().done().rows[0][4:] == ["value", "in 2 rows"]
    assert [row.plaintext for row in rows(declared.database, "TWICE")] == ["two", "two"]
    declared.assert_up_to_date()
    declared.write(f"users: {{{SUPERUSER}: {{variables: {{TWICE: {{state: absent}}}}}}}}")
    declared.apply().done()
    assert rows(declared.database, "TWICE") == []


def test_what_is_not_named_stays_as_it_is(declared: Declared, superuser: str) -> None:
    row = add(declared.database, superuser, "A", "secret", fields='["x"]', created_at=ago(days=9))
    declared.database.add_key(superuser, "k", created_at=ago(days=2))
    declared.write(
        f"users: {{{SUPERUSER}: {{variables: {{A: {{default_fields: [z]}}}},"
        " api_keys: {k: {expires: 30d}}}}"
    )
    before = {(r.id, r.value, r.type, r.created_at) for r in rows(declared.database)}
    key = declared.database.rows("SELECT id, api_key, created_at, total_uses FROM apikey")
    assert [r[0] for r in declared.apply().done().rows] == ["change", "change"]
    assert {(r.id, r.value, r.type, r.created_at) for r in rows(declared.database)} == before
    assert fields_of(get_row(declared.database, "A")) == ["z"]
    assert row == get_row(declared.database, "A").id
    assert declared.database.rows("SELECT id, api_key, created_at, total_uses FROM apikey") == key
    declared.assert_up_to_date()


def test_with_a_lost_secret_key_nothing_is_encrypted(declared: Declared, superuser: str) -> None:
    add(declared.database, superuser, "A", "secret")
    declared.write("every_user: {variables: {B: {value_from: {file: p}}}}", p="x")
    before = declared.database.content()
    lost = {"LANGFLOW_SECRET_KEY": OTHER_SECRET_KEY}
    declared.apply(**lost).failed(7, "--accept-secret-key")
    assert declared.database.content() == before
    declared.write(f"users: {{{SUPERUSER}: {{variables: {{A: {{state: absent}}}}}}}}")
    declared.apply(**lost).done()
    assert SECRET_KEY != OTHER_SECRET_KEY
