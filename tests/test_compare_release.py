"""The report on a new release, from invented observations: no server is started."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from langkeys.store import generations
from langkeys.store.generations import NEWEST

from .interop.compare_release import report
from .interop.observation import Observation
from .interop.observed_schema import Schema

FACTS = {
    name: getattr(NEWEST, name)
    for name in ("encrypts_keys", "honours_owner_state", "open_mcp", "auto_login_default")
}


def observed(
    version: str, revision: str, facts: Mapping[str, Any] = FACTS, **columns: str
) -> Observation:
    table = {"id": "CHAR(32) NOT NULL", **columns}
    tables = {"user": table, "apikey": {"id": "CHAR(32)"}, "variable": {"id": "CHAR(32)"}}
    schema = Schema([revision], tables, {}, {}, ["apikey.api_key"], [], [])
    return Observation(version, schema, {"whoami, no key": "403"}, dict(facts))


def lines(old: Observation, new: Observation) -> list[str]:
    return list(report(old, new, {old.version: NEWEST, new.version: NEWEST}))


OLD = observed("1.13.0", NEWEST.heads[0])


def test_a_release_that_changes_nothing_is_said_to() -> None:
    said = lines(OLD, observed("1.13.1", NEWEST.heads[0]))
    assert [line for line in said if line.startswith("- ")] == ["- nothing"] * 5
    assert "_next" not in "\n".join(said)


def test_what_a_release_changes_is_reported() -> None:
    new = observed("1.14.0", "abc", {**FACTS, "open_mcp": True}, blocked="BOOLEAN")
    new.access["whoami, no key"] = "200"
    new.schema.tokens.append("user.totp")
    new.schema.columns["user"]["id"] = "VARCHAR"
    said = lines(OLD, new)
    for line in (
        f"- revision: {NEWEST.heads[0]} -> abc",
        "- column user.blocked: none -> BOOLEAN",
        "- column user.id: CHAR(32) NOT NULL -> VARCHAR",
        "- columns with Fernet tokens, new: user.totp",
        "- whoami, no key: 403 -> 200",
        "- `open_mcp`: False -> True",
        "- `open_mcp`: it says False, seen was True",
    ):
        assert line in said


def test_the_entry_that_is_given_is_the_generation() -> None:
    new = observed("1.14.0", "abc", {**FACTS, "open_mcp": True}, blocked="BOOLEAN")
    (code,) = re.findall(r"```python\n(.*?)```", "\n".join(lines(OLD, new)), re.DOTALL)
    names: dict[str, Any] = {"_next": generations._next, "_1_13": NEWEST}
    exec(code, names)
    assert names["_1_14"] == NEWEST._replace(
        release="1.14", heads=("abc",), introduced="user.blocked", open_mcp=True
    )
