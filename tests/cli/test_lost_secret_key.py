"""The secret key is lost: commands that revoke or delete still work, and those that encrypt ask."""

from __future__ import annotations

import pytest

from ..support.commands import ALL, KEY_NAME, USER, VARIABLE, CommandCase
from ..support.databases import SampleKey
from ..support.samples import CREDENTIAL, OTHER_SECRET_KEY, decrypted, encrypted
from ..support.sites import Site
from ..support.terminals import Terminal

ENCRYPTING = frozenset(
    (
        "api-key create", "api-key ensure", "api-key migrate", "api-key rotate", "variable import",
        "variable set",
    )
)  # fmt: skip
"""Commands that write encrypted values, except ``secret-key rotate``, which must decrypt all."""

READING_SECRETS = frozenset(
    ("run", "secret-key check", "secret-key rotate", "variable export", "whoami")
)
"""Commands that must decrypt; ``whoami`` only if its key has no hash."""

SILENT = frozenset(
    (
        "api-key list", "audit", "secret-key generate", "variable explain", "user list",
        "user show", "whoami", "help", "manifest", "plan",
    )
)  # fmt: skip
"""Commands without a warning: they have nothing to decrypt here, or their output says it."""

LOST = {
    "wrong": {"LANGFLOW_SECRET_KEY": OTHER_SECRET_KEY},
    "missing": {"LANGFLOW_SECRET_KEY": None},
    "malformed": {"LANGFLOW_SECRET_KEY": "x" * 40},
}


@pytest.fixture
def lost_site(site: Site, superuser: str) -> Site:
    """A site with encrypted values, on which every command has something to do."""
    alice = site.database.add_user(USER, is_superuser=False)
    site.database.add_key(alice, KEY_NAME)
    site.database.add_variable(superuser, VARIABLE, encrypted(CREDENTIAL))
    site.settings["LANGFLOW_CONFIG_DIR"] = str(site.folder / "config")
    return site


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize(
    "command",
    [c for c in ALL if c.path not in ENCRYPTING | READING_SECRETS and c.path != "doctor"],
    ids=lambda command: command.path,
)
def test_what_encrypts_nothing_goes_on(command: CommandCase, how: str, lost_site: Site) -> None:
    result = lost_site.call(*command.line, stdin=command.stdin, **LOST[how]).done()
    # backup and explain have different messages; commands that open no database have none.
    if command.path not in SILENT:
        expected = "cannot decrypt" if how == "wrong" else "secret key"
        assert expected in result.stderr, result


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize(
    "command", [c for c in ALL if c.path in ENCRYPTING], ids=lambda command: command.path
)
def test_what_encrypts_is_refused_and_writes_nothing(
    command: CommandCase, how: str, lost_site: Site, superuser: str
) -> None:
    if command.path == "api-key migrate":
        lost_site.database.add_key(superuser, "old", at_rest="plaintext", hashed=False)
    before = (lost_site.database.content(), _names(lost_site))
    result = lost_site.call(*command.line, stdin=command.stdin, **LOST[how]).failed(7)
    assert "--accept-secret-key" in result.stderr
    assert (lost_site.database.content(), _names(lost_site)) == before


def manifest_of(value: str) -> str:
    return f"version: 1\nusers:\n  {USER}:\n    variables: {{NEW: {value}}}\n"


def test_apply_is_refused_only_where_it_encrypts(lost_site: Site) -> None:
    (lost_site.folder / "value").write_text(CREDENTIAL)
    secret = manifest_of("{value_from: {file: value}}")
    plain = manifest_of("{type: Generic, value: '1'}")
    before = lost_site.database.content()
    lost = LOST["wrong"]
    refused = lost_site.call("apply", "-f", "-", stdin=secret, **lost).failed(7)
    assert "--accept-secret-key" in refused.stderr
    assert lost_site.database.content() == before
    assert "cannot decrypt" in lost_site.call("apply", "-f", "-", stdin=plain, **lost).done().stderr
    accepted = ("apply", "-f", "-", "--accept-secret-key", "--yes")
    lost_site.call(*accepted, stdin=secret.replace("NEW", "OTHER"), **lost).done()
    (value,) = lost_site.database.rows("SELECT value FROM variable WHERE name = 'OTHER'")[0]
    assert _opens(value)


def _names(site: Site) -> set[str]:
    return {path.name for path in site.folder.iterdir()} - {"config"}


@pytest.mark.parametrize(
    "command", [c for c in ALL if c.path in ENCRYPTING], ids=lambda command: command.path
)
def test_a_key_that_is_accepted_encrypts(
    command: CommandCase, lost_site: Site, superuser: str
) -> None:
    if command.path == "api-key migrate":
        lost_site.database.add_key(superuser, "old", at_rest="plaintext", hashed=False)
    line = (*command.line, "--accept-secret-key")
    asked = lost_site.call(*line, stdin=command.stdin, **LOST["wrong"])
    if command.path != "api-key rotate":  # it has its own --yes among the arguments
        before = lost_site.database.content()
        asked.failed(2, "--yes")
        assert lost_site.database.content() == before
        lost_site.call(*line, "--yes", stdin=command.stdin, **LOST["wrong"]).done()
    tokens = lost_site.database.rows(
        "SELECT api_key FROM apikey UNION ALL SELECT value FROM variable"
    )
    assert any(_opens(token) for (token,) in tokens)


def _opens(token: str) -> bool:
    try:
        decrypted(token, OTHER_SECRET_KEY)
    except Exception:  # noqa: BLE001 - any error: it cannot be decrypted
        return False
    return True


@pytest.mark.parametrize("how", ["missing", "malformed"])
def test_a_missing_or_malformed_key_is_not_accepted(how: str, lost_site: Site) -> None:
    before = lost_site.database.content()
    lost_site.call("api-key", "create", "--accept-secret-key", "--yes", **LOST[how]).failed(7)
    assert lost_site.database.content() == before


def test_the_question_says_what_is_given_up(lost_site: Site) -> None:
    fingerprint = (
        lost_site.call("doctor", **LOST["wrong"]).stdout.split("fingerprint ")[1].split()[0]
    )
    line = ("api-key", "create", "--accept-secret-key")
    with Terminal(lost_site, *line, **LOST["wrong"]) as terminal:
        terminal.expect("[y/N]")
        terminal.send("n\n")
        question = terminal.finish(1).text
    assert "2 encrypted values" in question
    assert fingerprint in question
    assert "LANGFLOW_SECRET_KEY (environment)" in question
    assert len(lost_site.database.key_ids()) == 1


def test_where_the_key_is_right_nothing_is_asked(lost_site: Site) -> None:
    lost_site.call("api-key", "create", "--accept-secret-key").done()


def test_on_a_generation_that_keeps_keys_in_plaintext_making_one_encrypts_nothing(
    site_of: object,
) -> None:
    site = site_of("1.6")  # type: ignore[operator]
    owner = str(site.database.rows("SELECT id FROM user WHERE username = 'langflow'")[0][0])
    site.database.add_variable(owner, "TOKEN", encrypted("x"))
    site.call("api-key", "create", **LOST["wrong"]).done()
    site.call("variable", "set", "A", "--value-file", "-", stdin="1", **LOST["wrong"]).failed(7)


def test_init_in_an_entry_point_only_warns(lost_site: Site) -> None:
    before = lost_site.database.content()
    for settings in LOST.values():
        result = lost_site.call("init", **settings).done()
        assert "warning: " in result.stderr
        assert "nothing was changed" in result.stderr
    assert lost_site.database.content() == before


@pytest.mark.parametrize("how", LOST)
def test_a_list_has_what_can_be_shown(how: str, lost_site: Site) -> None:
    (listed,) = lost_site.call("api-key", "list", "--all-users", "--json", **LOST[how]).json()
    assert (listed["name"], listed["api_key"]) == (KEY_NAME, None)
    (variable,) = lost_site.call("variable", "list", "--json", **LOST[how]).json()
    assert (variable["name"], variable["opens"]) == (VARIABLE, False)


def test_a_rotation_that_would_skip_everything_is_refused(lost_site: Site) -> None:
    before = lost_site.database.content()
    for dry_run in ((), ("--dry-run",)):
        lost_site.call(
            "secret-key", "rotate", "--new-key-file", "new", "--skip-unreadable", "--yes", *dry_run,
            **LOST["wrong"],
        ).failed(7)  # fmt: skip
    assert lost_site.database.content() == before
    assert not (lost_site.folder / "new").exists()


@pytest.fixture
def leaked(site: Site, superuser: str) -> SampleKey:
    return site.database.add_key(superuser, "leaked")


@pytest.mark.parametrize("how", LOST)
def test_a_leaked_key_is_revoked_by_itself(how: str, site: Site, leaked: SampleKey) -> None:
    site.call("api-key", "revoke", "-", "--yes", stdin=leaked.plaintext, **LOST[how]).done()
    assert site.database.key_ids() == []


@pytest.mark.parametrize("how", LOST)
def test_ensure_goes_on_where_its_key_is_there(how: str, site: Site, leaked: SampleKey) -> None:
    (site.folder / "key").write_text(leaked.plaintext)
    for name in ("leaked", "renamed"):
        site.call("api-key", "ensure", name, "--value-file", "key", **LOST[how]).done()
    site.call("api-key", "ensure", "new", "--value-file", "missing", **LOST[how]).failed(7)
    assert not (site.folder / "missing").exists()


@pytest.mark.parametrize("how", LOST)
def test_what_stays_in_plaintext_needs_no_secret_key(how: str, lost_site: Site) -> None:
    line = ("variable", "set", "PLAIN", "--type", "Generic", "--value-file", "-")
    lost_site.call(*line, stdin="1", **LOST[how]).done()


def test_what_is_given_up_is_said_without_a_question_too(lost_site: Site) -> None:
    line = ("api-key", "create", "--accept-secret-key")
    for result in (
        lost_site.call(*line, **LOST["wrong"]).failed(2, "--yes"),
        lost_site.call(*line, "--yes", **LOST["wrong"]).done(),
    ):
        assert "2 encrypted values" in result.stderr
        assert "LANGFLOW_SECRET_KEY (environment) (fingerprint " in result.stderr


@pytest.mark.parametrize("how", LOST)
def test_the_hint_names_the_way_on(how: str, lost_site: Site) -> None:
    assert "--accept-secret-key" in lost_site.call("api-key", "create", **LOST[how]).stderr


def test_a_dry_run_of_what_would_fail_fails(lost_site: Site) -> None:
    lost_site.call("api-key", "rotate", KEY_NAME, "--dry-run", **LOST["wrong"]).failed(7)
