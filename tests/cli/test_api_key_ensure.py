"""api-key ensure: the key in a file works and has the name, even after many or parallel runs."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable

import pytest

from ..support.databases import Database, ago, ahead
from ..support.samples import OTHER_SECRET_KEY, decrypted, hash_of, new_api_key
from ..support.sites import Result, Site

pytestmark = pytest.mark.every_engine

Run = Callable[..., Result]


def _stored(database: Database) -> list[str]:
    return [decrypted(row[0]) for row in database.rows("SELECT api_key FROM apikey ORDER BY rowid")]


def test_a_missing_file_is_created_with_a_new_key_that_is_stored(
    run: Run, site: Site, database: Database
) -> None:
    result = run("api-key", "ensure", "app", "--value-file", "key", "--json", umask=0).done()
    path = site.folder / "key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert _stored(database) == [path.read_text().removesuffix("\n")]
    described = result.json()
    assert (described["name"], described["changed"], described["others"]) == ("app", True, [])
    assert described["written_to"] == str(path)
    assert described["api_key"].endswith("*")


def test_run_again_it_changes_nothing_and_says_so(
    call: Run, site: Site, database: Database
) -> None:
    call("api-key", "ensure", "app", "--value-file", "key").done()
    before, text = database.content(), (site.folder / "key").read_bytes()
    described = call("api-key", "ensure", "app", "--value-file", "key", "--json").done().json()
    assert described["changed"] is False
    assert "written_to" not in described
    assert database.content() == before
    assert (site.folder / "key").read_bytes() == text


@pytest.mark.parametrize("ending", ["", "\n"])
def test_a_key_that_the_file_brings_is_stored_with_its_hash(
    call: Run, site: Site, database: Database, ending: str
) -> None:
    key = new_api_key()
    (site.folder / "key").write_text(key + ending)
    call("api-key", "ensure", "app", "--value-file", "key", "--expires", "30d").done()
    assert _stored(database) == [key]
    ((key_hash, expires_at),) = database.rows("SELECT api_key_hash, expires_at FROM apikey")
    assert key_hash == hash_of(key)
    assert expires_at is not None


def test_a_key_of_another_name_is_renamed_and_keeps_its_end(
    call: Run, site: Site, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "old name", expires_at=ahead(days=3))
    (site.folder / "key").write_text(key.plaintext)
    before = database.rows("SELECT expires_at FROM apikey")
    described = (
        call("api-key", "ensure", "app", "--value-file", "key", "--expires", "90d", "--json")
        .done()
        .json()
    )
    assert (described["id"], described["changed"]) == (key.dashed, True)
    assert database.rows("SELECT name FROM apikey") == [("app",)]
    assert database.rows("SELECT expires_at FROM apikey") == before


@pytest.mark.parametrize("state", [{"expires_at": ago(days=1)}, {"is_active": False}])
def test_an_expired_or_inactive_key_is_not_brought_back(
    call: Run, site: Site, database: Database, superuser: str, state: dict[str, object]
) -> None:
    key = database.add_key(superuser, "app", **state)  # type: ignore[arg-type]
    (site.folder / "key").write_text(key.plaintext)
    before = database.content()
    result = call("api-key", "ensure", "app", "--value-file", "key", "--json")
    result.failed(5)
    assert result.error["code"] == "conflict"
    assert database.content() == before


def test_somebody_elses_key_is_not_taken_over(call: Run, site: Site, database: Database) -> None:
    key = database.add_key(database.add_user("alice"), "app")
    (site.folder / "key").write_text(key.plaintext)
    call("api-key", "ensure", "app", "--value-file", "key").failed(5, "alice")
    call("api-key", "ensure", "app", "--value-file", "key", "--user", "alice").done()


@pytest.mark.parametrize(
    "content",
    ["", "\n", "sk-short", "x" * 60, "sk-" + "a" * 40 + "\n\n", "sk-" + "a" * 20 + " " * 20],
)
def test_a_file_that_holds_no_key_is_refused_and_stays(
    call: Run, site: Site, database: Database, content: str
) -> None:
    path = site.folder / "key"
    path.write_text(content)
    before = database.content()
    call("api-key", "ensure", "app", "--value-file", "key").failed(2, str(path))
    assert path.read_text() == content
    assert database.content() == before


def test_a_symbolic_link_is_read_and_a_dangling_one_is_not_written_through(
    call: Run, site: Site, database: Database
) -> None:
    (site.folder / "mounted").write_text(new_api_key())
    (site.folder / "key").symlink_to("mounted")
    call("api-key", "ensure", "app", "--value-file", "key").done()
    (site.folder / "mounted").unlink()
    call("api-key", "ensure", "app", "--value-file", "key").failed(1, "symbolic link")
    assert not (site.folder / "mounted").exists()
    assert (site.folder / "key").is_symlink()


def test_a_file_that_others_can_read_is_warned_about(
    call: Run, site: Site, database: Database
) -> None:
    path = site.folder / "key"
    path.write_text(new_api_key())
    path.chmod(0o644)
    assert "others" in call("api-key", "ensure", "app", "--value-file", "key").done().stderr


def test_others_of_that_name_and_user_are_listed_and_replace_revokes_them(
    call: Run, database: Database, superuser: str
) -> None:
    other = database.add_key(superuser, "app")
    hers = database.add_key(database.add_user("alice"), "app")
    # Without --new, the missing file would get the stored key.
    made = ("api-key", "ensure", "app", "--value-file", "key", "--new", "--json")
    first = call(*made).done().json()
    assert first["others"] == [other.dashed]
    assert other.id in database.key_ids()
    arguments = ("api-key", "ensure", "app", "--value-file", "key", "--replace", "--json")
    second = call(*arguments).done().json()
    assert (second["others"], second["changed"]) == ([other.dashed], True)
    assert other.id not in database.key_ids()
    assert hers.id in database.key_ids()
    third = call(*arguments).done().json()
    assert (third["others"], third["changed"]) == ([], False)


def test_a_folder_that_is_missing_is_an_error_before_the_database_is_touched(
    call: Run, database: Database
) -> None:
    before = database.content()
    call("api-key", "ensure", "app", "--value-file", "nowhere/key").failed(1, "nowhere/key")
    assert database.content() == before


def test_ten_that_start_at_once_agree_on_one_key(site: Site, database: Database) -> None:
    database.use_wal()
    processes = [
        site.spawn("api-key", "ensure", "app", "--value-file", "key", stdout=subprocess.DEVNULL)
        for _ in range(10)
    ]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 10, errors
    assert _stored(database) == [(site.folder / "key").read_text().removesuffix("\n")]
    assert not [path.name for path in site.folder.iterdir() if path.suffix == ".tmp"]


@pytest.mark.parametrize("release", ["1.5", "1.8", "1.9", "1.10.0", "1.13"])
def test_every_generation_finds_the_key_again(site_of: Callable[[str], Site], release: str) -> None:
    site = site_of(release)
    for _ in range(2):
        site.call("api-key", "ensure", "app", "--value-file", "key").done()
    assert len(site.database.key_ids()) == 1


# A file that has been deleted


def test_the_stored_key_is_written_to_a_missing_file_again(site: Site, database: Database) -> None:
    (site.folder / "out").mkdir()
    file = site.folder / "out" / "key"
    for number in range(5):
        result = site.call("api-key", "ensure", "app", "--value-file", str(file), "--json").done()
        value = file.read_text()
        assert result.json()["changed"] is True
        assert result.json()["written_to"] == str(file)
        assert file.stat().st_mode & 0o777 == 0o600
        assert database.rows("SELECT api_key_hash FROM apikey") == [(hash_of(value),)], number
        file.unlink()
    result = site.call("api-key", "ensure", "app", "--value-file", str(file)).done()
    assert "the stored key was written to it again" in result.stderr
    assert "deliver api_key" in site.call("audit").done().stdout


def test_another_key_is_made_with_new(site: Site, database: Database) -> None:
    for options in ((), ("--new",)):
        site.call("api-key", "ensure", "app", "--value-file", "key", *options).done()
        (site.folder / "key").unlink()
    assert len(database.key_ids()) == 2
    # It is not known which of the two was in the file.
    site.call("api-key", "ensure", "app", "--value-file", "key").done()
    assert len(database.key_ids()) == 3


def test_only_a_working_key_is_written_again(
    site: Site, database: Database, superuser: str
) -> None:
    alice = database.add_user("alice")
    database.add_key(superuser, "app", expires_at=ago(hours=1))
    database.add_key(superuser, "app", is_active=False)
    database.add_key(superuser, "other")
    database.add_key(alice, "app")
    database.add_key(superuser, "app", secret_key=OTHER_SECRET_KEY, created_at=ago(hours=1))
    result = site.call("api-key", "ensure", "app", "--value-file", "key").done()
    assert "cannot be decrypted" in result.stderr
    made = hash_of((site.folder / "key").read_text())
    assert database.rows("SELECT count(*) FROM apikey") == [(6,)]
    assert database.rows("SELECT name FROM apikey WHERE api_key_hash = ?", (made,)) == [("app",)]


def test_a_key_in_its_grace_is_not_the_one(site: Site, database: Database) -> None:
    site.call("api-key", "ensure", "app", "--value-file", "key").done()
    site.call("api-key", "rotate", "app", "--grace", "1h", "--write-to", "key").done()
    new = (site.folder / "key").read_text()
    (site.folder / "key").unlink()
    site.call("api-key", "ensure", "app", "--value-file", "key").done()
    assert (site.folder / "key").read_text() == new
    assert len(database.key_ids()) == 2
