"""The PG* variables of a .env file, which a server that is started with the file uses, too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.errors import ConfigError

from ..support.clusters import PASSWORD
from ..support.server_databases import ServerDatabase
from ..support.sites import Site

URL = "postgresql:///langflow"


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def server(site: Site, server: ServerDatabase) -> ServerDatabase:
    """A site whose URL has only the scheme."""
    site.settings["LANGFLOW_DATABASE_URL"] = "postgresql://"
    return server


def lines(server: ServerDatabase, **changed: str) -> str:
    given = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.cluster.port),
        "PGUSER": "langflow",
        "PGDATABASE": server.name,
        "PGPASSWORD": PASSWORD,
        **changed,
    }
    return "".join(f"{name}={text}\n" for name, text in given.items())


COMMANDS = (
    ("api-key", "create", "--name", "ci"),
    ("api-key", "list"),
    ("whoami",),
    ("secret-key", "check"),
    ("backup", "copy"),
    ("secret-key", "rotate", "--new-key-file", "new", "--yes"),
)


def test_every_command_connects_by_them(site: Site, server: ServerDatabase) -> None:
    site.write_env(lines(server)).chmod(0o600)
    site.settings["LANGFLOW_CONFIG_DIR"] = str(site.folder)
    place = f"127.0.0.1:{server.cluster.port}/{server.name}"
    assert place in site.call("api-key", "create").done().stderr
    for line in COMMANDS:
        site.call(*line).done()
    assert "PGPASSWORD" not in os.environ
    assert len(server.key_ids()) == 2
    # The backup is named after host, port and database, as without these variables.
    assert list(site.folder.glob(f"127.0.0.1-{server.cluster.port}-{server.name}.backup-*"))
    report = site.call("doctor").stdout
    assert f"postgresql://{place}" in report
    assert "PGDATABASE, PGHOST, PGPASSWORD, PGPORT, PGUSER from " in report
    assert PASSWORD not in report


def test_the_environment_comes_before_them_and_the_url_before_both(
    site: Site, server: ServerDatabase
) -> None:
    site.write_env(lines(server, PGPASSWORD="pass-of-nobody", PGDATABASE="none"))
    site.call("api-key", "list").failed(6)
    site.run("api-key", "list", PGPASSWORD=PASSWORD, PGDATABASE=server.name).done()
    url = f"postgresql:///{server.name}"
    site.run("api-key", "list", PGPASSWORD=PASSWORD, LANGFLOW_DATABASE_URL=url).done()
    said = site.run(
        "api-key", "list", "--env-file", ".env", PGPASSWORD=PASSWORD, PGDATABASE=server.name
    ).done()
    assert "PGDATABASE, PGPASSWORD have different values" in said.stderr


def test_a_service_of_a_file_comes_before_the_variables(site: Site, server: ServerDatabase) -> None:
    services = site.folder / "services"
    services.write_text(f"[lf]\nhost=127.0.0.1\ndbname={server.name}\n")
    site.write_env(
        lines(server, PGHOST="none.invalid", PGDATABASE="none")
        + f"PGSERVICE=lf\nPGSERVICEFILE={services}\n"
    )
    site.call("api-key", "list").done()


def test_a_line_that_does_not_parse_is_an_error(site: Site, server: ServerDatabase) -> None:
    site.write_env(lines(server).replace("PGPASSWORD=", "PGPASSWORD='"))
    site.call("api-key", "list").failed(2, "line")


def test_others_who_can_read_the_file_are_a_problem(site: Site, server: ServerDatabase) -> None:
    path = site.write_env(lines(server))
    path.chmod(0o644)
    report = site.call("doctor")
    assert report.code == 1
    assert "others can read it" in report.stdout
    path.write_text(f"LANGFLOW_DATABASE_URL={server.url}\n")
    del site.settings["LANGFLOW_DATABASE_URL"]
    assert site.call("doctor").code == 1
    path.write_text(f"LANGFLOW_DATABASE_URL={server.url.replace(f':{PASSWORD}', '')}\n")
    assert "others can read it: " not in site.call("doctor").stdout


# Another user's file


def foreign(folder: Path, text: str, **environ: str) -> Settings:
    (folder / ".env").write_text(text)
    found = Settings(environ=environ)
    found.foreign_owner = 4711
    return found


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("LANGFLOW_DATABASE_URL=postgresql://u@evil/db\n", {"PGPASSWORD": "p"}),
        ("PGHOST=evil\n", {"LANGFLOW_DATABASE_URL": "postgresql://u:p@/db"}),
        ("PGHOSTADDR=10.0.0.1\n", {"LANGFLOW_DATABASE_URL": URL, "PGPASSWORD": "p"}),
        ("PGSERVICE=evil\n", {"LANGFLOW_DATABASE_URL": URL, "PGPASSWORD": "p"}),
    ],
)
def test_anothers_file_does_not_say_where_a_password_goes(
    tmp_path: Path, text: str, environ: dict[str, str]
) -> None:
    with pytest.raises(ConfigError, match="is not sent there"):
        locations.database(foreign(tmp_path, text, **environ))


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("LANGFLOW_DATABASE_URL=postgresql://u:p@db/db\n", {"PGPASSWORD": "q"}),
        ("LANGFLOW_DATABASE_URL=postgresql://u@db/db\nPGPASSWORD=p\n", {}),
        ("OTHER=1\n", {"LANGFLOW_DATABASE_URL": "postgresql://u:p@db/db"}),
    ],
)
def test_a_password_of_the_same_source_is_used(
    tmp_path: Path, text: str, environ: dict[str, str]
) -> None:
    assert locations.database(foreign(tmp_path, text, **environ)).target.file is None


def test_anothers_file_names_no_file_of_ours(tmp_path: Path) -> None:
    ours = tmp_path / "pgpass"
    ours.write_text("*:*:*:*:secret\n")
    settings = foreign(tmp_path, f"LANGFLOW_DATABASE_URL=postgresql://u@db/db\nPGPASSFILE={ours}\n")
    with pytest.raises(ConfigError, match="PGPASSFILE points to a file of another user"):
        locations.database(settings)
