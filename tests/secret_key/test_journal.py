"""The journal of a rotation is on the disk before the rotation goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from langkeys.secret_key.journal import Entry, Journal

ENTRY = Entry(
    started="2026-06-01T12:00:00Z",
    old="fingerprint of the old key",
    new="fingerprint of the new key",
    key_files=(),
    read_only=("environment",),
    new_key_file=None,
    backup="backup",
    old_key_file="old",
)


@pytest.fixture
def synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """What has been synced: the name of the file or folder, and the files there were then."""
    found: list[tuple[str, list[str]]] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        found.append((name, sorted(path.name for path in tmp_path.iterdir())))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return found


def test_a_journal_is_synced_before_it_has_its_name_and_its_folder_afterwards(
    tmp_path: Path, synced: list[tuple[str, list[str]]]
) -> None:
    journal = Journal.write(tmp_path / "journal", ENTRY)
    try:
        assert synced == [
            ("journal.tmp", ["journal.tmp"]),
            (tmp_path.name, ["journal"]),
        ]
        assert journal.read() == ENTRY
    finally:
        journal.close()


def test_the_folder_of_a_journal_is_synced_after_its_removal(
    tmp_path: Path, synced: list[tuple[str, list[str]]]
) -> None:
    journal = Journal.write(tmp_path / "journal", ENTRY)
    synced.clear()
    journal.remove()
    journal.close()
    assert synced == [(tmp_path.name, [])]
