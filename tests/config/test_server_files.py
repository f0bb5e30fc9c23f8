"""Names of files in the config folder for databases on servers: journals and backups."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from urllib.parse import quote

import pytest

from langkeys.config import rotation_files
from langkeys.config.settings import Settings

NAMES = (
    "a_b", "a b", "a/b", "a;b", "a'b", "../../a", ".", "..", "-", "ü" * 31, "x" * 63,
    "x" * 62 + "\n",
)  # fmt: skip
PLACES = (
    "postgresql://u@h", "postgresql://v@h", "postgresql://u@h:5433", "postgresql://?service=one",
    "postgresql://?service=two", "postgresql:///?host=/run/one", "postgresql:///?host=/run_one",
    f"postgresql://{','.join(f'host{n}.example.com' for n in range(20))}/langflow",
    f"postgresql://{','.join(f'host{n}.example.com' for n in range(21))}/langflow",
)  # fmt: skip
URLS = (*(f"postgresql://u@h/{quote(name, safe='')}" for name in NAMES), *PLACES)


def journal(folder: Path, url: str, **environment: str) -> Path:
    return rotation_files.rotation_journal(
        Settings(
            environ={
                "LANGFLOW_DATABASE_URL": url, "LANGFLOW_CONFIG_DIR": str(folder), **environment,
            }
        )
    )  # fmt: skip


def test_no_two_databases_share_a_journal(tmp_path: Path) -> None:
    paths = {url: journal(tmp_path, url) for url in URLS}
    for one, other in combinations(URLS, 2):
        assert paths[one] != paths[other], (one, other)


@pytest.mark.parametrize("url", URLS)
def test_a_journal_is_a_file_in_the_config_folder(tmp_path: Path, url: str) -> None:
    path = journal(tmp_path, url)
    assert path.parent == tmp_path
    assert path == journal(tmp_path, url)
    path.write_text("")
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_the_name_of_a_plain_place_is_the_place(tmp_path: Path) -> None:
    path = journal(tmp_path, "postgresql://u:secret@db.example.com:5432/langflow")
    assert path.name == ".db.example.com-5432-langflow.langkeys-rotation"


def test_a_service_in_the_environment_counts(tmp_path: Path) -> None:
    url = "postgresql://"
    paths = {journal(tmp_path, url, PGSERVICE=service) for service in ("one", "two")}
    assert len(paths) == 2
