"""Rows for PostgreSQL are kept in memory up to a limit, and beyond it in a temporary file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from langkeys.errors import StoreError
from langkeys.store.postgresql import spool
from langkeys.store.postgresql.spool import Row, Spool

ROWS: list[Row] = [(number, "x" * 100, None, True) for number in range(1000)]


@pytest.fixture
def no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be no folder for temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))


@pytest.mark.parametrize("in_memory", [0, 1000, 1 << 20])
def test_rows_come_back_in_order_wherever_they_are(
    monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", in_memory)
    with closing(Spool()) as rows:
        for start in range(0, len(ROWS), 300):
            rows.add(ROWS[start : start + 300])
        assert len(rows) == len(ROWS)
        assert list(rows) == ROWS


@pytest.mark.usefixtures("no_folder")
def test_few_rows_need_no_temporary_file() -> None:
    with closing(Spool()) as rows:
        rows.add(ROWS)
        assert list(rows) == ROWS


@pytest.mark.usefixtures("no_folder")
def test_rows_beyond_the_limit_need_one_from_the_first_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 50)
    with closing(Spool()) as rows:
        rows.add([(1, "short")])
        with pytest.raises(StoreError, match="cannot keep so many rows") as caught:
            rows.add([(2, "x" * 100)])
        assert "TMPDIR" in str(caught.value.hint)
        assert list(rows) == [(1, "short")]
