"""Delivery of new keys: their owners, files and formats."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Callable

import pytest

from langkeys.cli.key_files import file_names

from ..store.conftest import api_key
from ..support.databases import Database
from ..support.samples import new_api_key
from ..support.sites import Result, Site

pytestmark = pytest.mark.every_engine

Run = Callable[..., Result]


# Endings


@pytest.mark.parametrize("command", ["create", "rotate", "ensure"])
def test_one_key_in_a_file_has_no_newline_at_its_end(
    call: Run, site: Site, database: Database, superuser: str, command: str
) -> None:
    database.add_key(superuser, "ci")
    arguments = {
        "create": ("create", "--write-to", "key"),
        "rotate": ("rotate", "ci", "--write-to", "key"),
        "ensure": ("ensure", "app", "--value-file", "key"),
    }[command]
    call("api-key", *arguments).done()
    content = (site.folder / "key").read_bytes()
    assert len(content) == 46
    call("whoami", "--api-key-file", "key").done()


@pytest.mark.parametrize("count", [2, 3, 1203])
def test_several_keys_in_a_file_are_one_a_line_each_with_a_newline(
    call: Run, site: Site, count: int
) -> None:
    call("api-key", "create", "--count", str(count), "--write-to", "keys").done()
    content = (site.folder / "keys").read_bytes()
    assert content.endswith(b"\n")
    assert [len(line) for line in content.split(b"\n")] == [46] * count + [0]


@pytest.mark.parametrize("arguments", [(), ("--write-to", "-"), ("--count", "1")])
def test_stdout_always_ends_with_a_newline(
    call: Run, site: Site, arguments: tuple[str, ...]
) -> None:
    result = call("api-key", "create", *arguments).done()
    assert result.stdout.endswith("\n")
    assert len(result.lines) == 1
    assert not (site.folder / "-").exists()


# Files that may be replaced


@pytest.mark.parametrize("json_", [(), ("--json",)])
def test_create_does_not_replace_what_is_not_empty(
    call: Run, site: Site, database: Database, json_: tuple[str, ...]
) -> None:
    path = site.folder / "key"
    path.write_text("the only copy")
    before = database.content()
    result = call("api-key", "create", "--write-to", "key", *json_).failed(5, str(path))
    assert "--replace" in result.stderr
    assert path.read_text() == "the only copy"
    assert database.content() == before
    call("api-key", "create", "--write-to", "key", "--replace", *json_).done()
    assert path.read_text().startswith("sk-")


def test_create_fills_a_file_that_is_empty(call: Run, site: Site) -> None:
    path = site.folder / "key"
    path.touch(0o640)
    call("api-key", "create", "--write-to", "key").done()
    assert path.read_text().startswith("sk-")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_that_is_filled_meanwhile_is_left_alone_and_the_key_taken_back(
    site: Site, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from langkeys.api_keys import lifecycle as api_keys

    path, check = site.folder / "key", api_keys.check_stored

    def fill(*arguments: object) -> None:
        check(*arguments)  # type: ignore[arg-type]
        path.write_text("somebody else's")

    monkeypatch.setattr(api_keys, "check_stored", fill)
    said = "hint: the new API key could not be delivered and has been removed again"
    site.call("api-key", "create", "--write-to", "key").failed(5, str(path), said)
    assert path.read_text() == "somebody else's"
    assert database.key_ids() == []


# Keys without a separator


def _together(keys: list[str]) -> list[str]:
    return ["".join(keys) + "\n", f"{keys[0]} {keys[1]}\n", f"{keys[0]},{keys[1]}"]


@pytest.mark.parametrize("form", [0, 1, 2])
@pytest.mark.parametrize(
    "arguments", [("revoke", "-", "--yes"), ("rotate", "-"), ("show", "-"), ("deactivate", "-")]
)
def test_keys_that_run_together_are_refused_before_anything_is_done(
    call: Run, database: Database, superuser: str, arguments: tuple[str, ...], form: int
) -> None:
    keys = [database.add_key(superuser).plaintext for _ in range(3)]
    before = database.content()
    stdin = f"{keys[2]}\n{_together(keys[:2])[form]}"
    result = call("api-key", *arguments, stdin=stdin).failed(2, "several API keys", "line 2")
    assert database.content() == before
    for key in keys:
        assert key not in result.stderr


def test_keys_that_run_together_in_a_value_file_are_refused(
    call: Run, site: Site, database: Database, superuser: str
) -> None:
    (site.folder / "key").write_text(new_api_key() + new_api_key())
    call("api-key", "ensure", "app", "--value-file", "key").failed(
        2, f"error: {site.folder / 'key'} holds several API keys in one line\n"
    )
    assert database.key_ids() == []


def test_a_key_that_has_sk_in_its_midst_by_chance_is_one_key(
    call: Run, database: Database, superuser: str
) -> None:
    value = "sk-" + "a" * 20 + "sk-" + "b" * 20
    key = database.add_key(superuser, plaintext=value)
    assert key.dashed in call("api-key", "show", "-", stdin=value).done().stdout


# A file for each key


def test_each_key_goes_into_a_file_named_after_it(
    call: Run, site: Site, database: Database
) -> None:
    owner = database.add_user("alice")
    olds = {
        name: database.add_key(owner, name)
        for name in ("ci", "../../etc/x", "..", "a/b", "with space", "twice")
    }
    database.add_key(owner, "twice")
    folder = site.folder / "keys"
    folder.mkdir()
    (folder / "ci").write_text(olds["ci"].plaintext)
    arguments = ("api-key", "rotate", "--user", "alice", "--all", "--write-to-dir", "keys")
    made = call(*arguments, "--json").done().json()
    twice = [item for item in made if item["name"] == "twice"]
    assert {path.name for path in folder.iterdir()} == {
        "ci", ".._.._etc_x", "__", "a_b", "with space",
        *(f"twice-{item['id'][:8]}" for item in twice),
    }  # fmt: skip
    assert not (site.folder.parent / "etc").exists()
    for item in made:
        value = (folder / item["written_to"]).read_text()
        assert stat.S_IMODE((folder / item["written_to"]).stat().st_mode) == 0o600
        assert item["api_key"] == value[:8] + "*" * 38
        answer = call("whoami", "--api-key", "-", "--json", stdin=value).done().json()
        assert answer["api_key"]["id"] == item["id"]
    assert len(database.key_ids()) == len(made) == 7


def test_names_of_files_are_told_apart_and_fit() -> None:
    ids = ["3f2a9c41" + "0" * 24, "3f2a9c41" + "1" * 24, "4" * 32, "5" * 32, "6" * 32]
    names = ["a/b", "a_b", "CI", "ci", "ü" * 255]
    keys = [api_key(name, key_id=key_id) for name, key_id in zip(names, ids, strict=True)]
    found = file_names(keys)
    assert found[:4] == ["a_b-3f2a9c41", "a_b-3f2a9c411", "CI-44444444", "ci-55555555"]
    assert found[4] == "ü" * 100
    assert file_names([api_key(None)]) == ["_"]


def test_a_folder_that_cannot_be_written_is_found_out_before_the_database_is_touched(
    call: Run, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "ci")
    before = database.content()
    call("api-key", "rotate", "ci", "--write-to-dir", "nowhere").failed(1, "nowhere")
    call("api-key", "rotate", "ci", "--write-to-dir", ".", "--write-to", "x").failed(2)
    assert database.content() == before


def test_where_some_files_have_arrived_their_keys_stay_and_no_old_one_ends(
    site: Site, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from langkeys.files.staged import StagedFile

    owner = database.add_user("alice")
    olds = [database.add_key(owner, name) for name in ("first", "second", "third")]
    publish = StagedFile.publish

    def fail_at_second(staged: StagedFile, *, replace: bool | None = None) -> None:
        if staged.path.name == "second":
            raise staged._failure(OSError(28, "No space left on device"))
        publish(staged, replace=replace)

    monkeypatch.setattr(StagedFile, "publish", fail_at_second)
    arguments = ("api-key", "rotate", "--user", "alice", "--all", "--write-to-dir", ".")
    result = site.call(*arguments).failed(1, "second", str(site.folder / "first"))
    assert "the other 2" in result.stderr
    assert {key.id for key in olds} < set(database.key_ids())
    assert len(database.key_ids()) == 4
    value = (site.folder / "first").read_text()
    site.call("whoami", "--api-key", "-", stdin=value).done()


# Kubernetes


def _validated(text: str) -> dict[str, object]:
    import kubernetes_validate

    manifest = json.loads(text)
    kubernetes_validate.validate(manifest, "1.31", strict=True)
    assert (manifest["apiVersion"], manifest["kind"]) == ("v1", "Secret")
    return dict(manifest)


def test_a_manifest_holds_the_key(call: Run, database: Database, superuser: str) -> None:
    result = call("api-key", "create", "--format", "k8s-secret").done()
    manifest = _validated(result.stdout)
    assert manifest["metadata"] == {"name": "langflow-api-key"}
    ((name, encoded),) = manifest["data"].items()  # type: ignore[attr-defined]
    assert name == "api-key"
    call("whoami", "--api-key", "-", stdin=base64.b64decode(encoded).decode()).done()


@pytest.mark.parametrize("command", [("create",), ("rotate", "ci")])
def test_the_names_in_a_manifest_can_be_given_and_it_goes_into_files_too(
    call: Run, site: Site, database: Database, superuser: str, command: tuple[str, ...]
) -> None:
    database.add_key(superuser, "ci")
    names = ("--secret-name", "ci.langflow", "--secret-key", "KEY_1.x", "--namespace", "prod")
    arguments = ("api-key", *command, "--format", "k8s-secret", *names, "--write-to", "key.json")
    described = call(*arguments, "--json").done().json()
    assert described["api_key"].endswith("*")
    text = (site.folder / "key.json").read_text()
    assert text.endswith("}\n")
    manifest = _validated(text)
    assert manifest["metadata"] == {"name": "ci.langflow", "namespace": "prod"}
    assert list(manifest["data"]) == ["KEY_1.x"]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--secret-name", "x"),
        ("--namespace", "x"),
        ("--secret-key", "x"),
        ("--format", "yaml"),
        ("--format", "k8s-secret", "--secret-name", "Upper"),
        ("--format", "k8s-secret", "--secret-name", "a/b"),
        ("--format", "k8s-secret", "--secret-key", "a b"),
        ("--format", "k8s-secret", "--secret-key", ".."),
        ("--format", "k8s-secret", "--namespace", "a.b"),
        ("--format", "k8s-secret", "--count", "2"),
        ("--format", "k8s-secret", "--json"),
    ],
)
def test_a_manifest_that_cannot_be_is_a_usage_error(
    call: Run, database: Database, arguments: tuple[str, ...]
) -> None:
    call("api-key", "create", *arguments).failed(2)
    assert database.key_ids() == []


# Expiry


@pytest.mark.parametrize("release", ["1.5", "1.9", "1.13"])
def test_create_takes_never(site_of: Callable[[str], Site], release: str) -> None:
    arguments = ("api-key", "create", "--expires", "never", "--json")
    assert site_of(release).call(*arguments).done().json()["expires_at"] is None


# Owners


def test_for_an_inactive_owner_no_key_is_made_that_a_server_refuses(site: Site) -> None:
    site.database.add_user("alice", is_active=False)
    site.call("api-key", "--user", "alice").failed(5, "inactive", "user activate")
    assert site.database.key_ids() == []


@pytest.mark.parametrize("release", ["1.5", "1.8", "1.10"])
def test_where_the_key_of_an_inactive_owner_runs_flows_that_is_a_warning(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    site.database.add_user("alice", is_active=False)
    assert "inactive" in site.call("api-key", "--user", "alice").done().stderr
