from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from langkeys.errors import ConflictError, FailedError
from langkeys.files.staged import StagedFile, write_new


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """Test with umask 0: file modes must not depend on it."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def put(path: Path, text: str = "secret\n") -> StagedFile:
    with StagedFile(path) as staged:
        staged.write(text)
        staged.publish()
    return staged


def test_a_new_file_has_mode_0600_and_the_text(tmp_path: Path) -> None:
    path = tmp_path / "key"
    put(path)
    assert path.read_text() == "secret\n"
    assert mode_of(path) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_a_staged_file_has_mode_0600_from_the_start(tmp_path: Path) -> None:
    with StagedFile(tmp_path / "key"):
        assert [mode_of(path) for path in tmp_path.iterdir()] == [0o600]


def test_nothing_is_in_its_place_before_it_is_published(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old\n")
    with StagedFile(path) as staged:
        staged.write("new\n")
        assert path.read_text() == "old\n"
        staged.publish()
        assert path.read_text() == "new\n"


def test_text_may_come_in_parts(tmp_path: Path) -> None:
    with StagedFile(tmp_path / "key") as staged:
        staged.write("one\n")
        staged.write("zwei: ü\n")
        staged.publish()
    assert (tmp_path / "key").read_text(encoding="utf-8") == "one\nzwei: ü\n"


def test_leaving_without_publishing_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old\n")
    with StagedFile(path) as staged:
        staged.write("new\n")
    assert [p.name for p in tmp_path.iterdir()] == ["key"]
    assert path.read_text() == "old\n"


def test_an_error_in_between_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old\n")
    with pytest.raises(ZeroDivisionError), StagedFile(path) as staged:
        staged.write(f"new\n{1 / 0}")
    assert [p.name for p in tmp_path.iterdir()] == ["key"]
    assert path.read_text() == "old\n"


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o660])
def test_a_replaced_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.touch()
    path.chmod(mode)
    staged = put(path)
    assert (staged.narrowed, staged.warnings) == (False, [])
    assert mode_of(path) == mode


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666, 0o777, 0o602, 0o601])
def test_a_replaced_file_that_others_could_read_is_narrowed(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.touch()
    path.chmod(mode)
    staged = put(path)
    assert staged.narrowed
    assert staged.warnings == [f"{path} was readable by others; its mode is now 0600"]
    assert mode_of(path) == 0o600


def test_a_replaced_file_keeps_its_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch()
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)
    before = path.stat()
    put(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (before.st_uid, before.st_gid)
    assert path.stat().st_ino != before.st_ino


@pytest.mark.parametrize("target", ["real", "missing"])
def test_a_symbolic_link_is_never_replaced(tmp_path: Path, target: str) -> None:
    (tmp_path / "real").write_text("old\n")
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(FailedError, match="symbolic link"), StagedFile(link):
        pass
    assert link.is_symlink()
    assert (tmp_path / "real").read_text() == "old\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "real"]


def test_a_file_in_a_linked_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    put(tmp_path / "link" / "key")
    assert (tmp_path / "real" / "key").read_text() == "secret\n"


def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(FailedError, match=name), StagedFile(tmp_path / name):
            pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "pipe"]


def test_a_missing_folder_is_found_out_on_entering(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="missing"), StagedFile(tmp_path / "missing" / "key"):
        pass


def test_a_name_that_is_too_long_is_found_out_on_entering(tmp_path: Path) -> None:
    with pytest.raises(FailedError), StagedFile(tmp_path / ("x" * 300)):
        pass
    assert not list(tmp_path.iterdir())


def test_a_file_that_appeared_meanwhile_is_left_alone_where_it_must_not_be_replaced(
    tmp_path: Path,
) -> None:
    path = tmp_path / "key"
    with StagedFile(path) as staged:
        staged.write("ours\n")
        path.write_text("theirs\n")
        with pytest.raises(FileExistsError):
            staged.publish(replace=False)
    assert path.read_text() == "theirs\n"
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_a_new_file_is_published_without_replacing(tmp_path: Path) -> None:
    with StagedFile(tmp_path / "key") as staged:
        staged.write("ours\n")
        staged.publish(replace=False)
    assert (tmp_path / "key").read_text() == "ours\n"
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("is_empty_before", [False, True])
def test_a_file_that_was_filled_meanwhile_is_a_conflict_where_it_must_not_be_replaced(
    tmp_path: Path, is_empty_before: bool
) -> None:
    path = tmp_path / "key"
    if is_empty_before:
        path.touch()
    with StagedFile(path, replaces=False) as staged:
        staged.write("ours\n")
        path.write_text("theirs\n")
        with pytest.raises(ConflictError, match="just been created") as caught:
            staged.publish()
    assert "--replace" in str(caught.value.hint)
    assert path.read_text() == "theirs\n"


def test_write_new_writes_a_file_once(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert not write_new(path, "ours\n")
    with pytest.raises(ConflictError, match="just been created"):
        write_new(path, "theirs\n")
    assert (path.read_text(), mode_of(path)) == ("ours\n", 0o600)
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with StagedFile(path) as staged:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
            with pytest.raises(FailedError, match="key") as caught:
                staged.write("x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "xxx" not in caught.value.message
    assert path.read_text() == "old\n"
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


_KILLED = """
import os, signal, sys
from pathlib import Path
from langkeys.files.staged import StagedFile
with StagedFile(Path(sys.argv[1])) as staged:
    staged.write("new")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_before_publishing_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old\n")
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old\n"
    put(path)
    assert path.read_text() == "secret\n"


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = list(Path("/dev/fd").iterdir())
    put(tmp_path / "key")
    with StagedFile(tmp_path / "key"):
        pass
    with pytest.raises(FailedError), StagedFile(tmp_path):
        pass
    assert len(list(Path("/dev/fd").iterdir())) == len(before)
