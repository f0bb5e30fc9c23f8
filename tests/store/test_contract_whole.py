"""The contract is complete: it calls every method of the protocol, on every engine."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from langkeys.store.protocol import KeyBatch, Store

FOLDER = Path(__file__).parent
SUITE = sorted(FOLDER.glob("test_contract*.py"))
STORES = {"writer", "reader", "store", "fresh", "alone", "noting"}
BATCHES = {"batch"}


def members(protocol: Any) -> set[str]:
    """Return the methods, properties and attributes of a protocol."""
    own = {*vars(protocol), *vars(protocol).get("__annotations__", {})}
    return {name for name in own if not name.startswith("_")}


def used(names: set[str]) -> set[str]:
    """Return the attributes that the suite accesses on variables with these names."""
    return {
        node.attr
        for path in SUITE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in names
    }


def test_the_members_of_the_protocols_are_found() -> None:
    assert {"commit_context", "generation", "transaction", "copy_to"} <= members(Store)
    assert {"add", "find_undeleted"} <= members(KeyBatch)


@pytest.mark.parametrize(("protocol", "names"), [(Store, STORES), (KeyBatch, BATCHES)])
def test_the_suite_uses_every_member_of_a_protocol(protocol: Any, names: set[str]) -> None:
    assert members(protocol) - used(names) == set()


def test_the_suite_reaches_engines_only_through_the_fixture() -> None:
    for path in SUITE:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = [
            node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
        ]
        engines = {"langkeys.store.sqlite", "langkeys.store.postgresql", "sqlite3", "psycopg2"}
        assert not any(module.startswith(tuple(engines)) for module in imported), path.name
