"""Crash-recovery journal of a secret-key rotation.

The journal is a file: next to the database file, or in the config folder. It exists from before the
commit until the new key is in its files. It contains no secret. It says where the new key is
staged, and which cells show whether the commit happened. A lock on the file distinguishes a running
rotation from an interrupted one.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from langkeys.errors import ConfigError, FailedError, SecretKeyError, StoreError
from langkeys.files.ownership import ROOT, user_name
from langkeys.files.reading import MAX_BYTES, UntrustedFileError, open_private
from langkeys.files.staged import sync_folder
from langkeys.secret_key.files import SecretKeyFile
from langkeys.store.protocol import Cell, Store

VERSION = 1
PATIENCE = 10.0
"""Seconds to wait for another process that is recovering the same rotation."""


@dataclass(frozen=True)
class CellSample:
    """A cell that the rotation changes, and the SHA-256 of its text before and after."""

    cell: Cell
    before: str
    after: str


@dataclass(frozen=True)
class Entry:
    """The content of a journal. It names secret keys by their fingerprints."""

    started: str
    old: str
    new: str
    key_files: tuple[SecretKeyFile, ...]
    read_only: tuple[str, ...]
    new_key_file: str | None
    backup: str
    old_key_file: str
    samples: tuple[CellSample, ...] = field(default=())
    transaction: str | None = None
    """The id of the transaction; some databases can tell whether it was committed."""


def cell_samples(samples: Sequence[tuple[Cell, bytes]]) -> tuple[CellSample, ...]:
    """Return samples of cells, given each cell and its new text."""
    return tuple(
        CellSample(
            Cell(cell.table, cell.column, cell.row, None, cell.kind, cell.position, b""),
            digest(cell.text),
            digest(text),
        )
        for cell, text in samples
    )


def digest(text: bytes) -> str:
    """Return the SHA-256 of a ciphertext, which reveals nothing about the plaintext."""
    return hashlib.sha256(text).hexdigest()


class Journal:
    """A journal on the disk; this process holds its lock until the journal is closed."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def write(cls, path: Path, entry: Entry) -> "Journal":
        """Write, sync and lock a journal. The caller has exclusive access to the database."""
        staged = path.with_name(f"{path.name}.tmp")
        descriptor = -1
        try:
            staged.unlink(missing_ok=True)  # a rotation may have been interrupted here
            descriptor = os.open(staged, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            data = memoryview(_packed(entry).encode("utf-8", "surrogateescape"))
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
            staged.rename(path)
            sync_folder(path.parent)
        except OSError as error:
            if descriptor >= 0:
                os.close(descriptor)
            with suppress(OSError):
                staged.unlink(missing_ok=True)
            raise FailedError(f"cannot write {path}: {error.strerror}") from None
        return cls(path, descriptor)

    @classmethod
    def acquire(cls, path: Path) -> "Journal | None":
        """Lock the journal of an interrupted rotation; None if there is no journal.

        If another process is recovering the rotation, wait for it. Raises StoreError if the
        rotation is still running, and ConfigError if another user could have written the journal.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                descriptor = open_private(path, trusted_owners())
            except FileNotFoundError:
                return None
            except UntrustedFileError as error:
                raise ConfigError(
                    f"{untrusted_message(path, error.owner)}; nothing was done",
                    hint=f"run the command as {user_name(error.owner)} to complete or"
                    " undo it; if no rotation was interrupted, remove that file",
                ) from None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"a rotation of the secret key is running ({path})",
                        hint="wait until it is done, and run the command again",
                    ) from None
                time.sleep(0.05)
                continue
            with suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(descriptor).st_ino:
                    return cls(path, descriptor)
            os.close(descriptor)  # another process has removed the journal

    def _text(self) -> str:
        # Use the descriptor, because the path may already belong to another file.
        content = os.pread(self._descriptor, MAX_BYTES, 0)
        return content.decode("utf-8", "surrogateescape")

    def read(self) -> Entry:
        """Return the content of the journal; SecretKeyError if langkeys did not write it."""
        try:
            return _unpacked(json.loads(self._text()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SecretKeyError(
                f"{self.path} is not the journal of a rotation: {type(error).__name__}",
                hint="to see which key decrypts the database: langkeys secret-key"
                " check; remove that file when everything works",
            ) from None

    def remove(self) -> None:
        """Delete the journal of a rotation that is complete or undone."""
        try:
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.parent)
        except OSError as error:
            raise FailedError(f"cannot remove {self.path}: {error.strerror}") from None

    def close(self) -> None:
        """Release the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def trusted_owners() -> frozenset[int]:
    """Return the user ids whose journals are trusted: the caller's and root's."""
    return frozenset((ROOT, os.geteuid()))


def untrusted_message(path: Path, owner: int) -> str:
    """Return a message that another user could have written this journal."""
    return (
        f"{path} may be left from an interrupted rotation of the secret key, but is"
        f" not trusted: it belongs to {user_name(owner)}, or others can write to it"
    )


def find_unfinished(path: Path) -> str | None:
    """Return a message about an interrupted rotation; None if there is none or it still runs."""
    try:
        os.close(open_private(path, trusted_owners()))
    except FileNotFoundError:
        return None
    except UntrustedFileError as error:
        return untrusted_message(path, error.owner)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if is_running(path):
        return None
    return f"a rotation of the secret key is unfinished ({path})"


def find_entry(path: Path) -> Entry | None:
    """Return the content of an interrupted rotation's journal; None if there is no trusted one."""
    try:
        descriptor = open_private(path, trusted_owners())
    except OSError:
        return None
    journal = Journal(path, descriptor)
    try:
        return journal.read()
    except SecretKeyError:
        return None
    finally:
        journal.close()


def find_journal(paths: Iterable[Path], store: Store) -> Path | None:
    """Return the journal of a rotation of this database, whatever its name; None if there is none.

    The database knows the transaction, and has a value from before it or after it.
    """
    for path in paths:
        entry = find_entry(path)
        if entry is None or entry.transaction is None:
            continue
        if store.transaction_status(entry.transaction) is not None and (
            not entry.samples or any(_is_found(sample, store) for sample in entry.samples)
        ):
            return path
    return None


def _is_found(sample: CellSample, store: Store) -> bool:
    text = store.find_text(sample.cell)
    return text is not None and digest(text) in (sample.before, sample.after)


def is_running(path: Path) -> bool:
    """Tell whether the rotation with this journal is still running."""
    try:
        descriptor = open_private(path, trusted_owners())
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _packed(entry: Entry) -> str:
    # The names in the file are those of version 1, because another version of langkeys may read it.
    packed = asdict(entry)
    packed["places"] = [
        {**key_file, "path": str(key_file["path"])} for key_file in packed.pop("key_files")
    ]
    packed["fixed"] = packed.pop("read_only")
    del packed["samples"]
    packed["witnesses"] = [
        {
            **{name: getattr(sample.cell, name) for name in _CELL_FIELDS},
            "before": sample.before,
            "after": sample.after,
        }
        for sample in entry.samples
    ]
    return json.dumps({"version": VERSION, **packed}, indent=1, ensure_ascii=False) + "\n"


_CELL_FIELDS = ("table", "column", "row", "kind", "position")


def _unpacked(packed: Mapping[str, Any]) -> Entry:
    fields = dict(packed)
    if fields.pop("version") != VERSION:
        raise ValueError("version")
    fields["key_files"] = tuple(
        SecretKeyFile(**{**found, "path": Path(found["path"]), "names": tuple(found["names"])})
        for found in fields.pop("places")
    )
    fields["read_only"] = tuple(fields.pop("fixed"))
    fields["samples"] = tuple(
        CellSample(
            Cell(
                table=sample["table"],
                column=sample["column"],
                row=sample["row"],
                name=None,
                kind=sample["kind"],
                position=tuple(sample["position"]),
                text=b"",
            ),
            sample["before"],
            sample["after"],
        )
        for sample in fields.pop("witnesses")
    )
    return Entry(**fields)
