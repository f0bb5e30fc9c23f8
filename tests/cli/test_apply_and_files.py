"""The files of apply: one key per file, and a warning if a source has an old key again."""

from __future__ import annotations

import pytest

from langkeys.crypto.passwords import hash_password

from ..conftest import SUPERUSER
from ..support.manifests import Declared, new_key
from ..support.samples import PASSWORD
from ..support.sites import Site

VARIABLE = f"users: {{{SUPERUSER}: {{variables: {{A: {{value_from: %s}}}}}}}}"
KEY = f"users: {{{SUPERUSER}: {{api_keys: {{a: {{value_from: %s}}}}}}}}"


@pytest.fixture
def declared(site: Site) -> Declared:
    found = Declared(site)
    (site.folder / "sub").mkdir()
    (site.folder / "link").symlink_to("out")
    return found


@pytest.mark.parametrize("other", ["sub/../out/key", "link/key", "./out//key", "{folder}/out/key"])
def test_two_keys_in_one_file_are_refused_however_it_is_named(
    declared: Declared, other: str
) -> None:
    other = other.format(folder=declared.site.folder)
    declared.write(
        f"users: {{{SUPERUSER}: {{api_keys: {{a: {{write_to: {{file: out/key}}}},"
        f" b: {{write_to: {{file: {other}}}}}}}}}}}"
    )
    declared.apply().failed(2, "api_keys.b.write_to: the same file as users.")
    assert declared.keys("a") == declared.keys("b") == []


def test_a_file_that_is_read_is_not_written_however_it_is_named(declared: Declared) -> None:
    declared.write(
        f"users: {{{SUPERUSER}: {{api_keys: {{a: {{write_to: {{file: link/key}}}}}},"
        " variables: {A: {value_from: {file: out/key, optional: true}}}}}"
    )
    declared.apply().failed(2, "api_keys.a.write_to: the same file as users.", "which is read")


def test_a_source_that_goes_back_to_a_key_in_its_grace_is_warned_about(
    declared: Declared,
) -> None:
    given = "{value_from: {file: p}, grace: 24h%s}"
    text = f"users: {{{SUPERUSER}: {{api_keys: {{partner: {given}}}}}}}"
    old, new = new_key(), new_key()
    for value in (old, new):
        declared.write(text % "", p=value)
        assert "replaced by" not in declared.apply().done().stderr
    declared.write(text % "", p=old)
    (_, (newer, _)) = declared.keys("partner")
    warning = declared.plan().done().stderr
    assert "this API key was replaced by" in warning
    assert newer.replace("-", "")[:8] in warning.replace("-", "")
    declared.write(text % ", expires: 90d", p=old)
    assert "was replaced by" not in declared.apply().done().stderr
    declared.assert_accepted(old, SUPERUSER)
    declared.assert_up_to_date()


def test_one_key_for_two_entries_is_refused_before_it_is_stored(declared: Declared) -> None:
    declared.database.add_user("alice", is_superuser=False)
    both = "{api_keys: {k: {value_from: {file: p}}}}"
    value = new_key()
    declared.write(f"users: {{{SUPERUSER}: {both}, alice: {both}}}", p=value)
    for result in (declared.plan(), declared.apply()):
        result.failed(2, "users.alice.api_keys.k.value_from: the same API key as users.admin")
    declared.write(f"users: {{alice: {both}}}", p=value)
    declared.apply().done()
    declared.assert_accepted(value, "alice")


def test_a_file_with_a_key_that_is_gone_is_left_and_the_way_out_is_said(
    declared: Declared,
) -> None:
    declared.write(f"users: {{{SUPERUSER}: {{api_keys: {{k: {{write_to: {{file: out/key}}}}}}}}}}")
    declared.apply().done()
    declared.site.call("api-key", "revoke", "k", "--yes").done()
    declared.apply().failed(5, "it is not in the database", "Remove the file to get")
    (declared.site.folder / "out/key").unlink()
    declared.apply().done()
    declared.assert_only_key("k", SUPERUSER)


def test_users_that_are_not_listed_are_said_to_be_deactivated(declared: Declared) -> None:
    declared.database.add_user("alice", is_superuser=False)
    declared.write("complete: [users]")
    assert "user alice" in (said := declared.plan().done().stderr)
    assert "--prune deactivates it" in said


@pytest.mark.parametrize("where", ["users: {a: {password_from: %s}}", VARIABLE, KEY])
def test_a_name_with_a_nul_is_no_file(declared: Declared, where: str) -> None:
    declared.write(where % '{file: "p\\0", optional: true}')
    declared.apply().failed(2, "is not the name of a file")


def test_an_empty_name_of_a_manifest_is_not_the_current_folder(declared: Declared) -> None:
    declared.write("users: {a: {password_to: {file: out/p}}}")
    declared.site.call("plan", "-f", "").failed(2, "the name of a manifest is empty")


def test_every_wrong_name_of_a_manifest_is_shown_at_once(declared: Declared) -> None:
    (declared.site.folder / "m.yaml").write_text("version: 1\n")
    names = ("-", "-", "", "m.yaml", "m.yaml", "missing.yaml")
    result = declared.site.call("plan", *(word for name in names for word in ("-f", name)))
    result.failed(
        2, "stdin can only be read once", "the name of a manifest is empty",
        "m.yaml: the file is given twice", "missing.yaml",
    )  # fmt: skip


def test_the_id_of_a_plan_is_no_way_to_guess_a_password(declared: Declared) -> None:
    declared.database.add_user("alice", is_superuser=False)
    user = "{password_from: {file: p}, set_password: always}"
    declared.write(f"users: {{alice: {user}}}", p="a password")

    def plan_id() -> str:
        plan = declared.plan("--json", LANGFLOW_SECRET_KEY=None).done().json()
        return str(plan["plan_id"])

    first = plan_id()
    assert plan_id() == first
    # Somebody who only knows the plan's id cannot know this hash.
    declared.database.rows(
        "UPDATE user SET password = ? WHERE username = ?",
        (hash_password(PASSWORD), SUPERUSER),
    )
    assert plan_id() != first
