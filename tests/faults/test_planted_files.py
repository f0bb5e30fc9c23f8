"""Files next to the database that another user could have written have no effect."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from langkeys.crypto.hashes import fingerprint
from langkeys.secret_key import recovery

from ..support import vault
from ..support.databases import ago
from ..support.other_users import OTHER, SERVER, give, needs_root
from ..support.samples import OTHER_SECRET_KEY, SECRET_KEY, WRONG_PASSWORD, encrypted
from ..support.sites import Site
from ..support.vault import Vault

ROTATE = ("secret-key", "rotate", "--yes")
READS = (("api-key", "list"), ("whoami",), ("variable", "list"), ("user", "list"))
WRITES = (
    ("api-key", "create"),
    ("api-key", "revoke", "5feceb66ffc8", "--yes"),
    ("api-key", "migrate"),
    ("user", "create", "bob", "--random"),
    ROTATE,
)


@pytest.fixture
def filled(site: Site, superuser: str) -> Vault:
    return vault.create(site, superuser)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file that only root may write to."""
    path = tmp_path / "roots-file"
    path.write_text(SECRET_KEY)
    path.chmod(0o600)
    return path


def forged(filled: Vault, target: Path, *, witnesses: bool = False) -> Path:
    """Plant a forged journal, which says that ``target`` gets the new key of a rotation."""
    payload = target.with_name(f".{target.name}.langkeys-rotation")
    payload.write_text(OTHER_SECRET_KEY)
    journal = filled.site.folder / ".langflow.db.langkeys-rotation"
    place = {"kind": "file", "path": str(target), "newline": False, "names": []}
    entry = {
        "version": 1,
        "started": "2026-11-29T00:00:00Z",
        "old": fingerprint(SECRET_KEY),
        "new": fingerprint(OTHER_SECRET_KEY),
        "places": [place],
        "fixed": [],
        "new_key_file": str(payload),
        "backup": "/nowhere",
        "old_key_file": "/nowhere",
        "witnesses": [],
    }
    journal.write_text(json.dumps(entry))
    journal.chmod(0o600)
    return journal


def _of_another(journal: Path) -> None:
    give(journal, SERVER)


def _writable(journal: Path) -> None:
    journal.chmod(0o666)


def _link(journal: Path) -> None:
    journal.rename(journal.with_name("elsewhere"))
    journal.symlink_to("elsewhere")


def _hard_link(journal: Path) -> None:
    os.link(journal, journal.with_name("elsewhere"))


def _pipe(journal: Path) -> None:
    journal.unlink()
    os.mkfifo(journal)


def _folder(journal: Path) -> None:
    journal.unlink()
    journal.mkdir()


DISBELIEVED = [_of_another, _writable, _link, _hard_link, _pipe, _folder]


@needs_root
@pytest.mark.parametrize("plant", DISBELIEVED)
def test_a_journal_that_others_could_have_written_is_not_believed_and_not_ignored(
    filled: Vault, target: Path, plant: Callable[[Path], None]
) -> None:
    journal = forged(filled, target)
    plant(journal)
    before, content = filled.site.database.content(), target.read_text()
    for line in READS:
        said = filled.site.call(*line).done().stderr
        assert str(journal) in said
        assert "not trusted" in said
    for line in WRITES:
        refused = filled.site.call(*line).failed(2, str(journal))
        if plant is _of_another:
            assert f"uid {SERVER}" in refused.stderr
    assert filled.site.call("doctor").code == 1
    assert (filled.site.database.content(), target.read_text()) == (before, content)
    assert os.path.lexists(journal)


@pytest.mark.parametrize("line", [*READS, *WRITES], ids=" ".join)
def test_a_journal_of_ones_own_leads_only_where_settings_name_a_secret_key(
    filled: Vault, target: Path, line: tuple[str, ...]
) -> None:
    forged(filled, target)
    result = filled.site.call(*line)
    assert result.code == (0 if line in READS else 2), result
    assert target.read_text() == SECRET_KEY


def test_a_key_of_another_form_is_not_put_anywhere(filled: Vault) -> None:
    journal = forged(filled, filled.key_file)
    staged = filled.key_file.with_name(".secret_key.langkeys-rotation")
    payload = "root::0:0::/:/bin/sh"
    staged.write_text(payload)
    entry = json.loads(journal.read_text()) | {"new": fingerprint(payload), "new_key_file": None}
    journal.write_text(json.dumps(entry))
    filled.site.call("api-key", "create")
    assert filled.key_file.read_text() == SECRET_KEY
    staged.write_text(payload)
    assert recovery.find_staged_key(journal, fingerprint) is None
    staged.write_text(OTHER_SECRET_KEY)
    entry["new"] = fingerprint(OTHER_SECRET_KEY)
    journal.write_text(json.dumps(entry))
    assert recovery.find_staged_key(journal, fingerprint) == OTHER_SECRET_KEY


def test_a_key_is_only_put_where_the_old_one_is(filled: Vault) -> None:
    killed = filled.site.run(*ROTATE, LANGKEYS_FAILPOINT="committed")
    assert killed.code == -9
    filled.key_file.write_text("what somebody has put here meanwhile")
    filled.site.call("api-key", "migrate").failed(7)
    assert filled.key_file.read_text() == "what somebody has put here meanwhile"
    filled.key_file.write_text(SECRET_KEY)
    filled.site.call("api-key", "migrate").done()
    filled.assert_whole()


@pytest.mark.parametrize("step", ["before-commit", "committed"])
def test_nothing_is_settled_before_it_is_known_who_acts(filled: Vault, step: str) -> None:
    killed = filled.site.run(*ROTATE, LANGKEYS_FAILPOINT=step)
    assert killed.code == -9
    left = filled.leftovers()
    by_password = {"LANGFLOW_AUTO_LOGIN": "false", "LANGFLOW_SUPERUSER_PASSWORD": WRONG_PASSWORD}
    for line in (*READS, *WRITES):
        filled.site.call(*line, **by_password).failed(4)
    assert filled.leftovers() == left
    filled.site.call("api-key", "migrate").done()
    filled.assert_whole()


def test_on_1_8_a_key_is_known_by_the_staged_secret_key(site_of: Callable[[str], Site]) -> None:
    site = site_of("1.8")
    owner = str(site.database.rows("SELECT id FROM user WHERE username = 'langflow'")[0][0])
    key = site.database.add_key(owner, "acting").plaintext
    config = site.folder / "config"
    config.mkdir()
    (config / "secret_key").write_text(SECRET_KEY)
    by_key = {
        "LANGFLOW_SECRET_KEY": None,
        "LANGFLOW_CONFIG_DIR": str(config),
        "LANGFLOW_AUTO_LOGIN": None,
        "LANGKEYS_API_KEY": key,
    }
    killed = site.run(*ROTATE, LANGKEYS_FAILPOINT="committed", **by_key)
    assert killed.code == -9
    assert "is unfinished" in site.call("api-key", "list", **by_key).done().stderr
    assert (config / "secret_key").read_text() == SECRET_KEY
    assert "was committed" in site.call("api-key", "create", **by_key).done().stderr
    assert (config / "secret_key").read_text() != SECRET_KEY
    site.call("secret-key", "check", **by_key).done()


@needs_root
def test_root_completes_its_own_rotation_in_a_servers_folder(filled: Vault) -> None:
    for path in (filled.site.folder, *filled.site.folder.rglob("*")):
        give(path, SERVER)
    for step in ("key-staged", "committed", "renamed"):
        killed = filled.site.run(*ROTATE, LANGKEYS_FAILPOINT=step)
        assert killed.code == -9
        filled.site.call("api-key", "migrate").done()
        filled.assert_whole()
        assert filled.key_file.stat().st_uid == SERVER


@needs_root
def test_a_staged_key_of_a_third_user_is_not_taken(filled: Vault) -> None:
    killed = filled.site.run(*ROTATE, LANGKEYS_FAILPOINT="committed")
    assert killed.code == -9
    for staged in filled.site.folder.rglob(".*.langkeys-rotation"):
        if staged.name != ".langflow.db.langkeys-rotation":
            give(staged, OTHER)
    filled.site.call("api-key", "migrate").failed(7, "cannot be found")


# The audit log


OF_ROOTS = "export PATH=/usr/bin\n"


@pytest.mark.parametrize(
    "content",
    [
        OF_ROOTS,
        "{}\n",
        '{"id": 1}\n',
        "[]\n",
        "\n",
        "\x00",
        "null\n",
        '"time"\n',
        '{"id": "1", "outcome": "won"}\n{"id": "2", "outcome": "lost"}\n',  # another program's log
    ],
)
def test_only_a_log_of_ours_is_appended_to(site: Site, content: str) -> None:
    log = site.folder / "profile.jsonl"
    log.write_text(content)
    before = site.database.content()
    result = site.call("api-key", "create", LANGKEYS_AUDIT_LOG=str(log)).failed(1, str(log))
    assert "not an entry of langkeys' audit log" in result.stderr
    assert log.read_text() == content
    assert site.database.content() == before


def test_a_new_log_has_a_name_for_logs(site: Site) -> None:
    for name in ("bashrc", "log.json", ".jsonl.txt"):
        path = site.folder / name
        site.call("api-key", "create", LANGKEYS_AUDIT_LOG=str(path)).failed(1, ".jsonl")
        assert not path.exists()
    empty = site.folder / "empty-log"
    empty.write_text("")
    for path in (empty, site.folder / "new.jsonl"):
        site.call("api-key", "create", LANGKEYS_AUDIT_LOG=str(path)).done()
        site.call("api-key", "create", LANGKEYS_AUDIT_LOG=str(path)).done()
        assert len(path.read_text().splitlines()) == 2


@needs_root
def test_a_planted_log_is_not_appended_to(site: Site, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    log = shared / "audit.jsonl"
    log.write_text("")
    give(log, SERVER)
    site.call("api-key", "create", LANGKEYS_AUDIT_LOG=str(log)).failed(2, f"uid {SERVER}")
    assert log.read_text() == ""


@needs_root
@pytest.mark.parametrize("form", ["pipe", "folder", "link", "dangling"])
def test_a_log_that_is_no_file_is_no_log(site: Site, tmp_path: Path, form: str) -> None:
    log = site.folder / "audit.jsonl"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("")
    if form == "pipe":
        os.mkfifo(log)
    elif form == "folder":
        log.mkdir()
    elif form == "dangling":
        log.symlink_to("nowhere.jsonl")
    else:
        log.symlink_to(elsewhere)
        give(log, SERVER)
    result = site.call("api-key", "create", LANGKEYS_AUDIT_LOG=str(log))
    assert result.code in (1, 2)
    assert "unexpected" not in result.stderr
    assert str(log) in result.stderr
    assert elsewhere.read_text() == ""


# Value files


def test_a_huge_line_of_a_log_is_none_of_ours(site: Site) -> None:
    log = site.folder / "audit.jsonl"
    site.call("api-key", "create", LANGKEYS_AUDIT_LOG=str(log)).done()
    with log.open("ab") as file:
        file.truncate(log.stat().st_size + (1 << 28))
        file.seek(0, 2)
        file.write(b"\n")
    site.call("api-key", "create", LANGKEYS_AUDIT_LOG=str(log)).done()
    result = site.call("audit", LANGKEYS_AUDIT_LOG=str(log)).done()
    assert len(result.rows) == 2
    assert "skipped 1" in result.stderr


@needs_root
def test_a_planted_value_is_nobodys_key(site: Site, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    value = shared / "key"
    value.write_text(f"sk-{'A' * 43}")
    give(value, SERVER)
    before = site.database.content()
    for line in (
        ("api-key", "ensure", "app", "--value-file", str(value)),
        ("api-key", "create", "--write-to", str(value)),
        ("variable", "set", "A", "--value-file", str(value)),
        ("variable", "export", "--reveal", "--write-to", str(value)),
        ("user", "create", "bob", "--password-file", str(value)),
        ("whoami", "--api-key-file", str(value)),
        ("secret-key", "check", "--old-key-file", str(value)),
        ("variable", "import", str(value), "--only", "A"),
    ):
        site.call(*line).failed(2, str(value), f"uid {SERVER}")
    assert value.read_text() == f"sk-{'A' * 43}"
    assert site.database.content() == before


def test_an_old_journal_that_comes_back_does_nothing(filled: Vault, tmp_path: Path) -> None:
    killed = filled.site.run(*ROTATE, LANGKEYS_FAILPOINT="before-commit")
    assert killed.code == -9
    journal = filled.site.folder / ".langflow.db.langkeys-rotation"
    shutil.copy(journal, tmp_path / "kept")
    filled.site.call("api-key", "migrate").done()
    filled.site.call(*ROTATE).done()
    key = filled.assert_whole()
    shutil.copy(tmp_path / "kept", journal)
    journal.chmod(0o600)
    filled.site.call("api-key", "migrate")
    journal.unlink(missing_ok=True)
    assert filled.assert_whole() == key


def test_keys_that_are_revoked_while_a_rotation_is_unfinished_stay_revoked(
    filled: Vault, superuser: str
) -> None:
    key = filled.site.database.add_key(superuser, "leaked", created_at=ago(days=1))
    killed = filled.site.run(*ROTATE, LANGKEYS_FAILPOINT="committed")
    assert killed.code == -9
    filled.site.call("api-key", "revoke", "-", "--yes", stdin=key.plaintext).done()
    with closing(sqlite3.connect(filled.database)) as connection:
        assert connection.execute("SELECT 1 FROM apikey WHERE name = 'leaked'").fetchall() == []
    assert encrypted("x") != key.plaintext
