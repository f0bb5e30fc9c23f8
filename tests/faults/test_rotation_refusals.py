"""Rotations that are refused or fail: other processes, wrong settings, full and broken disks."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ..support import unprivileged, vault
from ..support.samples import OTHER_SECRET_KEY, SECRET_KEY, encrypted
from ..support.sites import Site
from ..support.vault import Vault

ROTATE = ("secret-key", "rotate", "--yes")


@pytest.fixture
def filled(site: Site, superuser: str) -> Vault:
    return vault.create(site, superuser)


def assert_untouched(filled: Vault) -> None:
    assert filled.assert_whole() == SECRET_KEY
    assert not list(filled.site.folder.glob("*.backup-*"))


@pytest.mark.parametrize("begun", [False, True], ids=["idle", "within a transaction"])
@pytest.mark.sample(1)
def test_a_rotation_beside_an_open_connection_is_refused(filled: Vault, begun: bool) -> None:
    with closing(sqlite3.connect(filled.database)) as server:
        server.execute("SELECT * FROM apikey").fetchone()
        if begun:
            server.execute("BEGIN IMMEDIATE")
        refused = filled.site.call(*ROTATE).failed(6, "stop the Langflow server")
        assert str(filled.database) in refused.stderr
        server.rollback()
    assert_untouched(filled)


def test_of_two_rotations_at_once_one_wins_and_the_other_says_so(
    site: Site, superuser: str
) -> None:
    filled = vault.create(site, superuser, keys=2000)
    processes = [filled.site.spawn(*ROTATE) for _ in range(2)]
    results = []
    for process in processes:
        with process:
            _, err = process.communicate(timeout=60)
        results.append((process.returncode, err.decode()))
    codes = sorted(code for code, _ in results)
    # If the first ends before the second starts, both may succeed.
    assert codes[0] == 0
    assert codes[1] in (0, 1, 2, 5, 6)
    if codes[1]:
        (said,) = [err for code, err in results if code]
        words = ("is running", "in use", "has just been changed", "differs from")
        assert any(word in said for word in words), said
    assert filled.assert_whole() != SECRET_KEY


def test_one_value_that_does_not_open_undoes_all_and_is_named(
    filled: Vault, superuser: str
) -> None:
    filled.site.database.add_variable(
        superuser, "FOREIGN", encrypted("x", OTHER_SECRET_KEY), "Credential"
    )
    before = filled.decrypted_dump(SECRET_KEY)
    said = filled.site.call(*ROTATE).failed(7, "nothing was written").stderr
    assert "variable.value" in said
    assert "(FOREIGN)" in said
    assert filled.decrypted_dump(SECRET_KEY) == before
    assert filled.leftovers() == []
    filled.site.call("secret-key", "check").stderr.index("cannot decrypt 1 value in")


def test_the_key_that_opens_the_rest_heals_a_database_of_mixed_keys(
    filled: Vault, superuser: str
) -> None:
    filled.site.database.add_variable(
        superuser, "FOREIGN", encrypted("healed", OTHER_SECRET_KEY), "Credential"
    )
    old = filled.site.folder / "old-key"
    old.write_text(OTHER_SECRET_KEY + "\n")
    checked = filled.site.call("secret-key", "check", "--old-key-file", str(old), "--json")
    assert checked.code == 7
    assert [key["opens"] for key in checked.json()["keys"]][1] == 1
    filled.site.call(*ROTATE, "--old-key-file", str(old)).done()
    key = filled.key_file.read_text()
    assert "<healed>" in "".join(filled.decrypted_dump(key))
    filled.site.call("secret-key", "check").done()


def test_an_unreadable_value_stays_as_it_is_where_that_is_wanted(
    filled: Vault, superuser: str
) -> None:
    token = encrypted("x", OTHER_SECRET_KEY)
    filled.site.database.add_variable(superuser, "FOREIGN", token, "Credential")
    done = filled.site.call(*ROTATE, "--skip-unreadable").done()
    assert "(FOREIGN)" in done.stderr
    rows = filled.site.database.rows("SELECT value FROM variable WHERE name = 'FOREIGN'")
    assert rows == [(token,)]


def test_a_stray_token_of_somebody_else_is_reported_and_does_not_stop_it(filled: Vault) -> None:
    token = encrypted("x", OTHER_SECRET_KEY)
    filled.site.database.rows("INSERT INTO message VALUES ('t9', ?)", (f"see {token}.",))
    done = filled.site.call(*ROTATE).done()
    assert "message.text of row t9" in done.stderr
    rows = filled.site.database.rows("SELECT text FROM message WHERE id = 't9'")
    assert rows == [(f"see {token}.",)]


def test_a_text_that_is_no_utf_8_is_rewritten_byte_for_byte(filled: Vault) -> None:
    database = filled.site.database
    text = b"\xff\xfe\0 " + encrypted("said").encode() + b" \x80"
    database.rows("INSERT INTO message VALUES ('t2', CAST(? AS TEXT))", (text,))
    filled.site.call(*ROTATE).done()
    ((kind, new),) = database.rows(
        "SELECT typeof(text), CAST(text AS BLOB) FROM message WHERE id = 't2'"
    )
    assert kind == "text"
    assert len(new) == len(text)
    assert new[:4] == text[:4]
    assert new[-2:] == text[-2:]
    assert new != text


def test_a_key_from_the_environment_needs_a_file_for_the_new_one(filled: Vault) -> None:
    site = filled.site
    site.call(*ROTATE, LANGFLOW_SECRET_KEY=SECRET_KEY).failed(2, "--new-key-file")
    site.call(*ROTATE, SECRET_KEY=SECRET_KEY).failed(2, "SECRET_KEY in the process environment")
    assert_untouched(filled)
    file = site.folder / "new-key"
    done = site.run(
        *ROTATE, "--new-key-file", str(file), LANGFLOW_SECRET_KEY=SECRET_KEY, umask=0
    ).done()
    assert file.stat().st_mode & 0o777 == 0o600
    assert filled.assert_whole() == file.read_text().strip()
    last = done.stderr.splitlines()[-1]
    assert f"set LANGFLOW_SECRET_KEY to the content of {file}" in last


def test_a_full_stdout_does_not_hide_what_to_set(filled: Vault) -> None:
    file = filled.site.folder / "new"
    with Path("/dev/full").open("wb") as full:
        done = filled.site.run(
            *ROTATE, "--new-key-file", str(file), stdout=full, LANGFLOW_SECRET_KEY=SECRET_KEY
        )
    assert done.code == 1
    assert f"set LANGFLOW_SECRET_KEY to the content of {file}" in done.stderr
    assert filled.assert_whole() == file.read_text().strip()


def test_what_is_staged_without_a_journal_is_not_overwritten(filled: Vault) -> None:
    staged = filled.key_file.with_name(".secret_key.langkeys-rotation")
    staged.write_text(OTHER_SECRET_KEY)
    filled.site.call(*ROTATE).failed(5, str(staged))
    assert staged.read_text() == OTHER_SECRET_KEY
    staged.unlink()
    assert_untouched(filled)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"version": 1}', "nonsense"])
def test_a_journal_that_is_none_is_told_and_nothing_is_done(filled: Vault, content: str) -> None:
    journal = filled.site.folder / ".langflow.db.langkeys-rotation"
    journal.write_text(content)
    journal.chmod(0o600)
    assert str(journal) in filled.site.call("api-key", "list").done().stderr
    filled.site.call("api-key", "create").failed(7, str(journal))
    assert journal.read_text() == content
    journal.unlink()
    assert_untouched(filled)


@pytest.mark.parametrize("step", ["before-commit", "committed"])
def test_a_broken_off_rotation_of_a_key_from_the_environment_says_what_to_set(
    filled: Vault, step: str
) -> None:
    site = filled.site
    for place in (filled.key_file, site.folder / ".env"):
        place.unlink()
    file = str(site.folder / "new-key")
    environment = {"LANGFLOW_SECRET_KEY": SECRET_KEY}
    killed = site.run(*ROTATE, "--new-key-file", file, LANGKEYS_FAILPOINT=step, **environment)
    assert killed.code == -9
    again = site.call("api-key", "migrate", **environment)
    if step == "before-commit":
        assert "not committed" in again.done().stderr
        return
    again.failed(7, f"set LANGFLOW_SECRET_KEY to the content of {file}")
    new = Path(file).read_text().strip()
    done = site.call("api-key", "migrate", LANGFLOW_SECRET_KEY=new).done()
    assert "was committed" in done.stderr
    assert filled.leftovers() == []
    assert filled.decrypted_dump(new) == filled.plain_dump


@pytest.mark.parametrize("text", ["short", "x" * 43 + "!", "A" * 42, "", "a b" * 15])
@pytest.mark.sample(2)
def test_a_new_key_that_no_server_would_make_is_refused(filled: Vault, text: str) -> None:
    file = filled.site.folder / "new"
    file.write_text(text)
    filled.site.call(*ROTATE, "--new-key-file", str(file)).failed(7)
    assert_untouched(filled)


def test_a_secret_key_behind_a_link_is_read_and_never_replaced(filled: Vault) -> None:
    target = filled.site.folder / "mounted"
    filled.key_file.rename(target)
    filled.key_file.symlink_to(target)
    (filled.site.folder / ".env").unlink()
    filled.site.call(*ROTATE).failed(2, "symbolic link")
    file = filled.site.folder / "new"
    done = filled.site.call(*ROTATE, "--new-key-file", str(file)).done()
    assert str(file) in done.stderr.splitlines()[-1]
    assert filled.key_file.is_symlink()
    assert target.read_text() == SECRET_KEY
    assert filled.decrypted_dump(file.read_text().strip()) == filled.plain_dump


def test_the_rest_of_the_env_file_its_mode_and_owner_stay(filled: Vault) -> None:
    env = filled.site.folder / ".env"
    env.chmod(0o640)
    before = env.read_bytes()
    filled.site.run(*ROTATE, umask=0).done()
    key = filled.assert_whole()
    assert env.read_bytes() == before.replace(SECRET_KEY.encode(), key.encode())
    assert env.stat().st_mode & 0o777 == 0o640
    for path in filled.site.folder.glob("langflow.db.backup-*"):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("limit", [1 << 14, 1 << 16, 1 << 17, 3 << 16, 1 << 18])
@pytest.mark.sample(2)
def test_a_limit_of_file_sizes_leaves_one_key_for_all(
    site: Site, superuser: str, limit: int
) -> None:
    filled = vault.create(site, superuser, keys=500)
    process = filled.site.spawn(
        *ROTATE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    with process:
        _, err = process.communicate(timeout=60)
    assert b"Traceback" not in err
    filled.site.call("secret-key", "check").done()
    assert (filled.assert_whole() == SECRET_KEY) is (process.returncode != 0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Callable[[int], Path]:
    """Return a function that mounts a disk of a size in bytes; needs root."""
    mounted = []

    def make(size: int) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if (
            shutil.which("mount") is None
            or subprocess.run(command, check=False, capture_output=True).returncode
        ):
            pytest.skip("only root can mount a disk")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=False)


@pytest.mark.sample(0)
def test_a_full_disk_leaves_one_key_for_all(
    site: Site, superuser: str, small_disk: Callable[[int], Path]
) -> None:
    original = vault.create(site, superuser, keys=500)
    size = sum(path.stat().st_size for path in site.folder.rglob("*") if path.is_file())
    outcomes = set()
    # Free space for nothing, part of the backup, the whole backup, part of the log, everything.
    for room in (8 << 10, 100 << 10, size + (30 << 10), 2 * size, 6 * size):
        disk = small_disk(size + room + (64 << 10))
        found = vault.copied(original, disk / "site")
        done = found.site.run(*ROTATE)
        for stale in found.site.folder.glob(".*.tmp*"):
            stale.unlink()
        found.site.call("secret-key", "check").done()
        assert (found.assert_whole() == SECRET_KEY) is (done.code != 0)
        outcomes.add(done.code)
    assert 0 in outcomes
    assert len(outcomes) > 1


def test_a_folder_that_cannot_be_written_is_found_out_before_anything_is_done(
    superuser: str, site: Site
) -> None:
    original = vault.create(site, superuser)
    with unprivileged.reachable_folder() as folder:
        found = vault.copied(original, folder / "site")
        (found.site.folder / "config").chmod(0o500)
        try:
            refused = found.site.run(*ROTATE, command=unprivileged.COMMAND).failed(1)
        finally:
            (found.site.folder / "config").chmod(0o700)
        assert "cannot write" in refused.stderr
        assert_untouched(found)


@pytest.mark.sample(0)
def test_a_lock_that_is_held_too_long_is_told_with_the_database(filled: Vault) -> None:
    with closing(sqlite3.connect(filled.database, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(20, other.rollback)
        timer.start()
        try:
            filled.site.call("api-key", "create").failed(6, str(filled.database), "locked")
        finally:
            timer.cancel()
        other.rollback()
