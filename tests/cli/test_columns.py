"""Columns: declared once, and the same in lines, JSON, tables, cards, help and documents."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from langkeys.cli.present.api_keys import API_KEYS
from langkeys.cli.present.audit import AUDIT
from langkeys.cli.present.columns import Kind, Listing, markdown, piped_columns
from langkeys.cli.present.users import USERS
from langkeys.cli.present.variables import VARIABLES

from ..support import variable_rows
from ..support.commands import command_named, paths
from ..support.databases import Database, ago, ahead
from ..support.samples import KEY_FIELDS
from ..support.sites import Result
from ..support.sites import Site as Place
from ..support.terminals import run_at_terminal

FORMATS = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
LISTINGS: dict[str, Listing[Any]] = {
    "api-key list": API_KEYS,
    "user list": USERS,
    "variable list": VARIABLES,
}
PIPED = {
    "api-key list": [
        "id", "name", "api_key", "username", "status", "created_at", "last_used_at", "total_uses",
        "expires_at",
    ],
    "user list": [
        "id", "username", "is_active", "is_superuser", "api_keys", "variables", "create_at",
        "last_login_at",
    ],
    "variable list": [
        "id", "name", "type", "value", "default_fields", "username", "created_at", "updated_at",
        "opens",
    ],
}  # fmt: skip
"""The piped columns that scripts rely on."""
CARDS = {"api-key": "ci", "user": "alice", "variable": "OPENAI_API_KEY"}

Call = Callable[..., Result]


@pytest.fixture
def filled(site: Place, database: Database, superuser: str) -> Place:
    """A site with API keys, users and variables."""
    database.add_key(superuser, "ci", total_uses=12, last_used_at=ago(hours=3))
    database.add_user("alice", is_superuser=False, last_login_at=ago(days=2))
    variable_rows.add(database, superuser, "OPENAI_API_KEY", "x")
    return site


@pytest.mark.parametrize("path", LISTINGS)
def test_the_piped_columns_are_those_that_scripts_rely_on(path: str) -> None:
    listing = LISTINGS[path]
    assert [column.name for column in listing.piped] == PIPED[path]
    positions = [column.piped for column in listing.piped]
    assert positions == list(range(1, len(positions) + 1))


@pytest.mark.parametrize("path", LISTINGS)
def test_lines_json_and_header_have_the_declared_columns(filled: Place, path: str) -> None:
    listing = LISTINGS[path]
    header, *rows = filled.call(*path.split(), "--header").done().rows
    assert header == PIPED[path]
    assert rows == filled.call(*path.split()).done().rows
    optional = {column.name for column in listing.columns if column.is_optional}
    objects = filled.call(*path.split(), "--json").done().json()
    for described in objects:
        assert [name for name in listing.by_name if name not in optional] == [
            name for name in described if name not in optional
        ]
    assert API_KEYS.by_name.keys() == set(KEY_FIELDS)
    # Piped output has the same values as JSON.
    for row, described in zip(rows, objects, strict=True):
        for name, cell in zip(header, row, strict=True):
            content = described[name]
            if isinstance(content, bool):
                content = str(content).lower()
            elif isinstance(content, list):
                content = ",".join(content)
            assert cell == ("" if content is None else str(content)), name


@pytest.mark.parametrize("path", LISTINGS)
def test_help_and_documents_have_the_declared_columns(path: str) -> None:
    listing = LISTINGS[path]
    sentence = f"Piped columns: {', '.join(PIPED[path])}."
    assert piped_columns(listing) == sentence
    for verb in (path, path.replace("list", "show")):
        command = command_named(verb)
        assert sentence in " ".join(command.help.split())
        (fields,) = (p for p in command.params if p.name == "fields")
        assert ", ".join(listing.by_name) in fields.help
    assert markdown(listing) in FORMATS
    assert re.search(rf"\| `{path}`.*\| {', '.join(PIPED[path])} \|\n", FORMATS)


def test_the_columns_of_the_audit_trail_are_the_declared_ones(filled: Place) -> None:
    names = [
        "time", "outcome", "command", "user", "authenticated_by", "system_user", "error", "reason",
        "changes",
    ]  # fmt: skip
    assert [column.name for column in AUDIT.piped] == names
    assert f"Piped columns: {', '.join(names)}." in " ".join(command_named("audit").help.split())
    assert markdown(AUDIT) in FORMATS
    assert f"| `audit` | {', '.join(names)} |" in FORMATS
    settings = {"LANGKEYS_AUDIT_LOG": str(filled.folder / "audit.jsonl")}
    filled.call("api-key", "create", **settings).done()
    assert filled.call("audit", "--header", **settings).done().rows[0] == names
    (record,) = filled.call("audit", "--json", **settings).done().json()
    assert set(record) <= set(AUDIT.by_name)


def test_every_list_and_show_takes_fields() -> None:
    for path in paths():
        options = {name for p in command_named(path).params for name in p.opts}
        is_listing = path.split()[-1] in ("list", "show") or path == "audit"
        assert ({"--fields", "--header"} <= options) == is_listing, path


@pytest.mark.parametrize("path", [*LISTINGS, *(f"{noun} show" for noun in CARDS)])
def test_fields_pick_the_columns_in_their_order(filled: Place, path: str) -> None:
    noun = path.split()[0]
    arguments = [*path.split(), *([CARDS[noun]] if path.endswith("show") else [])]
    names = list(LISTINGS[f"{noun} list"].by_name)[::-1]
    rows = filled.call(*arguments, "--fields", ",".join(names), "--header").done().rows
    assert rows[0] == names
    described = filled.call(*arguments, "--fields", " , ".join(names[:3]), "--json").done().json()
    first = described[0] if isinstance(described, list) else described
    assert list(first) == names[:3]
    text = run_at_terminal(filled, *arguments, "--fields", names[0]).text
    assert names[0] in text or names[0].replace("_", " ").upper() in text


@pytest.mark.parametrize(
    ("fields", "said"),
    [("nope", "'nope'"), ("id,,name", "''"), ("", "''"), ("id,id", "twice"), ("ID", "'ID'")],
)
def test_fields_that_are_none_are_refused_before_anything_else(
    call: Call, fields: str, said: str
) -> None:
    for noun in ("api-key", "user", "variable"):
        result = call(noun, "list", "--fields", fields, LANGFLOW_DATABASE_URL="sqlite:////none")
        result.failed(2, said)
        assert "username, " in result.stderr


def test_the_same_fields_look_the_same_in_every_card(filled: Place, database: Database) -> None:
    database.rows("UPDATE apikey SET expires_at = ?", (str(ahead(days=90)).partition("+")[0],))
    cards = {
        noun: dict(
            line.split(maxsplit=1) if len(line.split()) > 1 else (line.strip(), "")
            for line in run_at_terminal(filled, noun, "show", name, columns=60).text.splitlines()
            if line and not line.startswith("note: ")
        )
        for noun, name in CARDS.items()
    }
    time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \((now|in \d+ \w+|\d+ \w+ ago)\)")
    for noun, card in cards.items():
        for name, column in LISTINGS[f"{noun} list"].by_name.items():
            if column.is_optional:
                continue
            said = card[name]
            if column.kind is Kind.TIME:
                assert said == "-" or time.fullmatch(said), (noun, name, said)
            if column.kind is Kind.FLAG:
                assert said in ("yes", "no", "-"), (noun, name, said)
            assert said not in ("", "None", "True", "False"), (noun, name)
    assert cards["api-key"]["total_uses"] == "12 uses"
    assert "(in 90 days)" in cards["api-key"]["expires_at"]
    assert cards["user"]["api_keys"] == "0 API keys"
    assert cards["user"]["profile_image"] == "-"


def test_a_list_of_nothing_says_so_wherever_it_goes(call: Call) -> None:
    for noun, nothing in (("api-key", "no API keys"), ("variable", "no variables")):
        result = call(noun, "list").done()
        assert result.stdout == ""
        assert result.stderr == f"note: {nothing}\n"
        assert call(noun, "list", "--json").done().json() == []
        assert call(noun, "list", "-q").done().stderr == ""
