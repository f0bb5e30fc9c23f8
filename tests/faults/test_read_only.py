"""Databases that can only be read: on a read-only mount, or by a user who may not write."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import langkeys
from langkeys.errors import StoreError
from langkeys.store.protocol import KeyFilter
from langkeys.store.sqlite import database as database_module
from langkeys.store.sqlite.store import SqliteStore

from ..support.databases import Database, SampleKey, ahead
from ..support.sites import Result, Site
from ..support.unprivileged import COMMAND

READS = [
    ("api-key", "list"),
    ("api-key", "show", "sample"),
    ("whoami",),
    ("secret-key", "check"),
    ("user", "list"),
    ("variable", "list"),
    ("doctor",),
]
MISSING = "changes of a running server may be missing"


@pytest.fixture
def key(site: Site, database: Database, superuser: str) -> SampleKey:
    """A key in a database in WAL mode that no process has open, in its own folder."""
    folder = site.folder / "data"
    folder.mkdir()
    database.use_wal()
    key = database.add_key(superuser)
    database.add_variable(superuser, "TOKEN", "x", "Generic")
    database.path.rename(folder / "langflow.db")
    site.path = Path("data/langflow.db")
    site.settings["LANGFLOW_DATABASE_URL"] = f"sqlite:///{folder / 'langflow.db'}"
    site.settings["LANGKEYS_AUDIT_LOG"] = "off"
    return key


@contextmanager
def folder_without_write(site: Site) -> Iterator[None]:
    """Make the folder and the file read-only, for users to whom file modes apply."""
    folder, file = site.database.path.parent, site.database.path
    file.chmod(0o444)
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)
        file.chmod(0o644)


def bound(site: Site, *arguments: str, stdin: str = "") -> Result:
    return site.run(*arguments, stdin=stdin, command=COMMAND)


@pytest.mark.parametrize("command", READS, ids=" ".join)
def test_a_user_who_may_not_write_reads_with_a_warning(
    site: Site, key: SampleKey, command: tuple[str, ...]
) -> None:
    with folder_without_write(site):
        done = bound(site, *command)
    assert done.code == 0 or (command == ("doctor",) and done.code == 1), done
    assert done.stdout
    assert MISSING in done.stderr + done.stdout
    assert [path.name for path in site.database.path.parent.iterdir()] == ["langflow.db"]


def test_a_backup_is_made(site: Site, key: SampleKey) -> None:
    with folder_without_write(site):
        done = bound(site, "backup", "copy.db").done()
    assert MISSING in done.stderr
    copy = Database(site.folder / "copy.db")
    assert copy.key_ids() == [key.id]
    assert copy.journal_mode() == "wal"


def test_whose_key_it_is_is_not_told(site: Site, key: SampleKey) -> None:
    with folder_without_write(site):
        bound(site, "whoami", "--api-key", "-", stdin=key.plaintext).failed(6, "revoked")


def test_what_writes_fails(site: Site, key: SampleKey) -> None:
    with folder_without_write(site):
        bound(site, "api-key", "revoke", "sample", "--yes").failed(6, str(site.database.path))
    assert site.database.key_ids() == [key.id]


@pytest.mark.parametrize("readable", [True, False])
def test_beside_a_server_its_log_is_read_or_needed(
    site: Site, key: SampleKey, superuser: str, readable: bool
) -> None:
    path = site.database.path
    with closing(sqlite3.connect(path, isolation_level=None)) as server:
        server.execute("UPDATE apikey SET name = 'renamed'")
        wal = path.with_name("langflow.db-wal")
        assert wal.stat().st_size
        path.with_name("langflow.db-shm").chmod(0o444 if readable else 0)
        wal.chmod(0o444 if readable else 0)
        with folder_without_write(site):
            done = bound(site, "api-key", "list")
    if readable:
        assert [row[1] for row in done.done().rows] == ["renamed"]
        assert MISSING not in done.stderr
    else:
        done.failed(6, "langflow.db-wal", "server's user")


@pytest.mark.parametrize("name", ["langflow.db-wal", "langflow.db-journal"])
def test_a_log_that_is_left_alone_is_never_passed_over(
    site: Site, key: SampleKey, name: str
) -> None:
    path = site.database.path
    path.with_name(name).write_bytes(b"x" * 4096)
    with folder_without_write(site):
        bound(site, "api-key", "list").failed(6, name)


# What changes meanwhile


@pytest.fixture
def mount(key: SampleKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let opening the database normally fail, as on a read-only mount."""
    prepare = database_module.Database._prepare

    def unable(self: database_module.Database, **named: object) -> None:
        if self._snapshot is None:
            raise StoreError("unable to open database file")
        prepare(self, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(database_module.Database, "_prepare", unable)


@pytest.fixture
def snapshot(site: Site, mount: None) -> Iterator[SqliteStore]:
    """A store that is read as an immutable file."""
    with closing(SqliteStore(site.database.path)) as store:
        assert store.is_snapshot
        yield store


def test_a_snapshot_reads_while_nothing_changes(snapshot: SqliteStore, key: SampleKey) -> None:
    assert snapshot.find_api_key(key.id) is not None
    assert [cell for page in snapshot.cells(lambda _: None) for cell in page]


def test_what_is_no_database_of_langflow_is_no_snapshot_either(site: Site, mount: None) -> None:
    site.database.rows("DROP TABLE apikey")
    with pytest.raises(StoreError, match="it has no table apikey"):
        SqliteStore(site.database.path)


@pytest.mark.parametrize("change", ["wal", "journal", "size", "time", "replaced", "gone"])
def test_nothing_is_told_from_a_snapshot_once_something_has_changed(
    site: Site, snapshot: SqliteStore, key: SampleKey, change: str
) -> None:
    path = site.database.path
    if change in ("wal", "journal"):
        path.with_name(f"langflow.db-{change}").touch()
    elif change == "size":
        with path.open("ab") as file:
            file.write(b"\0" * 4096)
    elif change == "time":
        os.utime(path)
    elif change == "gone":
        path.unlink()
    else:
        shutil.copy2(path, path.with_name("other"))
        path.with_name("other").replace(path)
    for read in (
        lambda: snapshot.find_api_key(key.id),
        lambda: list(snapshot.api_keys(KeyFilter(now=ahead()))),
        lambda: list(snapshot.cells(lambda _: None)),
        lambda: snapshot.copy_to(site.folder / "copy.db", lambda *_: None),
    ):
        with pytest.raises(StoreError):
            read()
    assert not (site.folder / "copy.db").exists()


def test_the_library_verifies_nothing_from_a_snapshot(
    site: Site, snapshot: SqliteStore, key: SampleKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in site.settings.items():
        monkeypatch.setenv(name, text)
    with langkeys.open_store() as store, pytest.raises(StoreError, match="revoked"):
        store.verify(key.plaintext)


# A mount

_MOUNTED = """
set -e
mount --bind "$1" "$1"
mount -o remount,ro,bind "$1"
shift
exec "$@"
"""


def mounted(site: Site, *arguments: str) -> Result:
    """Run langkeys with the database's folder mounted read-only, only for this process."""
    folder = str(site.database.path.parent)
    inside = ("unshare", "-m", "sh", "-c", _MOUNTED, "sh", folder, sys.executable, "-m", "langkeys")
    return site.run(*arguments, command=inside)


def can_mount() -> bool:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    script = "mount --bind /tmp /tmp && mount -o remount,ro,bind /tmp"
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs to mount")
def test_on_a_read_only_mount_what_reads_works(site: Site, key: SampleKey) -> None:
    for command in READS:
        done = mounted(site, *command)
        assert done.code == 0 or (command == ("doctor",) and done.code == 1), done
        assert MISSING in done.stderr + done.stdout
    mounted(site, "backup", "copy.db").done()
    assert Database(site.folder / "copy.db").key_ids() == [key.id]
    mounted(site, "api-key", "revoke", "sample", "--yes").failed(6)


@pytest.mark.skipif(not can_mount(), reason="needs to mount")
def test_a_database_in_another_mode_is_read_there_as_everywhere(site: Site, key: SampleKey) -> None:
    assert site.database.rows("PRAGMA journal_mode = DELETE") == [("delete",)]
    done = mounted(site, "api-key", "list").done()
    assert MISSING not in done.stderr
    assert len(done.rows) == 1
