"""Tables on terminals of 60 columns or more: nothing is wrapped, too wide, or repeated."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from langkeys.cli.output import Head
from langkeys.cli.tables import Layout

from ..support import variable_rows
from ..support.databases import Database, ago, ahead
from ..support.sites import Site
from ..support.terminals import Terminal, run_at_terminal

WIDTHS = (60, 80, 120, 200)
NAMES = (
    "ci",
    "日本語のとても長いキーの名前です本当に長いのです",
    "👍🏽 emoji ☺️ e\u0301e\u0301e\u0301 and so much more text that it must be cut",
    "ci-staging-deployment-production-eu-west-1",
    "x" * 300,
)


def body(terminal: Terminal) -> list[str]:
    """Return the rows of the table, without titles, rule and the notes below."""
    lines = terminal.text.splitlines()
    (rule,) = (number for number, line in enumerate(lines) if set(line) <= set("─ ") and line)
    return [line for line in lines[rule + 1 :] if not re.match(r"note: | {6}", line)]


def columns(terminal: Terminal) -> list[str]:
    return re.split(r" {2,}", terminal.text.splitlines()[0].strip())


@pytest.fixture
def everything(site: Site, database: Database, superuser: str) -> Site:
    """A site with keys, users and variables that differ in all columns, and have long names."""
    alice = database.add_user(
        "alice.with.a.long.name@example.com", is_superuser=False, last_login_at=ago(days=3)
    )
    for number, name in enumerate(NAMES):
        database.add_key(
            alice if number % 2 else superuser,
            name,
            created_at=ago(days=45 * number, minutes=3),
            last_used_at=ago(hours=3) if number % 2 else None,
            total_uses=12 * number,
            is_active=number != 2,
            expires_at=(ahead(days=90), None, ago(days=2))[number % 3],
        )
        variable_rows.add(
            database, superuser, f"NAME_{number}_{name}", "some\nvalue " * number, "Generic"
        )
    return site


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "arguments",
    [
        ("api-key", "list", "--all-users"),
        ("user", "list"),
        ("variable", "list"),
        ("api-key", "prune", "--older-than", "1m", "--dry-run"),
        ("api-key", "list", "--all-users", "--fields", "name,username,at_rest"),
    ],
)
def test_no_line_is_wider_than_the_terminal_and_no_row_is_folded(
    everything: Site, arguments: tuple[str, ...], width: int
) -> None:
    terminal = run_at_terminal(everything, *arguments, columns=width)
    for line in terminal.text.splitlines():
        if not line.startswith("note: dry run"):
            assert cell_len(line) <= width, line
    rows = body(terminal)
    assert len(rows) == (2 if arguments[0] == "user" else len(NAMES))
    assert "…" in terminal.text or width == 200 or arguments[0] == "user"


def test_columns_are_aligned_whatever_the_names_are_made_of(everything: Site) -> None:
    terminal = run_at_terminal(everything, "api-key", "list", "--all-users", columns=120)
    title = terminal.text.splitlines()[0]
    start = title.index("STATUS")
    for row in body(terminal):
        before = row[: re.search(r"  (active|inactive|expired)\b", row).start() + 2]  # type: ignore[union-attr]
        assert cell_len(before) == start, row


def test_four_default_keys_are_four_short_rows(
    site: Site, database: Database, superuser: str
) -> None:
    ids = [database.add_key(superuser, "CLI", created_at=ago(minutes=n)).id for n in (3, 5, 7, 9)]
    for width in WIDTHS:
        terminal = run_at_terminal(site, "api-key", "list", columns=width)
        assert columns(terminal) == ["ID", "KEY", "CREATED"]
        rows = body(terminal)
        assert [row.split()[0] for row in rows] == [key_id[:8] for key_id in ids]
        assert [row.split("  ")[-1] for row in rows] == ["3m ago", "5m ago", "7m ago", "9m ago"]
    said = " ".join(terminal.text.split())
    same = "the same in every row: name CLI, user administrator, status active, uses 0"
    assert f"note: {same}; empty: last used, expires" in said
    assert "same in every row" not in run_at_terminal(site, "api-key", "list", "-q").text


def test_a_narrow_terminal_leaves_out_whole_columns_and_says_which(everything: Site) -> None:
    wide = run_at_terminal(everything, "api-key", "list", "--all-users", columns=200)
    every = [
        "ID", "NAME", "KEY", "USER", "STATUS", "CREATED", "LAST USED", "USES", "EXPIRES",
    ]  # fmt: skip
    assert columns(wide) == every
    assert "no room for" not in wide.text
    narrow = run_at_terminal(everything, "api-key", "list", "--all-users", columns=60)
    left = [title for title in every if title not in columns(narrow)]
    assert left
    assert f"note: no room for {', '.join(left)}" in narrow.text
    assert set(columns(narrow)) >= {"ID", "NAME", "KEY", "USER", "STATUS"}


def test_what_was_asked_for_stays_though_it_is_the_same_in_every_row(
    site: Site, database: Database, superuser: str
) -> None:
    for _ in range(2):
        database.add_key(superuser, "CLI")
    terminal = run_at_terminal(
        site, "api-key", "list", "--fields", "name,user_id,status", columns=60
    )
    assert columns(terminal) == ["NAME", "USER ID", "STATUS"]
    assert "same in every row" not in terminal.text


def test_one_row_has_all_of_its_columns(site: Site, database: Database, superuser: str) -> None:
    database.add_key(superuser, "ci", expires_at=ahead(days=90))
    text = run_at_terminal(site, "api-key", "list", columns=120).text
    for word in ("ci", "administrator", "active", "EXPIRES", "in 90d"):
        assert word in text


def one_row(width: int, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """Return the titles and the remarks of a table of one row on a terminal of this width."""
    monkeypatch.setenv("COLUMNS", str(width))
    heads = [Head("NAME", least=4), Head("ERROR"), Head("WHY", rank=1), Head("ID", is_kept=True)]
    layout = Layout(heads)
    rows = list(layout.measured([["a-name", "-", "ended", "-"]]))
    layout.fit()
    titles, _, row = layout.lines(rows)
    assert cell_len(row) <= width
    return titles.split(), list(layout.remarks())


def test_of_one_row_empty_columns_go_before_others_and_before_texts_are_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert one_row(24, monkeypatch) == (["NAME", "ERROR", "WHY", "ID"], [])
    for width in (17, 23):
        assert one_row(width, monkeypatch) == (["NAME", "WHY", "ID"], ["empty: error"])
    assert one_row(15, monkeypatch) == (["NAME", "WHY", "ID"], ["empty: error", "NAME is cut"])
    assert one_row(14, monkeypatch) == (["NAME", "ID"], ["empty: error", "no room for WHY"])


def test_a_single_key_and_a_single_user_keep_their_names(
    site: Site, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "continuous-integration", created_at=ago(days=100))
    text = run_at_terminal(site, "api-key", "list", "--unused-for", "90d", columns=80).text
    assert "administrator" in text
    assert "note: empty: last used, expires" in text
    text = run_at_terminal(site, "user", "promote", "administrator", columns=60).text
    assert "LAST LOGIN" not in text
    assert "CREATED" in text


def test_all_columns_that_are_cut_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "16")
    layout = Layout([Head(title, least=4, is_kept=True) for title in "ABC"])
    list(layout.measured([["some text"] * 3]))
    layout.fit()
    assert list(layout.remarks()) == ["A, B and C are cut"]


def test_columns_that_are_empty_in_every_row_are_named() -> None:
    layout = Layout([Head("A"), Head("LAST USED"), Head("EXPIRES")])
    rows = list(layout.measured([["1", "-", ""], ["2", "-", ""]]))
    layout.fit()
    assert list(layout.lines(rows))[2:] == ["1", "2"]
    assert list(layout.remarks()) == ["empty in every row: last used, expires"]


def test_rows_that_differ_in_nothing_are_shown_all_the_same() -> None:
    layout = Layout([Head("A"), Head("B")])
    rows = list(layout.measured([["1", "2"], ["1", "2"]]))
    layout.fit()
    assert list(layout.lines(rows))[2:] == ["1  2", "1  2"]
    assert list(layout.remarks()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_text_is_as_wide_as_its_column_and_ends_in_an_ellipsis(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    layout = Layout([Head("NAME", least=8, is_kept=True), Head("ID")])
    rows = list(layout.measured([[name, "0123456789"], ["b", "1"]]))
    layout.fit()
    line = list(layout.lines(rows))[2]
    assert cell_len(line) == 20 if len(name) > 8 else 14
    assert line.endswith("  0123456789")
    assert ("…" in line) == (len(name) > 8)
