"""Absolute paths in messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from langkeys.paths import absolute_path

from ..support.sites import Site


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the folder ``real/deep``, and ``link``, a symbolic link to it."""
    folder = tmp_path.resolve()
    (folder / "real" / "deep").mkdir(parents=True)
    (folder / "link").symlink_to(folder / "real" / "deep")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("key", "key"),
        ("real/../key", "key"),
        ("missing/../key", "key"),
        ("link/../key", "real/key"),
        ("real/../link", "link"),
        ("link/key", "link/key"),
        ("link/..", "real"),
    ],
)
def test_dots_are_followed_as_the_system_does(folder: Path, given: str, shown: str) -> None:
    assert absolute_path(Path(given)) == folder / shown


def test_a_loop_of_links_stays_as_it_is(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    assert absolute_path(Path("loop/../key")).name == "key"


def test_no_message_has_a_path_with_dots(site: Site) -> None:
    (site.folder / "sub").mkdir()
    site.write_env("LANGKEYS_AUDIT_LOG=sub/../audit.jsonl\n")
    database = "sub/../langflow.db"
    shown = []
    for line in (
        ("api-key", "create", "--name", "ci", "--write-to", "sub/../key"),
        ("api-key", "rotate", "ci", "--write-to-dir", "sub/.."),
        ("api-key", "ensure", "x", "--value-file", "sub/../new", "--database", database),
        ("backup", "sub/../copy.db"),
        ("api-key", "create", "--write-to", "sub/../sub/../nowhere/key"),
        ("api-key", "list", "--database", "sub/../none.db"),
        ("api-key", "list", "--env-file", "sub/../none"),
        ("--env-file", "sub/../.env", "audit"),
    ):
        result = site.call(*line)
        shown.append(result.stdout + result.stderr)
    assert [text for text in shown if "/../" in text] == []
    for number, name in enumerate(("key", "ci", "new", "copy.db", "nowhere", "none.db", "none")):
        assert str(site.folder.resolve() / name) in shown[number], shown[number]


def test_a_path_that_came_from_a_file_is_not_shown(site: Site) -> None:
    (site.folder / "sub").mkdir()
    (site.folder / "url").write_text("sqlite:///sub/../hidden-name.db")
    (site.folder / "folder").write_text("sub/../hidden-folder")
    settings = {"LANGFLOW_CONFIG_DIR_FILE": "folder", "LANGFLOW_SAVE_DB_IN_CONFIG_DIR": "true"}
    for given in ({"LANGFLOW_DATABASE_URL_FILE": "url"}, settings):
        result = site.call("api-key", "list", LANGFLOW_DATABASE_URL=None, **given).failed(6)
        assert "hidden" not in result.stderr
        assert "(from a file)" in result.stderr
