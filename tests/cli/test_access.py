"""Who may use which command: every command is tried as users who may not use it."""

from __future__ import annotations

import pytest

from ..conftest import SUPERUSER
from ..support.commands import (
    ALL,
    NEED_A_USER,
    NEED_NOBODY,
    USER,
    CommandCase,
    paths,
)
from ..support.databases import ago
from ..support.samples import PASSWORD, WRONG_PASSWORD, new_api_key
from ..support.sites import Site

NO_SUPERUSER = "no superuser"
REFUSED = {
    NO_SUPERUSER: "forbidden",
    "no superuser, by password": "forbidden",
    "no superuser, by AUTO_LOGIN": "forbidden",
    "an inactive superuser, by password": "forbidden",
    "wrong password": "unauthenticated",
    "unknown user": "unauthenticated",
    "no password": "unauthenticated",
    "revoked key": "invalid_key",
    "expired key": "invalid_key",
    "inactive key": "invalid_key",
    "key of an inactive owner": "invalid_key",
}
"""Ways to act without being an active superuser, and the code of the refusal."""


def _settings(site: Site, superuser: str, way: str) -> dict[str, str | None]:
    database = site.database
    (alice,) = (row[0] for row in database.rows("SELECT id FROM user WHERE username = ?", (USER,)))
    key: str | None = None
    settings: dict[str, str | None] = {"LANGFLOW_AUTO_LOGIN": "false"}
    if way == NO_SUPERUSER:
        key = database.add_key(alice, "hers").plaintext
    elif way == "revoked key":
        key = new_api_key()
    elif way == "expired key":
        key = database.add_key(superuser, "old", expires_at=ago(hours=1)).plaintext
    elif way == "inactive key":
        key = database.add_key(superuser, "off", is_active=False).plaintext
    elif way == "key of an inactive owner":
        gone = database.add_user("gone", is_active=False)
        key = database.add_key(gone, "left").plaintext
    elif way == "no superuser, by AUTO_LOGIN":
        return {"LANGFLOW_AUTO_LOGIN": "true", "LANGFLOW_SUPERUSER": USER}
    else:
        name, password = {
            "no superuser, by password": (USER, PASSWORD),
            "an inactive superuser, by password": ("gone", PASSWORD),
            "wrong password": (SUPERUSER, WRONG_PASSWORD),
            "unknown user": ("nobody", PASSWORD),
            "no password": (SUPERUSER, None),
        }[way]
        if name == "gone":
            database.add_user("gone", is_active=False)
        settings |= {"LANGFLOW_SUPERUSER": name, "LANGFLOW_SUPERUSER_PASSWORD": password}
    return settings | {"LANGKEYS_API_KEY": key}


def test_every_command_has_a_case() -> None:
    assert [command.path for command in ALL] == paths()
    assert len(ALL) == 39
    assert {*NEED_NOBODY, *NEED_A_USER} <= {*paths()}


@pytest.mark.every_engine
@pytest.mark.parametrize("command", ALL, ids=lambda command: command.path)
def test_a_superuser_may_use_it(command: CommandCase, case_site: Site) -> None:
    # Otherwise the tests below would also pass for a command that always fails.
    case_site.run(*command.line, stdin=command.stdin).done()


@pytest.mark.parametrize("way", REFUSED)
@pytest.mark.parametrize(
    "command",
    [command for command in ALL if command.path not in NEED_NOBODY | NEED_A_USER],
    ids=lambda command: command.path,
)
def test_nobody_else_may(command: CommandCase, way: str, case_site: Site, superuser: str) -> None:
    settings = _settings(case_site, superuser, way)
    before, files = case_site.database.content(), sorted(case_site.folder.iterdir())
    result = case_site.call(*command.line, stdin=command.stdin, **settings)
    result.failed(4)
    assert case_site.database.content() == before
    assert set(case_site.folder.iterdir()) - {case_site.folder / "config"} == set(files)


@pytest.mark.every_engine
@pytest.mark.parametrize("way", REFUSED)
def test_the_refusal_has_its_code(way: str, case_site: Site, superuser: str) -> None:
    settings = _settings(case_site, superuser, way)
    result = case_site.call("api-key", "list", "--json", **settings)
    assert (result.code, result.error["code"]) == (4, REFUSED[way])


@pytest.mark.parametrize("way", REFUSED)
@pytest.mark.parametrize(
    "command",
    [command for command in ALL if command.path in NEED_NOBODY],
    ids=lambda command: command.path,
)
def test_what_needs_nobody_works_for_anybody(
    command: CommandCase, way: str, case_site: Site, superuser: str
) -> None:
    settings = _settings(case_site, superuser, way)
    result = case_site.call(*command.line, stdin=command.stdin, **settings)
    # doctor also reports a problem with the acting user.
    assert result.code in ((0, 1) if command.path == "doctor" else (0,)), result


@pytest.mark.parametrize("way", REFUSED)
def test_whoami_needs_a_user_and_no_superuser(way: str, case_site: Site, superuser: str) -> None:
    settings = _settings(case_site, superuser, way)
    result = case_site.call("whoami", **settings)
    if REFUSED[way] == "forbidden":
        assert result.done().rows[0][3 if "inactive" not in way else 2] == "false"
    else:
        result.failed(4)


@pytest.mark.every_engine
@pytest.mark.parametrize("way", REFUSED)
def test_whoami_with_a_key_needs_only_the_key(way: str, case_site: Site, superuser: str) -> None:
    settings = _settings(case_site, superuser, way)
    presented = case_site.database.add_key(superuser, "presented").plaintext
    result = case_site.call("whoami", "--api-key", "-", stdin=presented, **settings)
    assert result.done().rows[0][1] == SUPERUSER
