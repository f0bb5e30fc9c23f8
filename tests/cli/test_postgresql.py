"""Every command on PostgreSQL, and its errors there."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ..support import databases, postgresql, server_databases
from ..support.clusters import PASSWORD
from ..support.databases import SHAPES
from ..support.server_databases import ServerDatabase
from ..support.sites import Result, Site

Call = Callable[..., Result]


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture(autouse=True)
def _password_stays_unseen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that no output contains the URL's password or a message of the driver."""
    inner = site.call

    def call(*arguments: str, **options: str) -> Result:
        result = inner(*arguments, **options)
        assert PASSWORD not in result.stdout + result.stderr
        assert "psycopg" not in result.stderr or "not installed" in result.stderr
        return result

    monkeypatch.setattr(site, "call", call)


def test_a_key_lives_and_ends(site: Site, server: ServerDatabase) -> None:
    made = site.call("api-key", "create", "--name", "ci", "--expires", "90d").done()
    key = made.stdout.strip()
    assert made.stdout == f"{key}\n"
    assert server.location in made.stderr
    (row,) = site.call("api-key", "list", "--json").done().json()
    assert row["name"] == "ci"
    assert row["username"] == "administrator"
    assert row["at_rest"] == "fernet"
    assert site.call("whoami", "--api-key", "-", stdin=key).done().lines
    site.call("api-key", "update", "ci", "--name", "other").done()
    site.call("api-key", "deactivate", "other").done()
    assert site.call("whoami", "--api-key", "-", stdin=key).code == 4
    site.call("api-key", "activate", "other").done()
    (shown,) = (site.call("api-key", "show", "other", "--json").done().json(),)
    assert shown["expires_at"] == row["expires_at"]
    rotated = site.call("api-key", "rotate", "other", "--json").done().json()
    assert rotated["replaces"] == row["id"]
    assert site.call("whoami", "--api-key", "-", stdin=key).code == 4
    assert site.call("whoami", "--api-key", "-", stdin=rotated["api_key"]).done()
    site.call("api-key", "revoke", "-", "--yes", stdin=rotated["api_key"]).done()
    assert site.call("whoami", "--api-key", "-", stdin=rotated["api_key"]).code == 4
    assert server.key_ids() == []


def test_many_keys_are_made_listed_and_pruned(site: Site, server: ServerDatabase) -> None:
    created = site.call("api-key", "create", "--count", "2500", "--name", "n").done()
    assert len(set(created.lines)) == 2500
    assert len(site.call("api-key", "list").done().rows) == 2500
    assert len(site.call("api-key", "list", "--limit", "7", "--offset", "3").done().rows) == 7
    server.rows("UPDATE apikey SET created_at = created_at - interval '1 minute'")
    dry = site.call("api-key", "prune", "--older-than", "1s", "--force", "--dry-run").done()
    assert "2500" in dry.stderr + dry.stdout
    site.call("api-key", "prune", "--older-than", "1s", "--force", "--yes").done()
    assert server.key_ids() == []


def test_a_key_of_a_file_is_ensured_once(site: Site, server: ServerDatabase) -> None:
    path = site.folder / "key"
    first = site.call("api-key", "ensure", "app", "--value-file", str(path), "--json").done()
    assert first.json()["changed"] is True
    again = site.call("api-key", "ensure", "app", "--value-file", str(path), "--json").done()
    assert again.json()["changed"] is False
    assert len(server.key_ids()) == 1


def test_processes_that_ensure_one_key_at_once_make_one_row(
    site: Site, server: ServerDatabase
) -> None:
    path = site.folder / "key"
    path.write_text("sk-" + "a" * 43)
    processes = [
        site.spawn("api-key", "ensure", "app", "--value-file", str(path)) for _ in range(4)
    ]
    for process in processes:
        with process:
            _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert len(server.key_ids()) == 1


def test_variables_are_set_read_and_deleted(site: Site, server: ServerDatabase) -> None:
    site.call("variable", "set", "MY_TOKEN", "--value-file", "-", stdin="value-of-token").done()
    assert site.call("variable", "show", "MY_TOKEN", "--reveal").done().stdout == "value-of-token\n"
    (listed,) = site.call("variable", "list", "--json").done().json()
    assert (listed["name"], listed["value"], listed["opens"]) == ("MY_TOKEN", None, True)
    assert server.rows("SELECT count(*) FROM variable WHERE value LIKE 'gAAAAA%%'") == [(1,)]
    exported = site.call("variable", "export", "--reveal").done()
    assert exported.lines[-1] == "MY_TOKEN=value-of-token"
    ran = site.run("run", "--", sys.executable, "-c", "import os; print(os.environ['MY_TOKEN'])")
    assert ran.done().lines == ["value-of-token"]
    assert site.call("variable", "explain", "MY_TOKEN").done()
    site.call("variable", "delete", "MY_TOKEN", "--yes").done()
    assert server.rows("SELECT count(*) FROM variable") == [(0,)]


def test_users_are_made_and_changed(site: Site, server: ServerDatabase) -> None:
    site.call("user", "create", "ops", "--random").done()
    site.call("user", "promote", "ops").done()
    site.call("user", "deactivate", "ops").done()
    site.call("user", "set-password", "ops", "--random").done()
    (row,) = (site.call("user", "show", "ops", "--json").done().json(),)
    assert (row["is_superuser"], row["is_active"]) == (True, False)
    assert [row[1] for row in site.call("user", "list").done().rows] == ["administrator", "ops"]
    site.call("user", "create", "OPS", "--random").failed(5)
    site.call("user", "demote", "administrator").failed(5)


def test_who_acts_by_password_is_checked(site: Site) -> None:
    by_password = {"LANGFLOW_AUTO_LOGIN": "false", "LANGFLOW_SUPERUSER_PASSWORD": "wrong"}
    site.call("api-key", "list", **by_password).failed(4)
    assert site.call("whoami").done().lines


def test_doctor_tells_what_is_there(site: Site, server: ServerDatabase) -> None:
    site.call("api-key").done()
    report = site.call("doctor").stdout
    assert server.location in report
    assert "of Langflow 1.13" in report
    assert "PostgreSQL 18" in report
    assert "as langflow, schema public, no TLS" in report
    assert "no other session is connected" in report
    with closing(server.cluster.connect("clerk", server.name)):
        server.rows("GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk")
        assert "1 of clerk" in site.call("doctor").stdout
        url = server.cluster.url(server.name, "clerk")
        lacking = site.call("doctor", LANGFLOW_DATABASE_URL=url)
    assert lacking.code == 1
    assert "clerk lacks rights: " in lacking.stdout
    assert "INSERT on apikey" in lacking.stdout
    assert "SELECT on apikey" not in lacking.stdout


def test_the_secret_key_is_checked(site: Site, superuser: str, server: ServerDatabase) -> None:
    server.add_key(superuser, "ci")
    site.call("secret-key", "check").done()
    other = "x" * 43
    assert site.call("secret-key", "check", LANGFLOW_SECRET_KEY=other).code == 7


def test_a_backup_is_private_and_can_be_restored(site: Site, server: ServerDatabase) -> None:
    site.call("api-key", "create", "--name", "ci").done()
    path = site.folder / "copy.dump"
    site.call("backup", str(path)).done()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    server.rows("DELETE FROM apikey")
    assert (
        os.system(
            f"PGPASSWORD={PASSWORD} {server.cluster.binaries}/pg_restore --data-only --table=apikey"
            f" -h 127.0.0.1 -p {server.cluster.port} -U {server.user} -d {server.name} {path}"
        )
        == 0
    )
    assert [row[1] for row in site.call("api-key", "list").done().rows] == ["ci"]


def test_without_pg_dump_a_backup_says_what_to_install(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(site.folder))
    site.call("backup", "copy.dump").failed(2, "pg_dump", "postgresql-client")
    assert not (site.folder / "copy.dump").exists()


def test_without_the_driver_a_command_says_what_to_install(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "psycopg2", None)
        error = site.call("api-key", "list", "--json").failed(2).error
        assert error["code"] == "unsupported"
        assert "pip install" in error["hint"]
        assert "psycopg2" in site.call("doctor").stdout


def test_init_makes_nothing(site: Site, server: ServerDatabase) -> None:
    assert "already exists" in site.call("init").done().stderr
    cluster = server.cluster
    name = f"{server.name}_empty"
    cluster.rows(f"CREATE DATABASE {name} OWNER langflow")
    try:
        url = cluster.url(name)
        site.call("init", LANGFLOW_DATABASE_URL=url).failed(2, "start the Langflow server once")
        site.call("api-key", LANGFLOW_DATABASE_URL=url).failed(6, "empty")
        assert cluster.rows(
            "SELECT count(*) FROM pg_class WHERE relname = 'user'", database=name
        ) == [(0,)]
        assert not (site.folder / ".env").exists()
    finally:
        cluster.rows(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("pass-of-postgres", "pass-of-nobody"), ("password",)),
        (("langflow:", "nobody:"), ("password",)),
        (("/lk_", "/none_"), ("no such database",)),
        (("127.0.0.1:", "127.0.0.1:1"), ()),
        (("127.0.0.1", "none.invalid"), ("host",)),
    ],
)
def test_what_cannot_be_reached_is_one_sentence(
    site: Site, change: tuple[str, str], words: tuple[str, ...]
) -> None:
    url = site.settings["LANGFLOW_DATABASE_URL"].replace(*change)
    if change[1].endswith(":1"):
        url = url.replace(url.rpartition(":")[2], "1/langflow")
    error = site.call("api-key", "list", "--json", LANGFLOW_DATABASE_URL=url).failed(6).error
    assert error["code"] == "store"
    assert error["message"].startswith("cannot connect to the database postgresql://")
    assert "\n" not in error["message"]
    assert all(word in error["message"] for word in words)
    assert "pass-of" not in json.dumps(error)


def test_a_role_with_few_rights_is_told_which_it_lacks(site: Site, server: ServerDatabase) -> None:
    server.rows("GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk")
    url = server.cluster.url(server.name, "clerk")
    site.call("api-key", "list", LANGFLOW_DATABASE_URL=url).done()
    site.call("api-key", "create", LANGFLOW_DATABASE_URL=url).failed(6, "apikey", "GRANT")
    server.rows("REVOKE ALL ON apikey FROM clerk")
    site.call("api-key", "list", LANGFLOW_DATABASE_URL=url).failed(6, "apikey")


def test_another_schema_is_named_and_none_is_guessed(site: Site, server: ServerDatabase) -> None:
    server.rows("CREATE SCHEMA tenant")
    server.rows("ALTER TABLE apikey SET SCHEMA tenant")
    site.call("api-key", "list").failed(6, "in another schema: tenant\n", "search_path")
    server.rows("CREATE SCHEMA another")
    server.rows("CREATE TABLE another.apikey (id uuid)")
    site.call("api-key", "list").failed(6, "in another schema: another, tenant\n")


def test_a_lock_that_is_held_for_long_is_named(
    site: Site, server: ServerDatabase, superuser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add_key(superuser, "ci")
    monkeypatch.setattr("langkeys.store.postgresql.engine.PATIENCE", 0.1)
    connection = server.cluster.connect(server.user, server.name)
    connection.autocommit = False
    try:
        connection.cursor().execute("SELECT * FROM apikey FOR UPDATE")
        site.call("api-key", "revoke", "ci", "--yes").failed(6, "locked", server.location)
    finally:
        connection.close()
    site.call("api-key", "revoke", "ci", "--yes").done()


def test_a_password_may_come_from_elsewhere(
    site: Site, server: ServerDatabase, tmp_path: Path
) -> None:
    url = server.url.replace(f":{PASSWORD}@", "@")
    site.call("api-key", "list", LANGFLOW_DATABASE_URL=url).failed(6, "password")
    site.run("api-key", "list", LANGFLOW_DATABASE_URL=url, PGPASSWORD=PASSWORD).done()
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"*:*:*:langflow:{PASSWORD}\n")
    passfile.chmod(0o600)
    site.run("api-key", "list", LANGFLOW_DATABASE_URL=url, PGPASSFILE=str(passfile)).done()
    services = tmp_path / "services"
    services.write_text(
        f"[lf]\nhost=127.0.0.1\nport={server.cluster.port}\ndbname={server.name}\nuser=langflow\n"
    )
    site.run(
        "api-key", "list", LANGFLOW_DATABASE_URL="postgresql:///?service=lf",
        PGSERVICEFILE=str(services), PGPASSWORD=PASSWORD,
    ).done()  # fmt: skip
    site.call("api-key", "list", "--database", server.url).failed(2, "history")
    site.run("api-key", "list", "--database", url, PGPASSWORD=PASSWORD).done()


def test_a_url_that_a_server_would_refuse_is_taken_with_a_warning(
    site: Site, server: ServerDatabase
) -> None:
    url = server.url.replace("postgresql://", "postgres://")
    listed = site.call("api-key", "list", LANGFLOW_DATABASE_URL=url).done()
    assert "would not start" in listed.stderr


@pytest.mark.parametrize("release", ["1.5", "1.8", "1.11"])
def test_an_older_langflow_is_administered_too(
    site_of: Callable[[str], Site], site: Site, release: str
) -> None:
    old = site_of(release)
    assert isinstance(old.database, ServerDatabase)
    key = old.call("api-key", "create", "--name", "ci").done().stdout.strip()
    (row,) = old.call("api-key", "list", "--json").done().json()
    assert row["at_rest"] == ("plaintext" if release == "1.5" else "fernet")
    assert old.call("whoami", "--api-key", "-", stdin=key).done()
    old.call("variable", "set", "MY_TOKEN", "--value-file", "-", stdin="value").done()
    assert old.call("variable", "show", "MY_TOKEN", "--reveal").done().stdout == "value\n"
    old.call("api-key", "revoke", "ci", "--yes").done()
    assert old.database.key_ids() == []


def test_times_do_not_follow_the_sessions_time_zone(site: Site) -> None:
    database = server_databases.create(postgresql.cluster(), zoned=False, user="traveller")
    try:
        database.add_user("administrator")
        settings = {"LANGFLOW_DATABASE_URL": database.url}
        made = site.call(
            "api-key", "create", "--expires", "2030-01-02T03:04:05Z", "--json", **settings
        ).done()
        assert made.json()["expires_at"] == "2030-01-02T03:04:05Z"
        (row,) = site.call("api-key", "list", "--json", **settings).done().json()
        assert row["expires_at"] == "2030-01-02T03:04:05Z"
        assert row["created_at"][:13] == databases.ago(seconds=0).strftime("%Y-%m-%dT%H")
    finally:
        database.give_back()


def test_every_generation_is_told(site: Site) -> None:
    for release in ("1.6", "1.9", "1.10", "1.12", "1.13"):
        database = server_databases.create(postgresql.cluster(), SHAPES[release])
        try:
            report = site.call("doctor", LANGFLOW_DATABASE_URL=database.url).stdout
            assert f"of Langflow {release}" in report
        finally:
            database.give_back()


def test_a_manifest_is_planned_applied_and_exported(site: Site, server: ServerDatabase) -> None:
    exported = site.folder / "exported.yaml"
    site.call("api-key", "create", "--name", "ci").done()
    exported.write_text(site.call("manifest").done().stdout)
    site.call("plan", "-f", str(exported), "--exit-code").done()
    wanted = site.folder / "wanted.yaml"
    wanted.write_text(
        "version: 1\nusers:\n  administrator:\n    api_keys:\n      app:\n"
        "        write_to: {file: app.key}\n"
    )
    assert site.call("plan", "-f", str(wanted), "--exit-code").code == 8
    site.call("apply", "-f", str(wanted), "--yes").done()
    assert len(server.key_ids()) == 2
    site.call("plan", "-f", str(wanted), "--exit-code").done()
    key = (site.folder / "app.key").read_text()
    site.call("whoami", "--api-key", "-", stdin=key).done()


def test_doctor_names_a_file_that_a_server_without_the_url_would_use(
    site: Site, server: ServerDatabase
) -> None:
    report = site.call("doctor").stdout
    assert "named by LANGFLOW_DATABASE_URL (environment)" in report
    assert "there is " not in report
    folder = site.folder / "config"
    folder.mkdir()
    databases.create(folder / "langflow.db")
    report = site.call("doctor", LANGFLOW_CONFIG_DIR=str(folder)).stdout
    assert "may have it open now" not in report
    (folder / "langflow.db-wal").touch()
    report = site.call("doctor", LANGFLOW_CONFIG_DIR=str(folder)).stdout
    assert f"there is {folder}/langflow.db, too, last written 20" in report
    assert "may have it open now" in report
