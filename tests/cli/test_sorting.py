"""The order of a list and parts of it: --sort, --limit, --offset, and the filters of prune."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langkeys.cli.present.api_keys import API_KEYS
from langkeys.cli.present.columns import Listing
from langkeys.cli.present.paging import UNSORTABLE
from langkeys.cli.present.users import USERS
from langkeys.cli.present.variables import VARIABLES

from ..support import variable_rows
from ..support.databases import Database, ago, ahead
from ..support.samples import new_api_key
from ..support.sites import Result

Call = Callable[..., Result]
NOUNS: dict[str, Listing[Any]] = {"api-key": API_KEYS, "user": USERS, "variable": VARIABLES}


@pytest.fixture
def keys(database: Database, superuser: str) -> None:
    """Keys whose order is different in each column."""
    database.add_key(superuser, "b", created_at=ago(days=4), expires_at=ahead(days=1))
    database.add_key(superuser, "C", created_at=ago(days=3), last_used_at=ago(days=1), total_uses=2)
    database.add_key(superuser, "a", created_at=ago(days=2), expires_at=ago(days=1))
    database.add_key(
        superuser, "é", created_at=ago(days=1), last_used_at=ago(hours=1), total_uses=11,
        is_active=False, expires_at=ago(hours=1),
    )  # fmt: skip


def listed(call: Call, *options: str) -> list[str]:
    rows = call("api-key", "list", *options, "--fields", "name").done().rows
    described = call("api-key", "list", *options, "--json").done().json()
    assert [[key["name"]] for key in described] == rows
    return [row[0] for row in rows]


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--sort", "name"), ["a", "b", "C", "é"]),
        (("--sort", "-name"), ["é", "C", "b", "a"]),
        (("--sort", "created_at"), ["b", "C", "a", "é"]),
        (("--sort=-created_at",), ["é", "a", "C", "b"]),
        # Missing values come last in both directions; equal ones stay oldest first.
        (("--sort", "last_used_at"), ["C", "é", "b", "a"]),
        (("--sort", "-last_used_at"), ["é", "C", "b", "a"]),
        (("--sort", "expires_at"), ["a", "é", "b", "C"]),
        (("--sort", "total_uses"), ["b", "a", "C", "é"]),
        (("--sort", "-total_uses", "--limit", "2"), ["é", "C"]),
        (("--sort", "-total_uses", "--limit", "2", "--offset", "1"), ["C", "b"]),
        (("--sort", "total_uses", "--offset", "3"), ["é"]),
        (("--sort", "name", "--limit", "0"), []),
        (("--sort", "name", "--limit", "1000000000", "--offset", "1000000000"), []),
        (("--sort", "status"), ["b", "C", "a", "é"]),
        (("--sort", "name", "--status", "active"), ["b", "C"]),
        # The filters of prune and rotate.
        (("--older-than", "60h"), ["b", "C"]),
        (("--older-than", "60h", "--sort", "-name"), ["C", "b"]),
        (("--expired",), ["a", "é"]),
        (("--expired", "--status", "expired"), ["a"]),
        (("--expired", "--older-than", "36h"), ["a"]),
    ],
)
def test_a_list_is_sorted_and_filtered(
    call: Call, options: tuple[str, ...], expected: list[str]
) -> None:
    assert listed(call, *options) == expected


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    "filters",
    [
        ("--expired",),
        ("--older-than", "60h"),
        ("--unused-for", "2d"),
        ("--expired", "--older-than", "2d"),
    ],
)
def test_what_prune_would_end_is_what_list_shows(call: Call, filters: tuple[str, ...]) -> None:
    pruned = call("api-key", "prune", *filters, "--dry-run").done().rows
    assert pruned
    assert call("api-key", "list", "--all-users", *filters).done().rows == pruned


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("noun", NOUNS)
def test_every_field_but_masked_ones_can_be_sorted_by(
    call: Call, database: Database, superuser: str, noun: str
) -> None:
    database.add_user("alice", is_superuser=False, last_login_at=ago(days=1))
    variable_rows.add(database, superuser, "B", "x", "Generic", fields='["y", "x"]')
    variable_rows.add(database, superuser, "A", "x")
    for name in NOUNS[noun].by_name:
        for sign in ("", "-"):
            result = call(noun, "list", "--sort", f"{sign}{name}")
            if name in UNSORTABLE:
                result.failed(2, f"'{name}'", "sort by one of")
            else:
                assert len(result.done().rows) >= 2


@pytest.mark.parametrize("field", ["nope", "", "-", "--name", "NAME"])
def test_a_field_that_is_none_is_refused(call: Call, field: str) -> None:
    call("api-key", "list", "--sort", field).failed(2, "--sort")


def test_of_variables_a_part_is_listed(call: Call, database: Database, superuser: str) -> None:
    for name in ("C", "A", "B"):
        variable_rows.add(database, superuser, name, new_api_key())
    for options, expected in (
        (("--limit", "2"), ["C", "A"]),
        (("--offset", "1"), ["A", "B"]),
        (("--limit", "1", "--offset", "2"), ["B"]),
        (("--sort", "name"), ["A", "B", "C"]),
        (("--sort", "-name", "--limit", "1"), ["C"]),
        (("--offset", "9"), []),
    ):
        rows = call("variable", "list", *options, "--fields", "name").done().rows
        assert [row[0] for row in rows] == expected
