"""Generate, check and rotate secret keys; killed rotations are in tests/faults."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langkeys.config import dotenv
from langkeys.crypto.cipher import Cipher
from langkeys.crypto.hashes import new_secret_key
from langkeys.errors import ConfigError
from langkeys.secret_key.files import rewritten_env
from langkeys.secret_key.reencryption import Reader
from langkeys.store.protocol import Cell

from ..support import databases, vault
from ..support.databases import Database
from ..support.samples import OTHER_SECRET_KEY, SECRET_KEY, assert_no_secret, encrypted
from ..support.sites import Result, Site
from ..support.vault import Vault

ROTATE = ("secret-key", "rotate", "--yes")
OLD, NEW = (Cipher(key, source="test") for key in (SECRET_KEY, OTHER_SECRET_KEY))


@pytest.fixture
def filled(site: Site, superuser: str) -> Vault:
    return vault.create(site, superuser)


def cell(text: bytes, kind: str = "other") -> Cell:
    return Cell("t", "c", "1", None, kind, (1,), text)


# Tokens in texts


@given(
    st.binary(max_size=200),
    st.binary(max_size=30),
    st.sampled_from([b"", b"=", b"==", b"%3D", b"\\u003d", b"_and", b"Z", b" ", b'"', b"\xff"]),
)
def test_a_token_is_replaced_where_it_stands_and_not_a_byte_around_it(
    content: bytes, before: bytes, after: bytes
) -> None:
    token = OLD.encrypt_content(content, at=1_700_000_000).rstrip(b"=")
    text = before + token + after
    reader = Reader([OLD], new=NEW)
    new, view = reader.read(cell(text))
    assert reader.decrypted_by == [0]
    assert len(new) == len(text)
    assert new.startswith(before)
    assert new.endswith(after)
    again, same = Reader([NEW]).read(cell(new))
    assert (again, same) == (new, view)
    assert content in view


@pytest.mark.parametrize(("starts", "is_found"), [(1, True), (7, True), (8, False), (20, False)])
def test_a_token_is_found_behind_a_few_false_starts_in_one_run(starts: int, is_found: bool) -> None:
    token = OLD.encrypt_content(b"content", at=1_700_000_000).rstrip(b"=")
    text = b"gAAAAAx" * starts + token
    reader = Reader([OLD], new=NEW)
    new, _ = reader.read(cell(text))
    assert (new != text) is is_found
    assert reader.decrypted_by == [0] * is_found


@given(st.text("gA_-=x1 ", max_size=300))
def test_what_only_looks_like_a_token_stays(text: str) -> None:
    new, _ = Reader([OLD], new=NEW).read(cell(text.encode()))
    assert new == text.encode()


def test_a_token_keeps_its_age() -> None:
    token = OLD.encrypt_content(b"x", at=1_500_000_000)
    new, _ = Reader([OLD], new=NEW).read(cell(token, "value"))
    assert new[:12] == token[:12]


def test_a_value_that_was_encrypted_twice_is_opened_twice() -> None:
    twice = OLD.encrypt(f"<{OLD.encrypt('inner')}>")
    new, _ = Reader([OLD], new=NEW).read(cell(twice.encode(), "value"))
    once = NEW.find_plaintext(new.decode())
    assert once is not None
    assert NEW.find_plaintext(once[1:-1]) == "inner"


def test_two_tokens_without_anything_between_are_two() -> None:
    tokens = [OLD.encrypt(text).rstrip("=") for text in ("x" * 40, "y")]
    reader = Reader([OLD], new=NEW)
    reader.read(cell("".join(tokens).encode()))
    assert reader.decrypted_by == [0, 0]


def test_an_envelope_is_sealed_anew_as_langflow_seals() -> None:
    text = vault.sealed("client secret", SECRET_KEY)
    new, _ = Reader([OLD], new=NEW).read(cell(text.encode(), "envelope"))
    assert vault.unsealed(new.decode(), OTHER_SECRET_KEY) == "client secret"


@pytest.mark.parametrize("text", ["gAAAAA" * 50_000, "gAAAAA " * 20_000, "gAAAAA" + "A" * 10**6])
def test_a_text_that_means_harm_takes_no_time(text: str) -> None:
    new, _ = Reader([OLD, NEW], new=NEW).read(cell(text.encode()))
    assert new == text.encode()


# The .env line

LINES = (
    "LANGFLOW_SECRET_KEY={}\n",
    "LANGFLOW_SECRET_KEY = '{}' # why\r\n",
    'export LANGFLOW_SECRET_KEY="{}"',
    "A=1\n\n# LANGFLOW_SECRET_KEY=old\nLANGFLOW_SECRET_KEY={}   # c\nB='x y'\n",
    "LANGFLOW_SECRET_KEY={0}\nX=${{LANGFLOW_SECRET_KEY}}\n",
)


@pytest.mark.parametrize("line", LINES[:4])
def test_the_env_line_changes_and_nothing_else_does(line: str) -> None:
    text = line.format(SECRET_KEY)
    new = rewritten_env(text, Path(".env"), ("LANGFLOW_SECRET_KEY",), SECRET_KEY, OTHER_SECRET_KEY)
    assert new == line.format(OTHER_SECRET_KEY)


def test_a_line_that_others_build_on_is_not_changed_behind_their_back() -> None:
    text = LINES[4].format(SECRET_KEY)
    with pytest.raises(ConfigError):
        rewritten_env(text, Path(".env"), ("LANGFLOW_SECRET_KEY",), SECRET_KEY, OTHER_SECRET_KEY)


_PIECES = ("A=1\n", "# c\n", "\n", "B='q'\n", 'export C="d e"\n', "D\n", "E=é\n", "F=$HOME\r\n")


@given(st.lists(st.sampled_from(_PIECES), max_size=6), st.lists(st.sampled_from(_PIECES)))
def test_any_env_file_reads_the_same_but_for_the_key(before: list[str], after: list[str]) -> None:
    line = f"LANGFLOW_SECRET_KEY='{SECRET_KEY}'\n"
    text = "".join((*before, line, *after))
    names = ("LANGFLOW_SECRET_KEY",)
    new = rewritten_env(text, Path(".env"), names, SECRET_KEY, OTHER_SECRET_KEY)
    assert new == text.replace(SECRET_KEY, OTHER_SECRET_KEY)
    assert dotenv.parse(new, "x", environ={}).values == {
        **dotenv.parse(text, "x", environ={}).values,
        "LANGFLOW_SECRET_KEY": OTHER_SECRET_KEY,
    }


# generate


def test_a_generated_key_is_a_fernet_key_alone_on_its_line(call: Callable[..., Result]) -> None:
    made = {call("secret-key", "generate").done().stdout for _ in range(3)}
    assert len(made) == 3
    for line in made:
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}\n", line)
        Cipher(line.strip(), source="test")


# check


def test_check_tells_of_every_value_which_key_opens_it(filled: Vault) -> None:
    # The check needs neither a user nor a password.
    done = filled.site.call("secret-key", "check", LANGFLOW_SUPERUSER="nobody").done()
    columns = {(row[0], row[1]) for row in done.rows}
    assert {
        ("apikey", "api_key"), ("variable", "value"), ("folder", "auth_settings"),
        ("mcp_server", "config"), ("sso_config", "client_secret_encrypted"), ("message", "text"),
    } <= columns  # fmt: skip
    assert {row[4] for row in done.rows if row[0] == "message"} == {"stray"}
    assert all(re.fullmatch("[0-9a-f]{12}", row[5]) for row in done.rows)
    assert_no_secret(done.stdout)


def test_check_says_no_where_a_known_value_does_not_open(filled: Vault) -> None:
    filled.key_file.write_text(OTHER_SECRET_KEY)
    (filled.site.folder / ".env").unlink()
    found = filled.site.call("secret-key", "check", "--json")
    assert found.code == 7
    assert found.json()["ok"] is False
    assert all(value["fingerprint"] is None for value in found.json()["values"])
    assert_no_secret(found.stdout)


def test_a_stray_token_alone_is_no_no(filled: Vault) -> None:
    token = encrypted("x", OTHER_SECRET_KEY)
    filled.site.database.rows("INSERT INTO message VALUES ('t9', ?)", (token,))
    assert filled.site.call("secret-key", "check", "--json").done().json()["ok"] is True


@pytest.mark.parametrize("key", ["", "A" * 40, "\xff"])
def test_a_secret_key_that_is_none_is_told_without_showing_it(filled: Vault, key: str) -> None:
    (filled.site.folder / ".env").unlink()
    filled.key_file.write_bytes(key.encode("latin-1"))
    filled.site.call("secret-key", "check").failed(7)
    filled.site.call(*ROTATE).failed(7)


# rotate


def test_a_row_that_is_found_by_a_number_and_a_text_is_rotated(filled: Vault) -> None:
    token = encrypted("x")
    filled.site.database.rows(
        "CREATE TABLE extra (n INTEGER, t TEXT, v TEXT, PRIMARY KEY (n, t)) WITHOUT ROWID"
    )
    filled.site.database.rows("INSERT INTO extra VALUES (1, 'é', ?)", (token,))
    filled.site.call(*ROTATE).done()
    ((now,),) = filled.site.database.rows("SELECT v FROM extra")
    assert now != token


@pytest.mark.parametrize("release", sorted(databases.SHAPES))
def test_a_database_of_every_generation_is_rotated(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    owner = site.database.rows("SELECT id FROM user WHERE username = 'administrator'")[0][0]
    key = site.database.add_key(owner, "ci")
    site.database.add_variable(owner, "V", encrypted("value"))
    config = site.folder / "config"
    config.mkdir()
    (config / "secret_key").write_text(SECRET_KEY)
    settings = {"LANGFLOW_SECRET_KEY": None, "LANGFLOW_CONFIG_DIR": str(config)}
    site.call(*ROTATE, **settings).done()
    shown = site.call("whoami", "--api-key", "-", stdin=key.plaintext, **settings).done()
    assert "administrator" in shown.stdout
    site.call("secret-key", "check", **settings).done()


def test_a_dry_run_says_what_it_would_do_beside_a_running_server(filled: Vault) -> None:
    with closing(sqlite3.connect(filled.database)) as server:
        server.execute("SELECT * FROM apikey").fetchone()
        done = filled.site.call("secret-key", "rotate", "--dry-run").done()
    assert ["apikey", "api_key", "20"] in done.rows
    assert filled.assert_whole() == SECRET_KEY


def test_without_yes_and_a_terminal_nothing_is_done(filled: Vault) -> None:
    filled.site.call("secret-key", "rotate").failed(2, "--yes")
    assert filled.assert_whole() == SECRET_KEY


def test_a_rotation_needs_a_superuser(filled: Vault) -> None:
    filled.site.call(*ROTATE, LANGFLOW_SUPERUSER="nobody").failed(4)
    assert filled.assert_whole() == SECRET_KEY


def test_the_trail_tells_of_a_rotation_without_a_key(filled: Vault) -> None:
    log = filled.site.folder / "log.jsonl"
    filled.site.call(*ROTATE, "--reason", "yearly", LANGKEYS_AUDIT_LOG=str(log)).done()
    text = log.read_text()
    assert '"rotate"' in text
    assert "yearly" in text
    assert filled.key_file.read_text() not in text
    assert_no_secret(text)


def test_a_rotation_is_refused_where_the_trail_cannot_be_written(filled: Vault) -> None:
    filled.site.call(*ROTATE, LANGKEYS_AUDIT_LOG=str(filled.site.folder)).failed(1, "audit log")
    assert filled.assert_whole() == SECRET_KEY
    assert not list(filled.site.folder.glob("*.backup-*"))


def test_the_new_key_may_be_given_in_a_file(filled: Vault) -> None:
    file = filled.site.folder / "new"
    file.write_text(new_secret_key() + "\n")
    filled.site.call(*ROTATE, "--new-key-file", str(file)).done()
    assert filled.assert_whole() == file.read_text().strip()


def test_a_key_that_the_environment_still_has_is_told_once(filled: Vault) -> None:
    file = str(filled.site.folder / "new")
    environment = {"LANGFLOW_SECRET_KEY": SECRET_KEY}
    done = filled.site.call(*ROTATE, "--new-key-file", file, **environment).done()
    assert "before you start the server, set LANGFLOW_SECRET_KEY" in done.stderr
    assert "cannot decrypt" not in done.stderr


def test_settings_that_disagree_are_refused(filled: Vault) -> None:
    file = str(filled.site.folder / "new")
    environment = {"LANGFLOW_SECRET_KEY": OTHER_SECRET_KEY}
    filled.site.call(*ROTATE, "--new-key-file", file, **environment).failed(2, "differs from")
    assert filled.assert_whole() == SECRET_KEY


def test_the_backup_of_a_rotation_opens_with_the_key_beside_it(filled: Vault) -> None:
    filled.site.call(*ROTATE).done()
    (key_file,) = filled.site.folder.glob("langflow.db.backup-*.secret_key")
    backup = key_file.with_name(key_file.name.removesuffix(".secret_key"))
    assert filled.decrypted_dump(key_file.read_text(), backup) == filled.plain_dump


def test_doctor_reports_a_broken_off_rotation_and_changes_nothing(filled: Vault) -> None:
    filled.site.run(*ROTATE, LANGKEYS_FAILPOINT="committed")
    left = filled.leftovers()
    assert left
    found = filled.site.call("doctor")
    assert found.code == 1
    verdict, cause, *_ = found.stdout.splitlines()
    assert verdict.startswith("verdict\tproblem\t")
    assert cause.startswith("rotation\tproblem\t")
    assert "is unfinished" in found.stdout
    assert "If it is lost" not in found.stdout
    assert filled.leftovers() == left


# backup


def test_a_backup_is_whole_closed_to_others_and_replaces_nothing(filled: Vault) -> None:
    copy, key = filled.site.folder / "copy.db", filled.site.folder / "copy.key"
    arguments = ("backup", str(copy), "--with-secret-key", str(key))
    # While another process writes, and without an acting user.
    with closing(sqlite3.connect(filled.database)) as server:
        server.execute("BEGIN IMMEDIATE")
        server.execute("DELETE FROM apikey")
        done = filled.site.run(*arguments, umask=0, LANGFLOW_SUPERUSER="nobody").done()
        server.rollback()
    ((path, size, release, fingerprint),) = done.rows
    assert path == str(copy)
    assert int(size) == copy.stat().st_size
    assert release == "1.13"
    assert re.fullmatch("[0-9a-f]{12}", fingerprint)
    assert {file.stat().st_mode & 0o777 for file in (copy, key)} == {0o600}
    assert key.read_text() == SECRET_KEY
    assert filled.decrypted_dump(SECRET_KEY, copy) == filled.plain_dump
    filled.site.call(*arguments).failed(5, "already exists")
    copy.unlink()
    filled.site.call(*arguments).failed(5, "already exists")
    assert not copy.exists()


def test_a_backup_needs_no_hard_links(filled: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    copy = filled.site.folder / "copy.db"
    filled.site.call("backup", str(copy)).done()
    assert filled.decrypted_dump(SECRET_KEY, copy) == filled.plain_dump
    filled.site.call("backup", str(copy)).failed(5, "already exists")


def test_a_restored_backup_is_the_database_that_it_was(filled: Vault, superuser: str) -> None:
    site = filled.site
    site.call("backup", "copy.db", "--with-secret-key", "copy.key").done()
    site.call("api-key", "create", "--name", "later").done()
    site.call(*ROTATE).done()
    for name in ("langflow.db-wal", "langflow.db-shm"):
        (site.folder / name).unlink(missing_ok=True)
    (site.folder / "copy.db").rename(filled.database)
    (site.folder / "copy.key").rename(filled.key_file)
    (site.folder / ".env").unlink()
    assert filled.decrypted_dump(SECRET_KEY) == filled.plain_dump
    settings = {"LANGFLOW_AUTO_LOGIN": "true"}
    assert len(site.call("api-key", "list", **settings).done().lines) == 20
    site.call("secret-key", "check").done()


def test_a_backup_of_what_is_no_database_is_refused(site: Site, database: Database) -> None:
    database.path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    site.call("backup", "copy.db").failed(6)
    assert not (site.folder / "copy.db").exists()


def test_a_backup_that_the_secret_key_does_not_open_is_told(filled: Vault) -> None:
    done = filled.site.call("backup", "copy.db", LANGFLOW_SECRET_KEY=OTHER_SECRET_KEY).done()
    assert "the copy is complete, but" in done.stderr
