"""create --write-to: new keys in files."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support import unprivileged
from ..support.samples import KEY_FIELDS
from ..support.sites import Result, Site

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]

KEY = re.compile(r"sk-[A-Za-z0-9_-]{43}")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.only_sqlite("looks at the database's file")
def test_a_key_goes_into_a_file_that_only_its_owner_reads(run: Call, site: Site) -> None:
    result = run("api-key", "--write-to", "key", umask=0).done()
    path = site.folder / "key"
    assert KEY.fullmatch(path.read_text().removesuffix("\n"))
    assert mode_of(path) == 0o600
    assert result.stdout == ""
    assert str(path) in result.stderr
    # No staged file is left.
    assert sorted(p.name for p in site.folder.iterdir()) == ["key", "langflow.db"]


def test_several_keys_in_a_file_are_a_line_each(call: Call, site: Site) -> None:
    call("api-key", "--count", "3", "--write-to", "keys").done()
    assert all(KEY.fullmatch(line) for line in (site.folder / "keys").read_text().splitlines())


def test_json_beside_a_file_has_the_key_masked_and_the_files_name(call: Call, site: Site) -> None:
    made = call("api-key", "--write-to", "key", "--json").done().json()
    key = (site.folder / "key").read_text().strip()
    assert list(made) == [*KEY_FIELDS, "written_to"]
    assert made["api_key"] == key[:8] + "*" * 38
    assert made["written_to"] == str(site.folder / "key")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
def test_a_file_that_is_replaced_keeps_its_mode(run: Call, site: Site, mode: int) -> None:
    path = site.folder / "key"
    path.write_text("old")
    path.chmod(mode)
    result = run("api-key", "--write-to", "key", "--replace", umask=0).done()
    assert mode_of(path) == mode
    assert path.read_text().startswith("sk-")
    assert "0600" not in result.stderr


def test_a_file_that_others_could_read_is_narrowed_and_that_is_said(call: Call, site: Site) -> None:
    path = site.folder / "key"
    path.write_text("old")
    path.chmod(0o644)
    result = call("api-key", "--write-to", "key", "--replace").done()
    assert mode_of(path) == 0o600
    assert "0600" in result.stderr
    assert str(path) in result.stderr


def test_a_file_that_is_replaced_keeps_its_owner_and_group(call: Call, site: Site) -> None:
    path = site.folder / "key"
    path.write_text("old")
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)
    before = path.stat()
    call("api-key", "--write-to", "key", "--replace").done()
    assert (path.stat().st_uid, path.stat().st_gid) == (before.st_uid, before.st_gid)


def _link(path: Path) -> None:
    path.with_name("real").write_text("old")
    path.symlink_to("real")


@pytest.mark.parametrize(
    ("write_to", "prepare"),
    [
        ("key", _link),
        ("key", lambda path: path.mkdir()),
        ("missing/key", lambda path: None),
        ("langflow.db/key", lambda path: None),
        ("x" * 300, lambda path: None),
    ],
    ids=["a symbolic link", "a folder", "a missing folder", "below a file", "too long a name"],
)
def test_a_file_that_cannot_be_written_is_found_out_before_the_database_is_touched(
    site: Site, write_to: str, prepare: Callable[[Path], object]
) -> None:
    prepare(site.folder / write_to)
    before = site.database.digest()
    result = site.call("api-key", "--write-to", write_to, "--json").failed(1)
    assert result.error["code"] == "failed"
    assert write_to in result.error["message"]
    assert site.database.digest() == before


def test_a_symbolic_link_still_leads_to_what_it_led_to(call: Call, site: Site) -> None:
    _link(site.folder / "key")
    call("api-key", "--write-to", "key").failed(1, "symbolic link")
    assert (site.folder / "key").readlink() == Path("real")
    assert (site.folder / "real").read_text() == "old"


@pytest.mark.only_sqlite("looks at the database's file")
def test_a_folder_that_may_not_be_written_is_found_out_before_the_database_is_touched(
    site: Site,
) -> None:
    with unprivileged.reachable_folder() as folder:
        folder.joinpath("key").write_text("old")
        site.path = folder / "langflow.db"
        shutil.copy(site.folder / "langflow.db", site.path)
        folder.chmod(0o555)
        bound = Site(folder, {**site.settings, "LANGFLOW_DATABASE_URL": str(site.path)})
        before = bound.database.digest()
        arguments = ("api-key", "--write-to", "key", "--replace")
        result = bound.run(*arguments, command=unprivileged.COMMAND)
        result.failed(1, str(folder / "key"))
        assert bound.database.digest() == before
        assert (folder / "key").read_text() == "old"


# Runs langkeys with a limit on the size of files, which has the effect of a full disk.
_LIMITED = (
    "import resource, runpy, sys\n"
    "limit = int(sys.argv.pop(1))\n"
    "hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))\n"
    "runpy.run_module('langkeys', run_name='__main__')\n"
)


def limited(site: Site, size: int, *arguments: str) -> Result:
    return site.run(str(size), *arguments, command=(sys.executable, "-c", _LIMITED))


@pytest.mark.only_sqlite("looks at the database's file")
def test_a_disk_that_is_full_for_the_file_leaves_it_and_the_database_alone(site: Site) -> None:
    path = site.folder / "key"
    path.write_text("old")
    before = site.database.digest()
    limited(site, 10, "api-key", "--write-to", "key", "--replace").failed(1, str(path))
    assert path.read_text() == "old"
    assert site.database.digest() == before
    assert sorted(p.name for p in site.folder.iterdir()) == ["key", "langflow.db"]


@pytest.mark.only_sqlite("limits the size of the database's file")
def test_a_disk_that_is_full_for_the_database_leaves_no_key(site: Site) -> None:
    size = site.database.path.stat().st_size
    before = site.database.content()
    limited(site, size, "api-key", "--count", "500").failed(6, str(site.database.path))
    assert site.database.content() == before
    assert site.database.rows("PRAGMA integrity_check") == [("ok",)]
