"""Rotation of the secret key on PostgreSQL: without other sessions, and all or nothing."""

from __future__ import annotations

from contextlib import closing

import pytest

from ..support import server_vaults
from ..support.clusters import PASSWORD
from ..support.samples import SECRET_KEY
from ..support.server_databases import ServerDatabase
from ..support.server_vaults import ROTATE, TOKENS, ServerVault
from ..support.sites import Site


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def vault(site: Site, superuser: str) -> ServerVault:
    return server_vaults.create(site, superuser)


@pytest.fixture
def server(vault: ServerVault) -> ServerDatabase:
    return vault.server


def test_everything_is_encrypted_with_the_new_key_which_is_in_its_file(
    site: Site, server: ServerDatabase, vault: ServerVault
) -> None:
    before = vault.decrypted(SECRET_KEY)
    done = site.run(*ROTATE).done()
    assert vault.key() != SECRET_KEY
    assert vault.decrypted(vault.key()) == before
    assert "VACUUM" in done.stderr
    (backup,) = (site.folder / "config").glob("*.backup-*.secret_key")
    assert backup.read_text() == SECRET_KEY
    assert backup.with_suffix("").stat().st_mode & 0o777 == 0o600
    assert not list((site.folder / "config").glob(".*rotation*"))
    site.call("secret-key", "check").done()
    assert site.call("variable", "show", "MY_TOKEN", "--reveal").done().lines == ["value-of-token"]


def test_a_dry_run_beside_a_server_does_nothing(
    site: Site, server: ServerDatabase, vault: ServerVault
) -> None:
    with closing(server.cluster.connect(server.user, server.name)):
        assert f"{TOKENS} values" in site.call(*ROTATE, "--dry-run").done().stderr
    assert vault.is_encrypted_with(SECRET_KEY)


def test_beside_another_session_it_is_refused_and_the_session_named(
    site: Site, server: ServerDatabase, vault: ServerVault
) -> None:
    with closing(server.cluster.connect(server.user, server.name)) as other:
        process = other.info.backend_pid
        site.call(*ROTATE).failed(6, "langflow (pid ", str(process), "--ignore-sessions-of")
    assert vault.is_encrypted_with(SECRET_KEY)
    assert vault.key() == SECRET_KEY


def test_sessions_of_a_role_are_ignored_but_never_the_servers_own(
    site: Site, server: ServerDatabase, vault: ServerVault
) -> None:
    with closing(server.cluster.connect("clerk", server.name)):
        site.call(*ROTATE).failed(6, "clerk (pid ")
        site.call(*ROTATE, "--ignore-sessions-of", "langflow").failed(2, "the server's")
        site.call(*ROTATE, "--ignore-sessions-of", "clerk").done()
    assert vault.is_encrypted_with(vault.key())
    assert vault.key() != SECRET_KEY


@pytest.mark.parametrize("role", ["who logs in", "who owns the tables"])
def test_the_servers_own_sessions_are_not_ignored_by_another_name_of_its_role(
    site: Site, server: ServerDatabase, vault: ServerVault, role: str
) -> None:
    login = f"login_{server.name}"
    run = server.cluster.rows
    run(f"CREATE ROLE {login} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
    try:
        if role == "who logs in":
            run(f"ALTER ROLE {login} SET role = '{server.user}'")
        ignored = login if role == "who logs in" else server.user
        settings = {"LANGFLOW_DATABASE_URL": server.cluster.url(server.name, login)}
        with closing(server.cluster.connect(ignored, server.name)):
            result = site.call(*ROTATE, "--ignore-sessions-of", ignored, **settings)
        result.failed(2, f"--ignore-sessions-of {ignored} is the user of the database")
    finally:
        run(f"DROP ROLE {login}")
    assert vault.is_encrypted_with(SECRET_KEY)


def test_a_session_that_comes_in_between_undoes_it(
    site: Site, server: ServerDatabase, vault: ServerVault, monkeypatch: pytest.MonkeyPatch
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
    assert vault.key() == SECRET_KEY
    assert site.call("secret-key", "check").done()


def test_while_a_server_starts_it_is_refused(
    site: Site, server: ServerDatabase, vault: ServerVault
) -> None:
    with closing(server.cluster.connect("postgres", server.name)) as other:
        other.cursor().execute("SELECT pg_advisory_lock(5503801610002526071)")
        site.call(*ROTATE, "--ignore-sessions-of", "postgres").failed(6, "server is starting")
    assert vault.is_encrypted_with(SECRET_KEY)


def test_a_new_key_may_go_into_a_file_of_its_own(
    site: Site, server: ServerDatabase, vault: ServerVault
) -> None:
    new = site.folder / "new"
    settings = {"LANGFLOW_SECRET_KEY": SECRET_KEY}
    site.run(*ROTATE, **settings).failed(2, "--new-key-file")
    site.run(*ROTATE, "--new-key-file", str(new), **settings).done()
    # If the file is mounted for a server, a newline would be part of its secret key.
    assert new.read_text() == new.read_text().strip()
    assert vault.is_encrypted_with(new.read_text())
