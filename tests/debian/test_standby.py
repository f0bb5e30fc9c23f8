"""A standby: commands that read work, commands that write are refused."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from ..support.clusters import PASSWORD, Cluster
from ..support.commands import ALL, VARIABLE
from ..support.server_databases import ServerDatabase
from ..support.sites import Site
from . import debian_server
from .debian_server import Primary

READING = frozenset(
    (
        "api-key list", "api-key show", "audit", "backup", "doctor", "help", "init", "manifest",
        "plan", "run", "secret-key check", "secret-key generate", "user list", "user show",
        "variable explain", "variable export", "variable list", "variable show", "whoami",
    )
)  # fmt: skip
"""The commands that change nothing in a database; all others must be refused."""


@pytest.fixture(scope="module")
def standby(primary: Primary) -> Iterator[Cluster]:
    with debian_server.standby(primary) as found:
        yield found


@pytest.fixture
def replica(case_site: Site, server: ServerDatabase, primary: Primary, standby: Cluster) -> Site:
    """A site on which every case can run, with the standby as its database."""
    debian_server.wait_for_standby(primary, standby)
    case_site.settings["LANGFLOW_DATABASE_URL"] = standby.url(server.name)
    return case_site


def test_every_command_that_only_reads_works(replica: Site) -> None:
    for command in ALL:
        if command.path in READING:
            # `run` replaces its own process, so it needs a separate one.
            ask = replica.run if command.path == "run" else replica.call
            ask(*command.line, stdin=command.stdin).done()


def test_every_other_command_says_that_it_cannot_write(replica: Site) -> None:
    before, files = replica.database.content(), sorted(replica.folder.iterdir())
    for command in ALL:
        if command.path not in READING:
            refused = replica.call(*command.line, stdin=command.stdin)
            refused.failed(6, "is a replica (standby)", "nothing was written", "the primary")
    assert replica.database.content() == before
    assert sorted(replica.folder.iterdir()) == files


def test_doctor_tells_that_it_is_one(replica: Site, server: ServerDatabase) -> None:
    report = replica.call("doctor").stdout
    assert "it is a replica (standby)" in report
    primary = replica.call("doctor", LANGFLOW_DATABASE_URL=server.url).stdout
    assert "standby" not in primary


def test_a_key_is_known_there_once_it_has_arrived(
    replica: Site, server: ServerDatabase, primary: Primary, standby: Cluster
) -> None:
    made = replica.call("api-key", LANGFLOW_DATABASE_URL=server.url).done().stdout.strip()
    debian_server.wait_for_standby(primary, standby)
    assert replica.call("whoami", "--api-key", "-", stdin=made).done().lines


def test_of_several_hosts_the_one_that_is_asked_for_is_taken(
    replica: Site, server: ServerDatabase, standby: Cluster
) -> None:
    ports = (standby.port, server.cluster.port)

    def url(in_query: bool, **parameters: str) -> str:
        places = ",".join(f"127.0.0.1:{port}" for port in ports)
        if in_query:
            places = ""
            parameters |= {"host": "127.0.0.1,127.0.0.1", "port": ",".join(map(str, ports))}
        return f"postgresql://langflow:{PASSWORD}@{places}/{server.name}?{urlencode(parameters)}"

    for in_query in (True, False):
        for wanted in ("read-write", "primary"):
            setting = url(in_query, target_session_attrs=wanted)
            result = replica.call("api-key", LANGFLOW_DATABASE_URL=setting).done()
            assert f"127.0.0.1:{standby.port},127.0.0.1:{server.cluster.port}" in result.stderr
            assert "standby" not in replica.call("doctor", LANGFLOW_DATABASE_URL=setting).stdout
        for wanted in ("standby", "read-only", "prefer-standby", "any"):
            setting = url(in_query, target_session_attrs=wanted)
            replica.call("api-key", "list", LANGFLOW_DATABASE_URL=setting).done()
            replica.call("api-key", LANGFLOW_DATABASE_URL=setting).failed(6, "standby")
    assert len(server.key_ids()) == 1 + 4


def test_where_no_host_is_what_is_asked_for_it_is_said(
    replica: Site, server: ServerDatabase, standby: Cluster
) -> None:
    for cluster, wanted in ((standby, "read-write"), (server.cluster, "standby")):
        setting = f"{cluster.url(server.name)}?target_session_attrs={wanted}"
        replica.call("api-key", "list", LANGFLOW_DATABASE_URL=setting).failed(
            6, "none of its hosts is what target_session_attrs asks for"
        )


def test_a_primary_that_is_set_read_only_is_told_as_such(
    case_site: Site, server: ServerDatabase
) -> None:
    server.cluster.rows(f"ALTER DATABASE {server.name} SET default_transaction_read_only = on")
    case_site.call("variable", "show", VARIABLE, "--reveal").done()
    case_site.call("variable", "delete", VARIABLE, "--yes").failed(6, "read-only")
    assert server.rows("SELECT count(*) FROM variable") == [(1,)]
