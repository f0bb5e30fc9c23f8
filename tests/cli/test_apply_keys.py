"""apply and API keys: generate, take from a file, keep, renew, deliver again, refuse."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from langkeys.times import parsed_iso

from ..conftest import SUPERUSER
from ..support.databases import SampleKey, ago, ahead, stored
from ..support.manifests import Declared, new_key
from ..support.samples import OTHER_SECRET_KEY, hash_of
from ..support.sites import Site

pytestmark = pytest.mark.every_engine

KEY = "{write_to: {file: out/key}}"


@pytest.fixture
def declared(site: Site) -> Declared:
    return Declared(site)


def keys(declared: Declared, text: str, **files: str) -> None:
    """Declare API keys of the superuser."""
    declared.write(f"users: {{{SUPERUSER}: {{api_keys: {text}}}}}", **files)


def test_an_emptied_folder_five_runs_and_one_row(declared: Declared) -> None:
    keys(declared, f"{{app: {KEY}}}")
    declared.apply().done()
    first = declared.out()
    for _ in range(5):
        (declared.site.folder / "out/key").unlink()
        result = declared.apply("--exit-code")
        assert (result.code, result.rows[0][0]) == (8, "deliver")
        assert declared.out() == first
        declared.assert_up_to_date()
    declared.assert_only_key("app", SUPERUSER)
    assert "deliver api_key" in declared.site.call("audit").done().stdout


@pytest.mark.parametrize("content", ["truncated", "sk-", "not a key at all\n", "KEY=1\nOTHER=2\n"])
def test_a_file_that_holds_something_else_is_never_overwritten(
    declared: Declared, content: str
) -> None:
    keys(declared, f"{{app: {KEY}}}")
    (declared.site.folder / "out/key").write_text(content)
    before = declared.database.content()
    declared.apply().failed(5, "users.administrator.api_keys.app.write_to", "not an API key")
    assert declared.out() == content
    assert declared.database.content() == before


def test_a_file_with_a_key_of_somebody_else_is_never_overwritten(
    declared: Declared, superuser: str
) -> None:
    keys(declared, f"{{app: {KEY}}}")
    others = [
        declared.database.add_key(declared.database.add_user("alice"), "app").plaintext,
        declared.database.add_key(superuser, "other").plaintext,
        new_key(),
    ]
    for value in others:
        (declared.site.folder / "out/key").write_text(value)
        declared.apply().failed(5, "not of this name and user")
        assert declared.out() == value
    (declared.site.folder / "out/key").write_text("")
    declared.apply().done()


@pytest.mark.parametrize("form", ["bare", "dotenv", "k8s-secret"])
def test_a_key_is_written_in_each_format_and_known_again(declared: Declared, form: str) -> None:
    more = {
        "dotenv": ", variable: MY_KEY",
        "k8s-secret": ", secret: {name: m, namespace: s, key: k}",
    }.get(form, "")
    text = f"{{app: {{write_to: {{file: out/key, format: {form}{more}}}}}}}"
    keys(declared, text)
    declared.apply().done()
    declared.assert_up_to_date()
    content = declared.out()
    if form == "bare":
        value = content
    elif form == "dotenv":
        value = content.splitlines()[-1].removeprefix("MY_KEY=")
    else:
        described = json.loads(content)
        assert described["metadata"] == {"name": "m", "namespace": "s"}
        value = base64.b64decode(described["data"]["k"]).decode()
    declared.assert_accepted(value, SUPERUSER)
    # A change of the format does not replace the key.
    keys(declared, f"{{app: {KEY}}}")
    if form != "bare":
        assert declared.apply().done().rows[0][0] == "deliver"
    assert declared.out() == value


def test_a_given_key_that_a_server_refuses_is_a_conflict(
    declared: Declared, superuser: str
) -> None:
    key = declared.database.add_key(superuser, "app", expires_at=ago(days=1))
    keys(declared, "{app: {value_from: {file: given}}}", given=key.plaintext)
    said = "users.administrator.api_keys.app: a server refuses this API key: it is expired"
    declared.apply().failed(5, said)
    keys(declared, "{app: {value_from: {file: given}, expires_at: never}}", given=key.plaintext)
    assert declared.apply().done().rows[0][0] == "change"
    declared.database.rows("UPDATE apikey SET is_active = ?", (False,))
    keys(declared, "{app: {value_from: {file: given}}}", given=key.plaintext)
    declared.apply().failed(5, said.replace("expired", "inactive"))


def test_a_key_is_renewed_before_its_end_and_the_old_one_has_its_grace(declared: Declared) -> None:
    keys(declared, "{app: {expires: 90d, renew_before: 14d, grace: 1h, write_to: {file: out/key}}}")
    declared.apply().done()
    old = declared.out()
    declared.database.rows("UPDATE apikey SET created_at = ?", (stored(ago(days=77)),))
    declared.database.rows("UPDATE apikey SET expires_at = ?", (stored(ahead(days=13)),))
    assert [row[0] for row in declared.apply().done().rows] == ["renew"]
    assert declared.out() != old
    for value in (old, declared.out()):
        declared.assert_accepted(value, SUPERUSER)
    declared.assert_up_to_date()
    listed = declared.site.call("api-key", "list", "--json").done().json()
    assert parsed_iso(listed[0]["expires_at"]) < ahead(hours=1, seconds=5)
    # A rotation recognises the replaced key as if it had replaced the key itself.
    declared.site.call("api-key", "rotate", "app", "--dry-run").done()


def test_a_renewal_without_a_grace_asks_and_ends_the_old_key(declared: Declared) -> None:
    keys(declared, "{app: {renew_after: 30d, write_to: {file: out/key}}}")
    declared.apply().done()
    old = declared.out()
    declared.database.rows("UPDATE apikey SET created_at = ?", (stored(ago(days=31)),))
    declared.site.call("apply", "-f", "m.yaml").failed(2, "this needs confirmation")
    declared.apply("--max-removals", "0").done()
    declared.assert_only_key("app", SUPERUSER)
    assert declared.site.call("whoami", "--api-key", "-", stdin=old).code == 4
    declared.assert_up_to_date()


def test_an_expired_key_is_replaced_and_stays(declared: Declared, superuser: str) -> None:
    declared.database.add_key(superuser, "app", expires_at=ago(hours=1), created_at=ago(days=9))
    keys(declared, "{app: {expires: 9d, write_to: {file: out/key}}}")
    assert [row[0] for row in declared.apply().done().rows] == ["add"]
    assert len(declared.keys("app")) == 2
    declared.assert_accepted(declared.out(), SUPERUSER)
    declared.assert_up_to_date()


def test_of_several_working_keys_the_newest_counts_and_the_others_stay(
    declared: Declared, superuser: str
) -> None:
    made = [
        declared.database.add_key(superuser, "app", created_at=ago(days=days)) for days in (9, 5, 2)
    ]
    keys(declared, "{app: {renew_after: 30d, write_to: {file: out/key}}}")
    found = json.loads(declared.apply("--json").done().stdout)
    assert declared.out() == made[2].plaintext
    assert [other["id"] for other in found["others"]] == sorted(key.dashed for key in made[:2])
    assert "other working keys of that name stay" in found["warnings"][0]
    # A renewal only revokes the newest.
    declared.database.rows(
        "UPDATE apikey SET created_at = ? WHERE id = ?", (stored(ago(days=31)), made[2].id)
    )
    declared.database.rows(
        "UPDATE apikey SET created_at = ? WHERE id != ?", (stored(ago(days=40)), made[2].id)
    )
    declared.apply().done()
    left = {row[0] for row in declared.keys("app")}
    assert {made[0].id, made[1].id} < left
    assert made[2].id not in left
    declared.assert_up_to_date()


def test_a_given_key_is_stored_and_replaced_when_its_file_changes(declared: Declared) -> None:
    values = [new_key(), new_key()]
    keys(declared, "{p: {value_from: {file: given}, grace: 1h}}", given=f"{values[0]}\n")
    declared.apply().done()
    declared.assert_up_to_date()
    (declared.site.folder / "given").write_text(values[1])
    assert [row[0] for row in declared.apply().done().rows] == ["renew"]
    for value in values:
        declared.assert_accepted(value, SUPERUSER)
    declared.assert_up_to_date()
    # The source has the old key again, which is in its grace period and exists.
    assert len(declared.keys("p")) == 2


def test_a_given_key_of_another_user_or_that_was_revoked_is_refused(declared: Declared) -> None:
    hers = declared.database.add_key(declared.database.add_user("alice"), "hers")
    keys(declared, "{p: {value_from: {file: given}}}", given=hers.plaintext)
    declared.apply().failed(5, "belongs to alice")
    value = new_key()
    (declared.site.folder / "given").write_text(value)
    declared.apply().done()
    declared.site.call("api-key", "revoke", "p", "--yes").done()
    declared.apply().failed(5, "was revoked")
    assert hash_of(value) not in {found for _, found in declared.keys("p")}


def test_a_kept_key_has_only_its_expiry_changed(declared: Declared, superuser: str) -> None:
    key = declared.database.add_key(superuser, "k", created_at=ago(days=2))
    keys(declared, "{k: {expires: 30d}}")
    assert declared.apply().done().rows[0][:5] == [
        "change",
        "api_key",
        SUPERUSER,
        "k",
        "expires_at",
    ]
    declared.assert_up_to_date()
    (listed,) = declared.site.call("api-key", "list", "--json").done().json()
    assert ahead(days=27) < parsed_iso(listed["expires_at"]) < ahead(days=29)
    # Within a minute nothing changes.
    for seconds, code in ((50, 0), (70, 8)):
        declared.database.rows(
            "UPDATE apikey SET expires_at = ?", (stored(ahead(days=28, seconds=seconds)),)
        )
        assert declared.plan("--exit-code").code == code
    keys(declared, "{k: {expires: 1d}}")
    declared.apply().failed(2, "has already passed")
    keys(declared, "{k: {expires_at: never, is_active: false}}")
    declared.apply().done()
    declared.assert_up_to_date()
    assert declared.database.rows("SELECT expires_at, is_active FROM apikey") == [(None, 0)]
    keys(declared, "{k: {is_active: true}}")
    declared.apply().done()
    declared.assert_accepted(key.plaintext, SUPERUSER)


def test_a_key_that_cannot_be_decrypted_cannot_be_delivered(
    declared: Declared, superuser: str
) -> None:
    declared.database.add_key(superuser, "other")
    key = declared.database.add_key(superuser, "app", secret_key=OTHER_SECRET_KEY)
    keys(declared, f"{{app: {KEY}}}")
    declared.apply().failed(7, "cannot be decrypted")
    # The key need not be stored if it is in the declared file.
    (declared.site.folder / "out/key").write_text(key.plaintext)
    declared.assert_up_to_date()


# The acting key, and keys that servers create


def acting(declared: Declared, superuser: str) -> tuple[SampleKey, dict[str, str | None]]:
    key = declared.database.add_key(superuser, "acting")
    return key, {"LANGKEYS_API_KEY": key.plaintext, "LANGFLOW_AUTO_LOGIN": "false"}


@pytest.mark.parametrize("how", ["{acting: {state: absent}}", "{acting: {is_active: false}}"])
def test_the_acting_key_is_never_ended(declared: Declared, superuser: str, how: str) -> None:
    key, settings = acting(declared, superuser)
    keys(declared, how)
    declared.apply(**settings).failed(5, "langkeys acts by")
    declared.assert_accepted(key.plaintext, SUPERUSER)
    declared.write(f"users: {{{SUPERUSER}: {{revoke_keys: true}}}}")
    declared.apply(**settings).failed(5, "langkeys acts by")


def test_what_is_never_pruned(declared: Declared, superuser: str) -> None:
    _, settings = acting(declared, superuser)
    for name in ("CLI", "MCP Server x", "MCP Project y", "extra", None):
        declared.database.add_key(superuser, name)
    declared.database.add_key(superuser, "graced")
    declared.site.call("api-key", "rotate", "graced", "--grace", "1h").done()
    declared.write(f"users: {{{SUPERUSER}: {{api_keys: {{graced: {{}}}}, complete: [api_keys]}}}}")
    result = declared.apply("--prune", **settings).done()
    assert sorted((row[0], row[3]) for row in result.rows) == [("remove", ""), ("remove", "extra")]
    left = declared.database.rows("SELECT name FROM apikey ORDER BY name")
    assert [row[0] for row in left] == [
        "CLI", "MCP Project y", "MCP Server x", "acting", "graced", "graced",
    ]  # fmt: skip
    declared.assert_up_to_date("--prune", **settings)


def test_files_of_the_deployment_are_never_written(declared: Declared) -> None:
    for file in ("m.yaml", "langflow.db"):
        if not (declared.site.folder / file).exists():
            continue  # the database is on a server
        keys(declared, f"{{app: {{write_to: {{file: {file}}}}}}}")
        before = (declared.site.folder / file).read_bytes()
        declared.apply().failed(5, "is not overwritten")
        assert (declared.site.folder / file).read_bytes() == before


def test_a_link_is_never_replaced(declared: Declared, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("")
    (declared.site.folder / "out/key").symlink_to(tmp_path / "target")
    keys(declared, f"{{app: {KEY}}}")
    declared.apply().failed(1, "symbolic link")
    assert declared.database.key_ids() == []
