"""``--url`` and ``--remote``: which server is used, and as which user."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from langkeys.cli.options import RemoteCommand

from ..support.commands import command_named, paths
from ..support.fake_langflow import FakeKey, Langflow, langflow
from ..support.other_users import needs_root
from ..support.servers import Server
from ..support.sites import Site
from .test_startup import imported

REMOTE = {
    *(f"api-key {verb}" for verb in ("create", "list", "show", "revoke", "rotate", "prune")),
    *(f"variable {verb}" for verb in ("set", "import", "list", "delete")),
    *(
        f"user {verb}"
        for verb in (
            "list",
            "show",
            "create",
            "activate",
            "deactivate",
            "promote",
            "demote",
            "set-password",
        )
    ),
    "whoami",
    "doctor",
}
"""The commands that have ``--url`` according to the contract."""


@pytest.fixture
def deployment() -> Iterator[tuple[Langflow, Server, FakeKey]]:
    with langflow("1.13.0") as (found, server):
        yield found, server, found.add_key(found.superuser, "acting")


Deployment = tuple[Langflow, Server, FakeKey]


def test_these_commands_and_no_others_ask_a_server() -> None:
    found = {path for path in paths() if isinstance(command_named(path), RemoteCommand)}
    assert found == REMOTE


@pytest.mark.parametrize("path", sorted(REMOTE - {"whoami", "doctor"}))
def test_without_a_key_nobody_is_asked(path: str, empty_site: Site, deployment: Deployment) -> None:
    _, server, key = deployment
    arguments = {
        "set": ["X", "--from-env"], "create": ["--random", "x"], "import": ["-", "--only", "X"],
        "show": ["x"], "revoke": ["x"], "rotate": ["x"], "prune": ["--expired"], "delete": ["x"],
        "set-password": ["x", "--random"], "list": [],
    }.get(path.split()[1], ["x"])  # fmt: skip
    if path == "api-key create":
        arguments = []
    result = empty_site.call(
        *path.split(), *arguments, "--url", server.url, "--json",
        LANGFLOW_API_KEY=key.value, X="1", stdin="X=1",
    ).failed(4)  # fmt: skip
    assert result.error["code"] == "unauthenticated"
    assert server.requests == []


def test_whoami_and_doctor_take_langflow_api_key_last(
    empty_site: Site, deployment: Deployment
) -> None:
    found, server, key = deployment
    bob = found.add_key(found.add_user("bob"))
    other = found.add_key(found.add_user("carol"))
    settings: dict[str, str | None] = {"LANGFLOW_API_KEY": key.value}
    url = ("--url", server.url)
    assert empty_site.call("whoami", *url, **settings).done().rows[0][1] == "administrator"
    assert "administrator" in empty_site.call("doctor", *url, **settings).done().stdout
    settings["LANGKEYS_API_KEY"] = bob.value
    assert empty_site.call("whoami", *url, **settings).done().rows[0][1] == "bob"
    result = empty_site.call("whoami", *url, "--api-key", "-", stdin=other.value, **settings)
    assert result.done().rows[0][1] == "carol"


def test_remote_takes_the_address_of_the_settings(empty_site: Site, deployment: Deployment) -> None:
    _, server, key = deployment
    settings = {"LANGFLOW_URL": server.url, "LANGKEYS_API_KEY": key.value}
    assert len(empty_site.call("api-key", "list", "--remote", **settings).done().rows) == 1
    result = empty_site.call("api-key", "list", "--remote", LANGKEYS_API_KEY=key.value).failed(2)
    assert "LANGFLOW_URL" in result.stderr


def test_langflow_url_alone_asks_no_server(site: Site, deployment: Deployment) -> None:
    _, server, _ = deployment
    for command in (("api-key", "list"), ("variable", "list"), ("user", "list"), ("doctor",)):
        site.call(*command, LANGFLOW_URL=server.url)
    assert server.requests == []


@pytest.mark.parametrize("option", [("--url", "http://localhost:1"), ("--remote",)])
def test_a_server_or_a_database(site: Site, option: tuple[str, ...]) -> None:
    for command in (("api-key", "list"), ("whoami",), ("doctor",), ("user", "promote", "x")):
        site.call(*command, *option, "--database", "langflow.db").failed(2, "--database")
        site.call("--database", "langflow.db", *command, *option).failed(2, "--database")


def test_via_is_about_a_server(site: Site, empty_site: Site, deployment: Deployment) -> None:
    _, server, key = deployment
    site.call("api-key", "list", "--via", "query").failed(2, "--via")
    settings = {"LANGKEYS_API_KEY": key.value}
    empty_site.call("api-key", "list", "--url", server.url, "--via", "x", **settings).failed(2)
    empty_site.call("api-key", "list", "--url", server.url, "--via", "query", **settings).done()
    assert server.requests[-1].query == {"x-api-key": [key.value]}


def test_a_server_is_asked_without_anything_else_that_is_slow(
    empty_site: Site, deployment: Deployment
) -> None:
    _, server, key = deployment
    settings = {"LANGKEYS_API_KEY": key.value}
    found = imported(empty_site, "api-key", "list", "--url", server.url, **settings)
    assert found == {"urllib.request"}


def test_without_a_server_nothing_of_it_is_imported(site: Site) -> None:
    program = (
        "import sys; from langkeys.cli import main; main();"
        "sys.exit(any(m.startswith(('langkeys.remote', 'langkeys.cli.remote')) for m in"
        " sys.modules))"
    )
    for command in (("api-key", "list"), ("variable", "list"), ("user", "list"), ("whoami",)):
        result = site.run(*command, command=(sys.executable, "-c", program))
        assert result.code == 0, result


def test_no_database_and_no_secret_key_is_needed_or_made(
    empty_site: Site, deployment: Deployment
) -> None:
    _, server, key = deployment
    settings = {"LANGKEYS_API_KEY": key.value}
    empty_site.run("api-key", "create", "--url", server.url, **settings).done()
    assert list(empty_site.folder.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("api-key", "list", "--all-users"),
        ("api-key", "rotate", "ci", "--grace", "1h"),
        ("api-key", "rotate", "--all", "--grace", "1h"),
        ("variable", "list", "--all-users"),
        ("user", "deactivate", "bob", "--revoke-keys"),
    ],
)
def test_what_no_server_does_is_refused_before_any_request(
    empty_site: Site, deployment: Deployment, arguments: tuple[str, ...]
) -> None:
    _, server, key = deployment
    settings = {"LANGKEYS_API_KEY": key.value}
    result = empty_site.call(*arguments, "--url", server.url, "--json", **settings).failed(2)
    assert result.error["code"] == "unsupported"
    assert server.requests == []


@pytest.mark.parametrize("refs", [("-",), ("ci",), ("--all",)])
def test_what_a_version_does_not_do_is_refused_before_a_key_is_sent(
    empty_site: Site, refs: tuple[str, ...]
) -> None:
    with langflow("1.8.4") as (found, server):
        key = found.add_key(found.superuser, "ci")
        arguments = ("api-key", "rotate", *refs, "--expires", "90d", "--url", server.url)
        settings = {"LANGKEYS_API_KEY": key.value}
        empty_site.call(*arguments, stdin=key.value, **settings).failed(2, "1.8.4")
        assert [asked.path for asked in server.requests] == ["/api/v1/version"]
        assert [asked.api_key for asked in server.requests] == [None]


# The owner of the file that sets the address


@pytest.mark.parametrize("prefix", ["", "export "])
def test_an_address_that_a_secret_goes_into_is_refused(
    empty_site: Site, deployment: Deployment, prefix: str
) -> None:
    _, server, key = deployment
    line = f"{prefix}LANGFLOW_URL={server.url}/${{LANGKEYS_API_KEY}}\n"
    empty_site.write_env(f"LANGKEYS_API_KEY={key.value}\n{line}")
    result = empty_site.call("api-key", "list", "--remote").failed(2, "LANGFLOW_URL", "${")
    assert key.value not in result.stderr
    assert server.requests == []


@needs_root
def test_anothers_env_file_gets_no_key_but_its_own(
    empty_site: Site, deployment: Deployment
) -> None:
    _, server, key = deployment
    file = empty_site.write_env(f"LANGFLOW_URL={server.url}\n")
    for place in (file, empty_site.folder):
        os.chown(place, 4321, 4321)
    settings: dict[str, str | None] = {"LANGKEYS_API_KEY": key.value}
    empty_site.call("api-key", "list", "--remote", **settings).failed(2, "4321", "--env-file")
    empty_site.call("whoami", "--remote", "--api-key", "-", stdin=key.value).failed(2, "4321")
    assert server.requests == []
    vouched = ("--remote", "--env-file", str(file))
    empty_site.call("api-key", "list", *vouched, **settings).done()
    empty_site.call("api-key", "list", "--url", server.url, **settings).done()
    file.write_text(f"LANGFLOW_URL={server.url}\nLANGKEYS_API_KEY={key.value}\n")
    empty_site.call("api-key", "list", "--remote").done()


def test_an_address_that_came_from_a_file_is_in_no_error(empty_site: Site) -> None:
    path = empty_site.folder / "url"
    for content in (
        "http://content-of-some-file",
        "content-of-some-file",
        "http://a b-of-some-file",
    ):
        path.write_text(content)
        for command in (("whoami",), ("api-key", "create"), ("user", "list"), ("doctor",)):
            settings = {"LANGFLOW_URL_FILE": str(path), "LANGKEYS_API_KEY": "sk-some-key"}
            result = empty_site.call(*command, "--remote", **settings)
            assert result.code in (1, 2)
            assert "of-some-file" not in result.stderr + result.stdout
            assert "LANGFLOW_URL" in result.stderr or str(path) in result.stderr
