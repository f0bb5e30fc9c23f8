"""After a rotation, the old secret key decrypts nothing in the database, not even deleted rows."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import InvalidToken

from ..support import vault
from ..support.databases import Database
from ..support.samples import SECRET_KEY, decrypted, encrypted
from ..support.sites import Site
from ..support.vault import Vault

ROTATE = ("secret-key", "rotate", "--yes")
STEP = "before-cleaning"


@pytest.fixture
def old(site: Site, superuser: str, database: Database) -> Vault:
    """A site with tokens in free pages, as left by a SQLite build without secure_delete."""
    found = vault.create(site, superuser)
    with closing(sqlite3.connect(found.database)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE gone (token TEXT)")
        with connection:
            connection.executemany("INSERT INTO gone VALUES (?)", [(encrypted("gone" * 99),)] * 50)
        with connection:
            connection.execute("DELETE FROM gone")
    found.plain_dump = found.decrypted_dump(SECRET_KEY)
    assert "gone" * 99 in tokens(found.database)
    return found


def under_the_old_key(found: Vault) -> int:
    """Count the tokens in the database's files that the old secret key decrypts."""
    files = found.database.parent.glob(f"{found.database.name}*")
    return sum(len(tokens(path)) for path in files if ".backup-" not in path.name)


def tokens(path: Path) -> list[str]:
    """Decrypt the tokens in a file with the old secret key; return the values."""
    found = []
    for token in re.findall(rb"gAAAAA[A-Za-z0-9_-]{60,}={0,2}", path.read_bytes()):
        with contextlib.suppress(InvalidToken):  # it is cut off, or encrypted with the new key
            found.append(decrypted(token.decode()))
    return found


def test_after_a_rotation_no_old_token_can_be_carved(old: Vault) -> None:
    done = old.site.run(*ROTATE).done()
    assert "warning" not in done.stderr
    assert under_the_old_key(old) == 0
    old.assert_whole()
    (backup,) = old.database.parent.glob("*.backup-*Z")
    assert old.decrypted_dump(SECRET_KEY, backup) == old.plain_dump
    assert "gone" * 99 not in tokens(backup)


def test_free_pages_that_cannot_be_cleaned_undo_nothing(old: Vault) -> None:
    done = old.site.run(*ROTATE, LANGKEYS_FAILPOINT=f"{STEP}=error").done()
    assert "free pages" in done.stderr
    assert str(old.database) in done.stderr
    assert "the new secret key is in" in done.stderr
    assert old.assert_whole() != SECRET_KEY


def test_a_rotation_killed_while_it_cleans_is_complete(old: Vault) -> None:
    assert old.site.run(*ROTATE, LANGKEYS_FAILPOINT=STEP).code == -9
    assert old.assert_whole() != SECRET_KEY
    assert "interrupted" not in old.site.call("secret-key", "check").done().stderr


@pytest.mark.skipif(not os.access("/sys/kernel", os.W_OK), reason="not root, or no sysfs")
def test_where_there_is_no_room_for_temporary_files_it_is_a_warning(old: Vault) -> None:
    # SQLite would write its copy of the database to this file system, which is full.
    done = old.site.run(*ROTATE, SQLITE_TMPDIR="/sys/kernel").done()
    assert "free pages" in done.stderr
    assert "/sys/kernel has 0 bytes free" in done.stderr
    assert old.assert_whole() != SECRET_KEY
