"""Names that could control a terminal, in all commands and formats that show names."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ..support import variable_rows
from ..support.commands import paths
from ..support.databases import Database, ago
from ..support.samples import OTHER_SECRET_KEY, encrypted, new_api_key
from ..support.sites import Site
from ..support.terminals import Terminal

RAW = (
    "\x1b]0;owned\x07\x1b[31m\r\b\t\n\x7f\x85\x9b31m\xad\u034f\u061c\u115f\u180e\u200b\u200c\u200d"
    "\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\u3164"
    "\ufeff\ufff9\ufffb\U0001d173\U000e0001\U000e0041"
)
"""One character of each kind; none may be written raw."""

NAME = f"n{RAW}\\x"
USER = f"u{RAW}\\x"
VARIABLE = f"V{RAW}\\x"

Arguments = tuple[str, ...]


def quoted(text: str) -> str:
    """Return a text as a YAML string with every character escaped."""
    return '"' + "".join(f"\\U{ord(character):08X}" for character in text) + '"'


@dataclass(frozen=True)
class Ids:
    """The ids that are passed to the commands."""

    superuser: str
    user: str
    key: str
    variable: str


@pytest.fixture
def hostile(site: Site, superuser: str) -> tuple[Site, Ids]:
    """A site with hostile names in all text columns."""
    database = site.database
    database.rows("UPDATE user SET username = ?, profile_image = ?", (f"a{USER}", USER))
    user = database.add_user(USER, is_superuser=False, optins=json.dumps({USER: USER}))
    keys = [database.add_key(user, NAME, created_at=ago(days=9)) for _ in range(2)]
    database.add_key(superuser, NAME, expires_at=ago(days=1))
    database.add_key(user, NAME, secret_key=OTHER_SECRET_KEY)
    fields = json.dumps([RAW])
    variable = variable_rows.add(database, superuser, VARIABLE, RAW, "Generic", fields=fields)
    variable_rows.add(database, superuser, VARIABLE, "x", fields=fields)
    variable_rows.add(database, superuser, f"K{RAW}", "x", f"T{RAW}", fields=fields)
    closed = encrypted("x", OTHER_SECRET_KEY)
    for owner in (superuser, user):
        variable_rows.add(database, owner, f"C{RAW}", closed, is_encrypted=False)
    for owner in (superuser, user):
        variable_rows.add(database, owner, "OK_KEY", "x")
    site.settings.update(
        LANGFLOW_SUPERUSER=f"a{USER}",
        LANGFLOW_CONFIG_DIR=str(site.folder / "config"),
        LANGFLOW_VARIABLES_TO_GET_FROM_ENVIRONMENT=f"{VARIABLE},X",
        SUDO_USER=USER,
        TERM="dumb",
    )
    (site.folder / "values").write_text("V_KEY=x\n")
    (site.folder / "names.yaml").write_text(
        f"{{version: 1, name: {quoted(NAME)}, users: {{"
        f"{quoted(USER)}: {{api_keys: {{{quoted(NAME)}: {{state: absent}}}}}},"
        f"{quoted('a' + USER)}: {{variables: {{{quoted('K' + RAW)}: {{state: absent}}}}}}}}}}"
    )
    (site.folder / "wrong.yaml").write_text(
        f"{{version: 1, {quoted(RAW)}: 1, users: {{{quoted(USER + '?')}: {{{quoted(RAW)}: 1,"
        f" variables: {{{quoted(VARIABLE)}: {{type: {quoted(RAW)},"
        f" value_from: {{file: {quoted(NAME)}}}}}}}}}}}}}"
    )
    return site, Ids(superuser, user, keys[0].id, variable)


# The arguments of each command; each call has its own site.
LINES: dict[str, Callable[[Ids], list[Arguments]]] = {
    "api-key activate": lambda ids: [(ids.key,), (NAME,), (f"{NAME}?",)],
    "api-key create": lambda ids: [
        ("--name", "x", "--user", USER), ("--name", NAME), ("--user", f"{USER}?"),
        ("--expires", RAW), ("--name", "x", "--write-to", f"{NAME}/{NAME}"),
        ("--name", "x", "--write-to", NAME[:40]),
    ],
    "api-key deactivate": lambda ids: [(ids.key,), (NAME,)],
    "api-key ensure": lambda ids: [
        ("x", "--value-file", NAME[:40], "--user", USER), (NAME, "--value-file", "value"),
        ("x", "--value-file", f"{NAME}/{NAME}"),
    ],
    "api-key list": lambda ids: [("--all-users",), ("--user", USER), ("--status", RAW)],
    "api-key migrate": lambda ids: [(), ("--dry-run",)],
    "api-key prune": lambda ids: [
        ("--user", USER, "--dry-run"), ("--expired", "--yes"), ("--older-than", RAW),
    ],
    "api-key revoke": lambda ids: [(ids.key, "--yes"), (NAME, "--yes"), (f"{NAME}?",)],
    "api-key rotate": lambda ids: [
        (ids.key,), (NAME,), ("--user", USER, "--all", "--yes"),
        ("--older-than", "1d", "--dry-run"),
    ],
    "api-key show": lambda ids: [(ids.key,), (NAME,), (f"{NAME}?",), ("sk-" + RAW,)],
    "api-key update": lambda ids: [(ids.key, "--expires", "1d"), (ids.key, "--name", NAME)],
    "apply": lambda ids: [
        ("-f", "names.yaml", "--dry-run"), ("-f", "names.yaml", "--yes"), ("-f", "wrong.yaml"),
        ("-f", NAME),
    ],
    "audit": lambda ids: [(), ("--since", "1d")],
    "backup": lambda ids: [(NAME[:40],), (f"{NAME}/{NAME}",)],
    "doctor": lambda ids: [()],
    "help": lambda ids: [(), (NAME,), ("api-key", RAW)],
    "init": lambda ids: [()],
    "manifest": lambda ids: [(), ("--reveal",), ("--user", USER), ("--user", f"{USER}?")],
    "plan": lambda ids: [
        ("-f", "names.yaml"), ("-f", "wrong.yaml"), ("-f", NAME), ("-f", f"{NAME}/{NAME}"),
    ],
    "run": lambda ids: [
        ("--", "true"), ("--only", f"{VARIABLE}?", "--", "true"), ("--", NAME),
        ("--only", f"C{RAW}", "--", "true"), ("--user", USER, "--", "true"),
    ],
    "secret-key check": lambda ids: [(), ("--old-key-file", NAME)],
    "secret-key generate": lambda ids: [()],
    "secret-key rotate": lambda ids: [("--dry-run",), ("--new-key-file", "new", "--yes")],
    "user activate": lambda ids: [(USER,), (f"{USER}?",)],
    "user create": lambda ids: [(USER, "--random"), (f"{USER}?", "--random")],
    "user deactivate": lambda ids: [(USER, "--revoke-keys", "--yes"), (f"a{USER}",)],
    "user demote": lambda ids: [(USER,), (f"a{USER}",)],
    "user list": lambda ids: [()],
    "user promote": lambda ids: [(USER,), (f"{USER}?",)],
    "user set-password": lambda ids: [(USER, "--random")],
    "user show": lambda ids: [(USER,), (ids.user,), (f"{USER}?",)],
    "variable delete": lambda ids: [(f"K{RAW}", "--yes"), (VARIABLE, "--yes"), (f"{VARIABLE}?",)],
    "variable explain": lambda ids: [(VARIABLE,), (f"K{RAW}", "--tweak"), (f"{VARIABLE}?",)],
    "variable export": lambda ids: [
        ("--reveal",), ("--reveal", "--only", VARIABLE), ("--reveal", "--only", f"{VARIABLE}?"),
        ("--reveal", "--format", "json"), ("--reveal", "--format", "k8s-secret"),
        ("--reveal", "--user", USER, "--write-to", NAME[:40]), ("--reveal", "--only", f"C{RAW}"),
        ("--reveal", "--format", "k8s-secret", "--secret-name", RAW),
    ],
    "variable import": lambda ids: [
        ("values", "--only", "V_KEY", "--user", USER), ("values", "--only", NAME), (NAME,),
        ("values", "--only", "V_KEY", "--all-users"),
    ],
    "variable list": lambda ids: [("--all-users",), ("--user", USER)],
    "variable set": lambda ids: [
        (f"K{RAW}", "--value-file", "values", "--type", "Generic"), ("X", "--value-file", NAME),
        ("X", "--value-file", "values", "--apply-to", RAW, "--user", USER),
        (VARIABLE, "--from-env"),
    ],
    "variable show": lambda ids: [(VARIABLE,), (ids.variable,), (f"K{RAW}",), (f"C{RAW}",)],
    "whoami": lambda ids: [(), ("--url", f"http://{RAW}"), ("--via", RAW)],
}  # fmt: skip

EVERYWHERE: tuple[Arguments, ...] = (
    ("api-key", "list", "--database", NAME),
    ("api-key", "list", "--database", f"mysql{RAW}://x"),
    ("api-key", "list", "--env-file", NAME),
    ("api-key", "list", f"--{RAW}"),
    ("api-key", "list", RAW),
    ("api-key", RAW),
    (RAW,),
    ("api-key", "create", "--name", "x", "--reason", RAW),
)
"""Command lines with hostile text in places that every command has."""

WITHOUT_JSON = frozenset(
    ("run", "variable export", "secret-key generate", "init", "backup", "help")
)


def raw_in(text: str, structure: str) -> set[str]:
    """Return the raw characters in an output, except those of its structure, such as newlines."""
    hidden = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    hidden |= {c for c in RAW if c in text and not (c.isascii() and c.isprintable())}
    return {f"U+{ord(c):04X}" for c in hidden if c not in structure}


def lines(path: str, ids: Ids) -> list[Arguments]:
    return [(*path.split(), *arguments) for arguments in LINES[path](ids)]


def test_a_manifest_with_hostile_names_is_carried_out(hostile: tuple[Site, Ids]) -> None:
    # Otherwise the manifest commands would only show errors.
    site, _ = hostile
    before = site.database.rows("SELECT id FROM apikey")
    assert site.call("apply", "-f", "names.yaml", "--yes").code == 0
    assert len(site.database.rows("SELECT id FROM apikey")) < len(before)


def test_every_command_is_walked() -> None:
    assert sorted(LINES) == paths()


@pytest.mark.parametrize("path", sorted(LINES))
def test_no_command_shows_what_would_steer_a_terminal(hostile: tuple[Site, Ids], path: str) -> None:
    site, ids = hostile
    for line in lines(path, ids):
        result = site.run(*line) if path == "run" else site.call(*line)
        assert not raw_in(result.stderr, "\n"), line
        assert not raw_in(result.stdout, "\n\t"), line
        if path not in WITHOUT_JSON:
            result = site.call(*line, "--json")
            assert not raw_in(result.stdout + result.stderr, "\n"), line
            for text in filter(None, (result.stdout, result.stderr.partition("warning: ")[0])):
                json.loads(text)


@pytest.mark.parametrize("path", sorted(set(LINES) - {"run"}))
def test_no_command_steers_the_terminal_it_is_at(hostile: tuple[Site, Ids], path: str) -> None:
    site, ids = hostile
    line = lines(path, ids)[0]
    line = tuple(word for word in line if word != "--yes")
    with Terminal(site, *line) as terminal:
        while terminal.process.poll() is None and "[y/N]" not in terminal.screen:
            terminal._read(0.1)
        if "[y/N]" in terminal.screen:
            terminal.send("y\n")
        while terminal.process.poll() is None:
            terminal._read(0.1)
        while terminal._read(0):
            pass
        assert not raw_in(terminal.screen.replace("\r\n", "\n"), "\n")


@pytest.mark.parametrize("line", EVERYWHERE)
def test_what_was_typed_is_not_repeated_raw(hostile: tuple[Site, Ids], line: Arguments) -> None:
    site, _ = hostile
    for more in ((), ("--json",)):
        result = site.call(*line, *more)
        assert not raw_in(result.stderr + result.stdout, "\n\t"), result


def test_the_question_for_a_password_and_what_is_said_of_it(hostile: tuple[Site, Ids]) -> None:
    site, _ = hostile
    site.settings["LANGFLOW_AUTO_LOGIN"] = "false"
    with Terminal(site, "user", "list") as terminal:
        terminal.expect("Password for")
        terminal.send("wrong\n")
        terminal.finish(4)
        assert not raw_in(terminal.screen.replace("\r\n", "\n"), "\n")
    assert not raw_in(site.call("user", "list").failed(4).stderr, "\n")


def test_the_audit_trail_is_tame_and_true(hostile: tuple[Site, Ids]) -> None:
    site, ids = hostile
    site.call("api-key", "revoke", ids.key, "--yes", "--reason", RAW).done()
    log = site.folder / "config" / "langkeys-audit.jsonl"
    text = log.read_bytes().decode()
    assert not raw_in(text, "\n")
    record = json.loads(text)
    assert record["reason"] == RAW
    assert record["user"] == f"a{USER}"
    assert record["changes"][0]["name"] == NAME
    assert USER in record["system_user"]
    # Older versions of langkeys wrote the record in this form.
    log.write_text(json.dumps(record, ensure_ascii=False) + "\n")
    assert not raw_in(site.call("audit").done().stdout, "\n\t")
    result = site.call("audit", "--json").done()
    assert not raw_in(result.stdout, "\n")
    assert result.json() == [record]


def test_names_are_whole_in_json_and_can_be_read_back_from_lines(
    hostile: tuple[Site, Ids], database: Database
) -> None:
    site, _ = hostile
    (user,) = (u for u in site.call("user", "list", "--json").done().json() if "optins" in u)
    assert user["username"] == USER
    assert user["optins"] == {USER: USER}
    (row,) = (row for row in site.call("user", "list").done().rows if row[2:4] == ["true", "false"])
    assert row[1].encode().decode("unicode_escape") == USER


def test_a_new_key_and_a_revealed_value_are_exact(hostile: tuple[Site, Ids]) -> None:
    site, ids = hostile
    revealed = site.call("variable", "show", ids.variable, "--reveal").done()
    assert revealed.stdout == f"{RAW}\n"
    key = new_api_key()
    (site.folder / "key").write_text(key)
    assert site.call("api-key", "create").done().stdout.startswith("sk-")
