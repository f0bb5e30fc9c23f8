"""A plan of the output of ``manifest`` has no changes, whatever is stored."""

from __future__ import annotations

import pytest

from ..support.manifests import Declared, new_key
from ..support.samples import CREDENTIAL
from ..support.sites import Site
from ..support.variable_rows import add


@pytest.fixture
def declared(site: Site) -> Declared:
    return Declared(site)


def export(declared: Declared, *options: str) -> str:
    """Export the manifest to a file, and return its text."""
    text = declared.site.call("manifest", *options).done().stdout
    (declared.site.folder / "m.yaml").write_text(text, encoding="utf-8")
    return text


@pytest.mark.parametrize("name", ["<<", "A=B", ".", "..", "...", "=", "*", "<", "~", "no", "1e3"])
def test_a_name_that_yaml_or_a_folder_has_a_use_for(declared: Declared, name: str) -> None:
    alice = declared.database.add_user(name, is_superuser=False)
    declared.database.add_key(alice, name)
    add(declared.database, alice, name, CREDENTIAL)
    (declared.site.folder / "secrets").mkdir()
    export(declared)
    declared.assert_up_to_date()


def test_a_variable_does_not_get_what_every_process_has_in_its_environment(
    declared: Declared,
) -> None:
    alice = declared.database.add_user("alice", is_superuser=False)
    for name in ("PATH", "HOME", "TERM", "LANGFLOW_SECRET_KEY", "MY_TOKEN"):
        add(declared.database, alice, name, CREDENTIAL)
    text = export(declared)
    assert "PATH: {type: Credential, value_from: {file: " in text
    assert "MY_TOKEN: {type: Credential, value_from: {env: MY_TOKEN, optional: true}}" in text
    declared.assert_up_to_date()


@pytest.mark.parametrize("release", ["1.8", "1.9"])
def test_users_whose_names_differ_in_case_where_both_are_stored(
    release: str, site_of: object
) -> None:
    declared = Declared(site_of(release))  # type: ignore[operator]
    for name in ("Bob", "bob"):
        declared.database.add_user(name, is_superuser=False)
    export(declared)
    declared.assert_up_to_date()
    declared.write("users: {Bob: {is_active: false}, bob: {}}")
    assert [row[:4] for row in declared.apply().done().rows] == [["change", "user", "Bob", "Bob"]]
    declared.write("users: {bob: {}, BOB: {password_from: {file: p}}}", p="a password")
    declared.apply().failed(5, "did you mean Bob?")


def test_new_users_whose_names_differ_in_case_are_refused(declared: Declared) -> None:
    declared.write("users: {Bob: {password_from: {file: p}}, bob: {}}", p="a password")
    declared.apply().failed(2, "users.bob: differs only in case from Bob in m.yaml:2:9")


def test_fields_that_no_manifest_can_hold_are_left_out(declared: Declared) -> None:
    alice = declared.database.add_user("alice", is_superuser=False)
    for name, fields in {
        "A": '["\\ud800"]', "B": '["a", "a"]', "C": '["a", " "]', "D": '["no", "a\\u0000"]'
    }.items():  # fmt: skip
        add(declared.database, alice, name, CREDENTIAL, fields=fields)
    text = export(declared)
    assert text.count("default_fields") == 1
    assert 'default_fields: ["no", "a\\u0000"]' in text
    declared.assert_up_to_date()


def test_names_that_no_manifest_can_hold_are_left_out_with_a_warning(declared: Declared) -> None:
    alice = declared.database.add_user("alice", is_superuser=False)
    declared.database.add_key(alice, secret := new_key())
    declared.database.add_key(alice, "x" * 300)
    result = declared.site.call("manifest").done()
    assert result.stderr.splitlines() == [
        "warning: a key of alice whose name looks like a secret is left out",
        "warning: a key of alice with an empty or very long name is left out",
    ]
    assert secret not in result.stdout


def test_a_new_generic_variable_with_an_encrypted_value_is_refused(declared: Declared) -> None:
    declared.database.add_user("alice", is_superuser=False)
    variable = "{type: Generic, value_from: {file: p}}"
    declared.write(f"users: {{alice: {{variables: {{A: {variable}}}}}}}", p="gAAAAA-of-another")
    declared.apply().failed(2, "users.alice.variables.A: looks like an encrypted value")


def test_keys_that_are_revoked_are_not_told_as_not_listed_too(declared: Declared) -> None:
    alice = declared.database.add_user("alice", is_superuser=False)
    for name in ("one", "two"):
        declared.database.add_key(alice, name)
    declared.write("users: {alice: {revoke_keys: true, complete: [api_keys]}}")
    found = declared.apply("--json").done().json()
    assert [change["name"] for change in found["changes"]] == ["one", "two"]
    assert found["not_listed"] == []
    assert declared.database.key_ids() == []


def test_a_key_that_is_changed_is_not_counted_as_kept(declared: Declared) -> None:
    alice = declared.database.add_user("alice", is_superuser=False)
    declared.database.add_key(alice, "app")
    declared.write("users: {alice: {api_keys: {app: {is_active: false}}}}")
    first = declared.apply("--json").done().json()["summary"]
    again = declared.apply("--json").done().json()["summary"]
    assert again["kept"] == first["kept"] + 1


def test_what_another_run_has_applied_meanwhile_is_not_in_the_audit_log_twice(
    declared: Declared, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = declared.database.add_user("alice", is_superuser=False)
    declared.database.add_key(alice, "app")
    declared.write("users: {alice: {api_keys: {app: {is_active: false}}}}")
    others = iter([lambda: declared.apply().done()])

    def meanwhile(*arguments: object) -> None:
        for other in others:
            other()

    monkeypatch.setattr("langkeys.manifest.apply.require_writable", meanwhile)
    assert declared.apply().done().rows == []
    entries = declared.site.call("audit", "--json").done().json()
    assert [change["action"] for entry in entries for change in entry["changes"]] == [
        "apply", "update"
    ]  # fmt: skip


def test_a_new_variable_with_a_value_in_its_name_is_refused(declared: Declared) -> None:
    declared.database.add_user("alice", is_superuser=False)
    declared.write("users: {alice: {variables: {A=B: {value_from: {file: p}}}}}", p=new_key())
    declared.apply().failed(2, "the variable's name contains '='")
