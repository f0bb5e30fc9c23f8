"""What a rotation of the secret key leaves behind for whoever comes after it, should it die.

The journal is a file beside the database, there from before the commit until the key has its place.
It holds no secret: where the new key waits, and by which texts to tell whether the commit happened.
Its lock tells a living rotation from a dead one.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from langkeys.errors import ConfigError, FailedError, SecretKeyError, StoreError
from langkeys.files.ownership import ROOT, user_name
from langkeys.files.staged import MOST_BYTES, DisbelievedError, open_private, sync_folder
from langkeys.secret_key.files import KeyPlace
from langkeys.store.protocol import Cell

VERSION = 1
PATIENCE = 10.0
"""Seconds to wait for another process that is settling the same rotation."""


@dataclass(frozen=True)
class Witness:
    """A cell that the rotation changes, and the SHA-256 of its text before and after."""

    cell: Cell
    before: str
    after: str


@dataclass(frozen=True)
class Entry:
    """The content of a journal; keys are told by fingerprint."""

    started: str
    old: str
    new: str
    places: tuple[KeyPlace, ...]
    fixed: tuple[str, ...]
    new_key_file: str | None
    backup: str
    old_key_file: str
    witnesses: tuple[Witness, ...] = field(default=())


def witnesses(samples: Sequence[tuple[Cell, bytes]]) -> tuple[Witness, ...]:
    """Make witnesses of cells as they were and the texts that they get."""
    return tuple(
        Witness(
            Cell(cell.table, cell.column, cell.row, None, cell.kind, cell.position, b""),
            digest(cell.text),
            digest(text),
        )
        for cell, text in samples
    )


def digest(text: bytes) -> str:
    """Return the SHA-256 of a text, which is a ciphertext: it gives nothing away."""
    return hashlib.sha256(text).hexdigest()


class Journal:
    """A journal on the disk, locked by this process until it is closed."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def write(cls, path: Path, entry: Entry) -> "Journal":
        """Make the journal, whole, synced and locked; the caller holds the database alone."""
        staged = path.with_name(f"{path.name}.tmp")
        descriptor = -1
        try:
            staged.unlink(missing_ok=True)  # what a rotation left that died right here
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
    def seized(cls, path: Path) -> "Journal | None":
        """Lock the journal that a dead rotation has left; None where there is none.

        Waits for another process that is settling it; raises StoreError where the rotation lives.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                descriptor = open_private(path, believed())
            except FileNotFoundError:
                return None
            except DisbelievedError as error:
                raise ConfigError(
                    f"{disbelief(path, error.owner)}; nothing was done",
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
            os.close(descriptor)  # settled by somebody else meanwhile

    def _text(self) -> str:
        # By the descriptor: another file may be in its place by now.
        content = os.pread(self._descriptor, MOST_BYTES, 0)
        return content.decode("utf-8", "surrogateescape")

    def read(self) -> Entry:
        """Return what the journal says; SecretKeyError where it is none of ours."""
        try:
            return _unpacked(json.loads(self._text()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SecretKeyError(
                f"{self.path} is not the journal of a rotation: {type(error).__name__}",
                hint="to see which key decrypts the database: langkeys secret-key"
                " check; remove that file when everything works",
            ) from None

    def remove(self) -> None:
        """End what the journal is about."""
        try:
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.parent)
        except OSError as error:
            raise FailedError(f"cannot remove {self.path}: {error.strerror}") from None

    def close(self) -> None:
        """Give the lock back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def believed() -> frozenset[int]:
    """Return whose journals are believed: the caller's and root's."""
    return frozenset((ROOT, os.geteuid()))


def disbelief(path: Path, owner: int) -> str:
    """Say of a journal that somebody else could have written it."""
    return (
        f"{path} may be left from an interrupted rotation of the secret key, but is"
        f" not trusted: it belongs to {user_name(owner)}, or others can write to it"
    )


def find_unfinished(path: Path) -> str | None:
    """Say of the journal of a rotation that is not at work any more what it is; None of another."""
    try:
        os.close(open_private(path, believed()))
    except FileNotFoundError:
        return None
    except DisbelievedError as error:
        return disbelief(path, error.owner)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if is_living(path):
        return None
    return f"a rotation of the secret key is unfinished ({path})"


def find_entry(path: Path) -> Entry | None:
    """Return what the journal of a dead rotation says; None where there is none to believe."""
    try:
        descriptor = open_private(path, believed())
    except OSError:
        return None
    journal = Journal(path, descriptor)
    try:
        return journal.read()
    except SecretKeyError:
        return None
    finally:
        journal.close()


def is_living(path: Path) -> bool:
    """Tell whether the process lives whose journal this is."""
    try:
        descriptor = open_private(path, believed())
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
    packed = asdict(entry)
    for place in packed["places"]:
        place["path"] = str(place["path"])
    packed["witnesses"] = [
        {
            **{name: getattr(witness.cell, name) for name in _CELL_FIELDS},
            "before": witness.before,
            "after": witness.after,
        }
        for witness in entry.witnesses
    ]
    return json.dumps({"version": VERSION, **packed}, indent=1, ensure_ascii=False) + "\n"


_CELL_FIELDS = ("table", "column", "row", "kind", "position")


def _unpacked(packed: Mapping[str, Any]) -> Entry:
    fields = dict(packed)
    if fields.pop("version") != VERSION:
        raise ValueError("version")
    fields["places"] = tuple(
        KeyPlace(**{**place, "path": Path(place["path"]), "names": tuple(place["names"])})
        for place in packed["places"]
    )
    fields["fixed"] = tuple(packed["fixed"])
    fields["witnesses"] = tuple(
        Witness(
            Cell(
                table=witness["table"],
                column=witness["column"],
                row=witness["row"],
                name=None,
                kind=witness["kind"],
                position=tuple(witness["position"]),
                text=b"",
            ),
            witness["before"],
            witness["after"],
        )
        for witness in packed["witnesses"]
    )
    return Entry(**fields)
