"""Sockets, services and .pgpass: libpq's own sources for parts that the URL lacks."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ..support.clusters import PASSWORD
from ..support.server_databases import ServerDatabase
from ..support.sites import Site
from .debian_server import Primary

LIST = ("api-key", "list", "--json")


@pytest.fixture
def home(site: Site, superuser: str, server: ServerDatabase) -> Path:
    server.add_key(superuser, "ci")
    assert site.home is not None
    return site.home


def passfile(path: Path, host: str, server: ServerDatabase) -> None:
    path.write_text(f"{host}:{server.cluster.port}:{server.name}:langflow:{PASSWORD}\n")
    path.chmod(0o600)


def listed(site: Site, url: str, **settings: str) -> None:
    """Assert that a URL leads to the database with the only key."""
    (key,) = site.run(*LIST, LANGFLOW_DATABASE_URL=url, **settings).done().json()
    assert key["name"] == "ci"


@pytest.mark.parametrize("encoded", [False, True])
def test_a_socket_is_connected_to_by_its_folder(
    site: Site, home: Path, server: ServerDatabase, primary: Primary, encoded: bool
) -> None:
    port = server.cluster.port
    credentials = f"langflow:{PASSWORD}"
    folder = str(primary.folder)
    url = (
        f"postgresql://{credentials}@{folder.replace('/', '%2F')}:{port}/{server.name}"
        if encoded
        else f"postgresql://{credentials}@/{server.name}?host={folder}&port={port}"
    )
    listed(site, url)
    made = site.call("api-key", LANGFLOW_DATABASE_URL=url).done()
    assert f"/{server.name}?host={folder}&port={port}" in made.stderr
    # A Langflow server of 1.13 accepts no folder as the host.
    assert ("would not start" in made.stderr) is encoded
    doctor = site.call("doctor", LANGFLOW_DATABASE_URL=url).stdout
    assert "no TLS" in doctor
    assert "not encrypted" not in doctor
    copy = site.folder / "copy"
    site.call("backup", str(copy), LANGFLOW_DATABASE_URL=url).done()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_folder_without_a_socket_is_told(
    site: Site, home: Path, server: ServerDatabase, tmp_path: Path
) -> None:
    url = f"postgresql://langflow@/{server.name}?host={tmp_path}&port={server.cluster.port}"
    site.call(*LIST, LANGFLOW_DATABASE_URL=url).failed(6, "no socket or file of that name")


def test_a_password_comes_from_the_users_own_file(
    site: Site, home: Path, server: ServerDatabase, primary: Primary
) -> None:
    places = (
        ("127.0.0.1", f"postgresql://langflow@127.0.0.1:{server.cluster.port}/{server.name}"),
        (
            str(primary.folder),
            f"postgresql://langflow@/{server.name}?host={primary.folder}&port={server.cluster.port}",
        ),
    )
    for host, url in places:
        site.run(*LIST, LANGFLOW_DATABASE_URL=url).failed(6, "asks for a password", ".pgpass")
        passfile(home / ".pgpass", host, server)
        listed(site, url)
        site.run("backup", "copy", LANGFLOW_DATABASE_URL=url).done()
        (site.folder / "copy").unlink()
        (home / ".pgpass").chmod(0o644)  # libpq ignores a file that others can read
        site.run(*LIST, LANGFLOW_DATABASE_URL=url).failed(6, "asks for a password")
        (home / ".pgpass").unlink()
    elsewhere = site.folder / "passwords"
    passfile(elsewhere, "*", server)
    for _, url in places:
        listed(site, f"{url}{'&' if '?' in url else '?'}passfile={elsewhere}")
        listed(site, url, PGPASSFILE=str(elsewhere))


def test_a_service_names_what_a_url_lacks(
    site: Site, home: Path, server: ServerDatabase, primary: Primary
) -> None:
    services = site.folder / "services"
    services.write_text(
        f"[tcp]\nhost=127.0.0.1\nport={server.cluster.port}\ndbname={server.name}\nuser=langflow\n"
        f"password={PASSWORD}\nsslmode=verify-full\nsslrootcert={primary.certificates.root}\n"
        f"[socket]\nhost={primary.folder}\nport={server.cluster.port}\nuser=langflow\n"
    )
    file = {"PGSERVICEFILE": str(services)}
    at_host = "postgresql://db.example/?hostaddr=127.0.0.1&service=tcp"  # the URL takes precedence
    listed(site, at_host, **file)
    report = site.run("doctor", LANGFLOW_DATABASE_URL=at_host, **file).stdout
    assert "with TLS" in report
    by_tcp = "postgresql:///?service=tcp"
    site.run(*LIST, LANGFLOW_DATABASE_URL=by_tcp, **file).failed(6, "another host name")
    by_socket = f"postgresql:///{server.name}?service=socket"
    listed(site, by_socket, PGPASSWORD=PASSWORD, **file)
    listed(
        site, f"postgresql:///{server.name}", PGSERVICE="socket", PGPASSWORD=PASSWORD, **file
    )  # fmt: skip
    copy = site.run("backup", "copy", LANGFLOW_DATABASE_URL=at_host, **file)
    assert PASSWORD not in copy.done().stderr
    site.run(*LIST, LANGFLOW_DATABASE_URL="postgresql:///?service=none", **file).failed(
        6, "no such service", "PGSERVICE"
    )
    (home / ".pg_service.conf").write_bytes(services.read_bytes())
    listed(site, at_host)


def test_the_rest_comes_from_the_environment(
    site: Site, home: Path, server: ServerDatabase, primary: Primary
) -> None:
    port = str(server.cluster.port)
    given = {
        "PGPORT": port,
        "PGUSER": "langflow",
        "PGPASSWORD": PASSWORD,
        "PGDATABASE": server.name,
    }
    listed(site, "postgresql://", PGHOST="127.0.0.1", PGSSLMODE="require", **given)
    listed(site, "postgresql://", PGHOST=str(primary.folder), **given)
    url = f"postgresql://127.0.0.1/{server.name}"
    site.run(*LIST, LANGFLOW_DATABASE_URL=url, **given, PGSSLMODE="verify-ca").failed(
        6, "sslrootcert"
    )
    site.run(*LIST, LANGFLOW_DATABASE_URL=url, **given, PGSSLMODE="x").failed(2, "PGSSLMODE")
