"""Files from which a secret may be read, or to which it may be written, depending on the owner."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from langkeys.errors import ConfigError, ConflictError, FailedError
from langkeys.files import new, ownership
from langkeys.files.reading import MAX_BYTES, find_bytes, read_bytes, read_secret
from langkeys.files.staged import StagedFile

from ..support.other_users import OTHER, SERVER, give, needs_root

pytestmark = needs_root
SECRET = "the-secret-that-nobody-may-see"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that belongs to root, and that only root may write to."""
    made = tmp_path / "folder"
    made.mkdir(mode=0o755)
    return made


def put(path: Path, owner: int = 0, text: str = SECRET) -> Path:
    path.write_text(text)
    return give(path, owner)


def is_taken(path: Path) -> bool:
    """Return whether a file may be read and replaced; assert that the rule is the same for both."""
    try:
        taken = read_secret(path, "a secret") == SECRET
    except ConfigError as error:
        taken = False
        said = error.message
    if taken:
        with StagedFile(path) as staged:
            staged.write(SECRET)
            staged.publish()
    else:
        assert str(path) in said
        assert SECRET not in said
        with pytest.raises(ConfigError), StagedFile(path):
            pass
        assert path.read_text() == SECRET
    return taken


@pytest.mark.parametrize("mode", [0o755, 0o775, 0o777, 0o1777])
@pytest.mark.parametrize("folders_owner", [0, SERVER, OTHER])
@pytest.mark.parametrize("owner", [0, SERVER])
def test_the_rule(folder: Path, owner: int, folders_owner: int, mode: int) -> None:
    path = put(folder / "secret", owner)
    give(folder, folders_owner, mode=mode)
    expected = owner == 0 or (folders_owner in (0, SERVER) and not mode & 0o002)
    assert is_taken(path) == expected


def test_a_refusal_names_owner_and_folder(folder: Path) -> None:
    path = put(folder / "secret", SERVER)
    give(folder, 0, mode=0o1777)
    with pytest.raises(ConfigError, match=f"uid {SERVER}") as caught:
        read_secret(path, "a secret")
    assert str(folder) in caught.value.message
    assert caught.value.exit_code == 2


def test_a_missing_file_is_nobodys(folder: Path) -> None:
    give(folder, OTHER, mode=0o1777)
    assert find_bytes(folder / "new", "a secret") is None
    with StagedFile(folder / "new") as staged:
        staged.write(SECRET)
        staged.publish()
    assert (folder / "new").stat().st_uid == 0


def test_under_sudo_the_caller_is_also_the_one_who_called(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(folder / "secret", SERVER)
    give(folder, OTHER, mode=0o1777)
    assert not is_taken(path)
    for nobody in ("", "x", "-1", "²", str(OTHER)):
        monkeypatch.setenv("SUDO_UID", nobody)
        assert not is_taken(path)
    monkeypatch.setenv("SUDO_UID", str(SERVER))
    assert is_taken(path)


# Links


def test_a_mounted_secret_is_read_through_its_links(folder: Path) -> None:
    # As kubelet mounts it: links of root, in a folder that everybody can apparently write to.
    give(folder, 0, mode=0o1777)
    dated = folder / "..2026_11_29"
    dated.mkdir()
    put(dated / "key")
    (folder / "..data").symlink_to(dated.name)
    (folder / "key").symlink_to("..data/key")
    assert read_secret(folder / "key", "a secret") == SECRET


def _link(folder: Path, target: Path) -> Path:
    path = folder / "link"
    path.symlink_to(target)
    return path


def _folder_link(folder: Path, target: Path) -> Path:
    give(_link(folder, target.parent), SERVER)
    return folder / "link" / target.name


@pytest.mark.parametrize("form", [_link, _folder_link])
def test_somebody_elses_link_leads_to_nobody_elses_file(
    folder: Path, tmp_path: Path, form: Callable[[Path, Path], Path]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    of_root = put(other / "of-root")
    path = form(give(folder, SERVER), of_root)
    if path.is_symlink():
        give(path, SERVER)
    with pytest.raises(ConfigError, match="is a link owned by"):
        read_secret(path, "a secret")
    give(of_root, SERVER)
    assert read_secret(path, "a secret") == SECRET


def test_a_link_in_a_folder_that_others_may_write_to_is_not_followed(
    folder: Path, tmp_path: Path
) -> None:
    path = give(_link(folder, put(tmp_path / "of-root")), SERVER)
    give(folder, 0, mode=0o1777)
    with pytest.raises(ConfigError, match="can write to its folder"):
        read_secret(path, "a secret")


def test_a_chain_of_links_is_followed_to_its_end_and_a_ring_is_an_error(folder: Path) -> None:
    put(folder / "0")
    for number in range(1, 20):
        (folder / str(number)).symlink_to(str(number - 1))
    assert read_secret(folder / "19", "a secret") == SECRET
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    with pytest.raises(FailedError, match="Too many levels"):
        read_secret(folder / "a", "a secret")


# Files that are not small regular files


@pytest.mark.parametrize(
    "path", ["/dev/zero", "/dev/null", "/dev/full", "/dev/tty", "/", "/dev/ptmx"]
)
def test_a_device_or_folder_is_an_error_at_once(path: str) -> None:
    began = time.monotonic()
    with pytest.raises(FailedError, match=r"regular file|Is a directory|No such device"):
        read_bytes(Path(path), "a secret")
    assert time.monotonic() - began < 1


def test_a_pipe_that_nobody_writes_into_is_an_error_at_once(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    began = time.monotonic()
    with pytest.raises(FailedError, match="without a writer"):
        read_bytes(folder / "pipe", "a secret")
    assert time.monotonic() - began < 1


def test_a_pipe_that_somebody_writes_into_is_read_to_its_end(folder: Path) -> None:
    reading, writing = os.pipe()

    def write() -> None:
        for part in (SECRET[:5], SECRET[5:], "\n"):
            time.sleep(0.05)
            os.write(writing, part.encode())
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert read_secret(Path(f"/dev/fd/{reading}"), "a secret") == SECRET
    finally:
        writer.join()
        os.close(reading)


def test_a_pipe_into_which_nothing_comes_is_given_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langkeys.files.reading.PIPE_SECONDS", 0.05)
    reading, writing = os.pipe()
    try:
        with pytest.raises(FailedError, match="nothing was written"):
            read_bytes(Path(f"/dev/fd/{reading}"), "a secret")
    finally:
        os.close(reading)
        os.close(writing)


def test_reading_leaves_no_file_open(folder: Path) -> None:
    path = put(folder / "secret")
    (folder / "large").write_bytes(b"x" * (MAX_BYTES + 1))
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - numbers, not paths
    for _ in range(3):
        assert read_secret(path, "a secret") == SECRET
        with pytest.raises(FailedError):
            read_bytes(folder / "large", "a secret")
        with pytest.raises(FailedError):
            read_bytes(folder, "a secret")
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


def test_a_large_file_is_not_taken_into_memory(folder: Path) -> None:
    with (folder / "large").open("wb") as large:
        large.truncate(1 << 40)
    with pytest.raises(FailedError, match="larger than"):
        read_bytes(folder / "large", "a secret")
    (folder / "just").write_bytes(b"x" * MAX_BYTES)
    assert len(read_bytes(folder / "just", "a secret")) == MAX_BYTES


def test_a_chain_of_as_many_links_as_linux_follows_is_followed_to_its_end(folder: Path) -> None:
    at = put(folder / "file")
    (open_to_all := folder / "open").mkdir()
    planted = put(open_to_all / "file", OTHER)
    open_to_all.chmod(0o777)
    for number in range(40):
        (link := folder / f"ours-{number}").symlink_to(at)
        (trap := folder / f"trap-{number}").symlink_to(planted)
        at, planted = link, trap
    assert read_secret(at, "a secret") == SECRET
    assert planted.read_text() == SECRET
    with pytest.raises(ConfigError, match="another user may have put it there"):
        read_secret(planted, "a secret")


# Created files


def test_what_root_makes_for_a_server_is_the_servers(folder: Path) -> None:
    give(folder, SERVER, OTHER)
    for name, for_server in (("for-server", True), ("of-root", False)):
        with StagedFile(folder / name, for_server=for_server) as staged:
            staged.write(SECRET)
            staged.publish(replace=False)
        found = (folder / name).stat()
        owner = (SERVER, OTHER) if for_server else (0, os.getegid())
        assert (found.st_uid, found.st_gid) == owner
        assert stat.S_IMODE(found.st_mode) == 0o600


def test_what_replaces_a_file_is_its_owners(folder: Path) -> None:
    path = give(put(folder / "secret"), SERVER, OTHER, mode=0o640)
    with StagedFile(path) as staged:
        staged.write("new")
        staged.publish()
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (SERVER, OTHER, 0o640)


def test_where_nothing_can_be_given_away_it_is_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    give(folder, SERVER)
    path = give(put(folder / "secret"), SERVER, OTHER, mode=0o640)
    monkeypatch.setattr(os, "fchown", refused)
    with StagedFile(path) as staged:
        staged.write("new")
        staged.publish()
    # The file now has another group, which must not read it.
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "its owner cannot be restored" in staged.warnings[0]
    with StagedFile(folder / "new", for_server=True) as staged:
        staged.publish(replace=False)
    assert f"uid {SERVER}" in staged.warnings[0]


def test_folders_are_made_as_a_server_makes_them(folder: Path) -> None:
    give(folder, SERVER)
    assert ownership.make_folder(folder / "a" / "b") == []
    for made in (folder / "a", folder / "a" / "b"):
        assert made.stat().st_uid == SERVER
        assert stat.S_IMODE(made.stat().st_mode) == 0o755
    assert ownership.make_folder(folder / "a" / "b") == []


@pytest.mark.parametrize("also", [False, True])
def test_a_new_file_replaces_nothing_where_there_are_no_hard_links(
    folder: Path, monkeypatch: pytest.MonkeyPatch, also: bool
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    if also:  # a rename that never replaces is not available, either
        monkeypatch.setattr(new, "_rename_new", lambda *_: False)
    path = folder / "new"
    for number in range(2):
        with StagedFile(path) as staged:
            staged.write(f"{number}")
            if number == 0:
                staged.publish(replace=False)
            else:
                with pytest.raises(FileExistsError):
                    staged.publish(replace=False)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("0", 0o600)
    assert [found.name for found in folder.iterdir()] == ["new"]


def test_what_must_not_replace_a_file_takes_an_empty_one(folder: Path) -> None:
    path = put(folder / "secret", text="")
    with StagedFile(path, replaces=False) as staged:
        staged.write(SECRET)
        staged.publish()
    with (
        pytest.raises(ConflictError, match="not empty"),
        StagedFile(path, replaces=False),
    ):
        pass
    assert path.read_text() == SECRET
