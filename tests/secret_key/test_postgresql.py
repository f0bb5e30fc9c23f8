"""Rotating the secret key of a database on PostgreSQL: alone, whole, and whatever dies."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, InvalidToken

from ..support.samples import SECRET_KEY, encrypted
from ..support.server_databases import ServerDatabase
from ..support.sites import Site

_TOKEN = re.compile("gAAAAA[A-Za-z0-9_-]+={0,2}")
TOKENS = 4 + 1 + 2


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def server(site: Site, superuser: str) -> ServerDatabase:
    """A database with a token in every kind of column, and its secret key in a file."""
    found = site.database
    assert isinstance(found, ServerDatabase)
    for number in range(4):
        found.add_key(superuser, f"key {number}")
    found.add_variable(superuser, "MY_TOKEN", encrypted("value-of-token", SECRET_KEY))
    config = json.dumps({"env": {"A": encrypted("in json", SECRET_KEY)}, "z": 1, "b": [True]})
    data = json.dumps({"b": encrypted("in jsonb", SECRET_KEY), "a": "ü"})
    made = "VALUES (gen_random_uuid(), 'm', ?)"
    found.rows(f"INSERT INTO mcp_server (id, name, config) {made}", (config,))
    found.rows("INSERT INTO message (id, text, data) VALUES (gen_random_uuid(), 'x', ?)", (data,))
    folder = site.folder / "config"
    folder.mkdir()
    (folder / "secret_key").write_text(SECRET_KEY)
    site.settings["LANGFLOW_CONFIG_DIR"] = str(folder)
    del site.settings["LANGFLOW_SECRET_KEY"]
    return found


def key_of(site: Site) -> str:
    return (site.folder / "config" / "secret_key").read_text()


def tokens(server: ServerDatabase) -> list[str]:
    texts = [
        str(row[0])
        for sql in (
            "SELECT api_key FROM apikey", "SELECT value FROM variable",
            "SELECT config::text FROM mcp_server", "SELECT data::text FROM message",
        )
        for row in server.rows(sql)
    ]  # fmt: skip
    return [token for text in texts for token in _TOKEN.findall(text)]


def opened(server: ServerDatabase, key: str) -> list[str]:
    """Decrypt all that is stored with one key."""
    fernet = Fernet(key + "=" * (-len(key) % 4))
    return sorted(fernet.decrypt(token).decode() for token in tokens(server))


def is_under(server: ServerDatabase, key: str) -> bool:
    try:
        return len(opened(server, key)) == TOKENS
    except InvalidToken:
        return False


ROTATE = ("secret-key", "rotate", "--yes")


def test_everything_is_under_the_new_key_and_the_key_in_its_place(
    site: Site, server: ServerDatabase
) -> None:
    before = opened(server, SECRET_KEY)
    done = site.run(*ROTATE).done()
    assert key_of(site) != SECRET_KEY
    assert opened(server, key_of(site)) == before
    assert "VACUUM" in done.stderr
    (backup,) = (site.folder / "config").glob("*.backup-*.secret_key")
    assert backup.read_text() == SECRET_KEY
    assert backup.with_suffix("").stat().st_mode & 0o777 == 0o600
    assert not list((site.folder / "config").glob(".*rotation*"))
    site.call("secret-key", "check").done()
    assert site.call("variable", "show", "MY_TOKEN", "--reveal").done().lines == ["value-of-token"]


def test_a_dry_run_beside_a_server_does_nothing(site: Site, server: ServerDatabase) -> None:
    with closing(server.cluster.connect(server.user, server.name)):
        assert f"{TOKENS} values" in site.call(*ROTATE, "--dry-run").done().stderr
    assert is_under(server, SECRET_KEY)


def test_beside_another_session_it_is_refused_and_the_session_named(
    site: Site, server: ServerDatabase
) -> None:
    with closing(server.cluster.connect(server.user, server.name)) as other:
        process = other.info.backend_pid
        site.call(*ROTATE).failed(6, "langflow (pid ", str(process), "--ignore-sessions-of")
    assert is_under(server, SECRET_KEY)
    assert key_of(site) == SECRET_KEY


def test_sessions_of_a_role_are_ignored_but_never_the_servers_own(
    site: Site, server: ServerDatabase
) -> None:
    with closing(server.cluster.connect("clerk", server.name)):
        site.call(*ROTATE).failed(6, "clerk (pid ")
        site.call(*ROTATE, "--ignore-sessions-of", "langflow").failed(2, "the server's")
        site.call(*ROTATE, "--ignore-sessions-of", "clerk").done()
    assert is_under(server, key_of(site))
    assert key_of(site) != SECRET_KEY


def test_a_session_that_comes_in_between_undoes_it(
    site: Site, server: ServerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_late = []

    def reach(name: str) -> None:
        if name == "before-commit":
            opened_late.append(server.cluster.connect(server.user, server.name))

    monkeypatch.setattr("langkeys.failpoints.reach", reach)
    site.call(*ROTATE).failed(6, "other sessions")
    assert opened_late
    for connection in opened_late:
        connection.close()
    monkeypatch.undo()
    site.call("api-key", "create").done()
    assert key_of(site) == SECRET_KEY
    assert site.call("secret-key", "check").done()


def test_while_a_server_starts_it_is_refused(site: Site, server: ServerDatabase) -> None:
    with closing(server.cluster.connect("postgres", server.name)) as other:
        other.cursor().execute("SELECT pg_advisory_lock(5503801610002526071)")
        site.call(*ROTATE, "--ignore-sessions-of", "postgres").failed(6, "server is starting")
    assert is_under(server, SECRET_KEY)


def test_a_new_key_may_go_into_a_file_of_its_own(site: Site, server: ServerDatabase) -> None:
    new = site.folder / "new"
    settings = {"LANGFLOW_SECRET_KEY": SECRET_KEY}
    site.run(*ROTATE, **settings).failed(2, "--new-key-file")
    site.run(*ROTATE, "--new-key-file", str(new), **settings).done()
    assert is_under(server, new.read_text().strip())


POINTS = (
    "backed-up", "rewriting", "rewritten", "before-reading-back", "journal-written", "key-staged",
    "before-commit", "committed", "renamed", "journal-removed",
)  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_whatever_dies_the_next_command_completes_or_undoes_it(
    site: Site, server: ServerDatabase, point: str
) -> None:
    assert site.run(*ROTATE, LANGKEYS_FAILPOINT=point).code == -9
    server.cluster.rows(  # what is left of the connection is ended at once
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
        (server.name,),
    )
    site.run("user", "create", "ops", "--random").done()
    assert is_under(server, key_of(site))
    assert (key_of(site) != SECRET_KEY) == (point in ("committed", "renamed", "journal-removed"))
    assert not list((site.folder / "config").glob(".*rotation*"))
    site.call("secret-key", "check").done()


def test_a_connection_that_is_lost_at_the_commit_is_no_mix(
    site: Site, server: ServerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reach(name: str) -> None:
        if name == "before-commit":
            server.cluster.rows(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                (server.name,),
            )

    monkeypatch.setattr("langkeys.failpoints.reach", reach)
    assert site.call(*ROTATE).code == 6
    monkeypatch.undo()
    site.run("user", "create", "ops", "--random").done()
    assert is_under(server, SECRET_KEY)
    assert key_of(site) == SECRET_KEY
    assert not list(Path(site.folder / "config").glob(".*rotation*"))
