"""Re-encrypt a whole database with a new secret key, and replace the key in its files.

The order of the steps makes a crash at any moment harmless. All values are written and read back
within one transaction. Then the journal and the staged keys are written to the disk. Then the
transaction is committed, and the staged keys are renamed over the old ones. If a rotation is
interrupted before the commit, the next langkeys command that writes undoes it; after the commit,
that command completes it. See ``langkeys.secret_key.recovery``. Finally, free pages are cleaned,
because they may contain values that were encrypted with the old key.
"""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from langkeys import failpoints
from langkeys.config.settings import temporary_folders
from langkeys.errors import ConfigError, ConflictError, FailedError, SecretKeyError
from langkeys.files.staged import StagedFile, sync_folder, write_new
from langkeys.progress import Progress
from langkeys.secret_key.files import SecretKeyFile
from langkeys.secret_key.journal import Entry, Journal, cell_samples
from langkeys.secret_key.reencryption import ScanResult, scan
from langkeys.store.generations import require_writable
from langkeys.store.protocol import Change, Store
from langkeys.targets import Target
from langkeys.text import counted
from langkeys.times import iso, now

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

SAMPLES = 8
"""The number of cells per column that the journal samples, to show whether the commit happened."""


@dataclass(frozen=True)
class RotationPlan:
    """What a rotation will do, determined before anything is written.

    ``keys`` are all keys that may decrypt stored values: the current key, older ones, and the new
    one.
    """

    database: Target
    journal: Path
    backup_base: Path
    """The common start of the paths of the backup and of the old key's file."""
    old: str = field(repr=False)
    new: str = field(repr=False)
    old_fingerprint: str
    new_fingerprint: str
    keys: tuple["Cipher", ...]
    new_cipher: "Cipher"
    key_files: tuple[SecretKeyFile, ...]
    read_only: tuple[str, ...]
    new_key_file: Path | None
    makes_new_key_file: bool
    skips_unreadable: bool
    ignored_roles: tuple[str, ...] = ()
    """Roles whose sessions may stay connected to a database on a server."""


@dataclass(frozen=True)
class RotationResult:
    """The result of a rotation: the scanned values, the backup, and the file with its key."""

    scan_result: ScanResult
    backup: Path
    old_key_file: Path


def check_decryptable(store: Store, plan: RotationPlan, progress: Progress) -> ScanResult:
    """Read all encrypted values; raise SecretKeyError if one cannot be decrypted."""
    require_writable(store.generation, store.location)
    with progress("reading", store.rows_to_pass()) as done:
        result = scan(store, plan.keys, done)
    _require_decrypted(store, plan, result)
    return result


def _require_decrypted(store: Store, plan: RotationPlan, result: ScanResult) -> None:
    if result.undecrypted_expected and not result.decrypted:
        raise SecretKeyError(
            f"none of the given keys can decrypt any of the {result.undecrypted_expected}"
            f" values in {store.location}; nothing was written",
            hint="use --old-key-file FILE with the secret key that encrypted them. If"
            " it is lost, there is nothing to rotate: set variables and create"
            " API keys again, with --accept-secret-key",
        )
    if result.undecrypted_expected and not plan.skips_unreadable:
        named = result.named(is_expected=True)
        raise SecretKeyError(
            f"{counted(result.undecrypted_expected, 'value')} in {store.location} cannot be"
            " decrypted with any of the given keys; nothing was written",
            hint="use --old-key-file with the key that encrypted them, delete them or"
            " set them again, or keep them as they are with --skip-unreadable",
            candidates=tuple(named[:100]),
        )


class Rotation:
    """A rotation of a database to which this process has exclusive access.

    Once ``may_be_committed`` is true, only ``langkeys.secret_key.recovery`` can tell whether the
    transaction was committed.
    """

    def __init__(self, store: Store, plan: RotationPlan, progress: Progress) -> None:
        self._store = store
        self._plan = plan
        self._progress = progress
        self._staged: list[tuple[SecretKeyFile, StagedFile, str]] = []
        self.may_be_committed = False
        self.journal: Journal | None = None

    def run(self) -> RotationResult:
        """Rotate. After an error nothing has changed, unless ``may_be_committed`` is true."""
        store = self._store
        require_writable(store.generation, store.location)
        with ExitStack() as undo:
            backup, old_key_file = self._back_up(undo)
            failpoints.reach("backed-up")
            with ExitStack() as stages:
                with store.transaction():
                    written = self._rewrite()
                    failpoints.reach("rewritten")
                    self._write_journal(written, backup, old_key_file, undo)
                    failpoints.reach("journal-written")
                    self._stage(stages, undo)
                    failpoints.reach("key-staged")
                    store.note(self._change(written, backup))
                    for _, staged, _ in self._staged:
                        staged.keeps = True
                    undo.pop_all()
                    self.may_be_committed = True
                failpoints.reach("committed")
                self._publish()
            assert self.journal is not None
            self.journal.remove()
            failpoints.reach("journal-removed")
        store.clean_free_pages(temporary_folders())
        return RotationResult(written, backup, old_key_file)

    def _back_up(self, undo: ExitStack) -> tuple[Path, Path]:
        path = self._plan.backup_base
        for stale in path.parent.glob(f".{path.name}.backup-*.tmp*"):
            stale.unlink(missing_ok=True)  # incomplete copies of interrupted rotations
        stamp = now().strftime("%Y%m%dT%H%M%SZ")
        names = (f"{path.name}.backup-{stamp}{number}" for number in ("", "-2", "-3", "-4"))
        backup = next(p for p in map(path.with_name, names) if not p.exists())
        old_key_file = backup.with_name(f"{backup.name}.secret_key")
        with self._progress("backing up", self._store.copy_size()) as done:
            self._store.copy_to(backup, lambda copied, _: done(copied), with_indexes=False)
        undo.callback(_remove, backup)
        # The backup is useless without the old key, which this rotation replaces.
        write_new(old_key_file, self._plan.old)
        undo.callback(_remove, old_key_file)
        return backup, old_key_file

    def _rewrite(self) -> ScanResult:
        store, plan = self._store, self._plan
        with self._progress("re-encrypting", store.rows_to_pass()) as done:
            written = scan(store, plan.keys, done, new=plan.new_cipher, samples=SAMPLES)
        _require_decrypted(store, plan, written)
        failpoints.reach("before-reading-back")
        with self._progress("reading back", store.rows_to_pass()) as done:
            read = scan(store, [plan.new_cipher], done)
        if read.digest != written.digest or read.decrypted != written.decrypted:
            raise FailedError(
                f"the re-encrypted values in {store.location} differ from the original"
                " ones when read back; nothing was written"
            )
        return written

    def _write_journal(
        self, written: ScanResult, backup: Path, old_key_file: Path, undo: ExitStack
    ) -> None:
        plan = self._plan
        self.journal = Journal.write(
            plan.journal,
            Entry(
                started=iso(now()),
                old=plan.old_fingerprint,
                new=plan.new_fingerprint,
                key_files=plan.key_files,
                read_only=plan.read_only,
                new_key_file=None if plan.new_key_file is None else str(plan.new_key_file),
                backup=str(backup),
                old_key_file=str(old_key_file),
                samples=cell_samples(written.samples),
                transaction=self._store.transaction_id(),
            ),
        )
        undo.callback(self.journal.remove)

    def _stage(self, stages: ExitStack, undo: ExitStack) -> None:
        plan = self._plan
        if plan.new_key_file is not None and plan.makes_new_key_file:
            write_new(plan.new_key_file, plan.new)
            undo.callback(_remove, plan.new_key_file)
        for key_file in plan.key_files:
            if key_file.staged.exists():
                raise ConflictError(
                    f"{key_file.staged} is left from an interrupted rotation, but there"
                    " is no journal of it; nothing was done",
                    hint="run langkeys secret-key check --old-key-file with that"
                    " file; remove it if it decrypts nothing",
                )
            staged = stages.enter_context(StagedFile(key_file.path, staged=key_file.staged))
            content = self._content(key_file)
            staged.write(content)
            sync_folder(key_file.path.parent)
            self._staged.append((key_file, staged, content))

    def _content(self, key_file: SecretKeyFile) -> str:
        try:
            return key_file.content(self._plan.new, self._plan.old)
        except ConfigError:
            # The file contained the old key during planning, so another rotation was faster.
            raise FailedError(
                f"the secret key in {key_file.title} has just been changed; nothing was done",
                hint="run the command again",
            ) from None

    def _publish(self) -> None:
        plan = self._plan
        for key_file, staged, content in self._staged:
            if key_file.content(plan.new, plan.old) != content:
                raise FailedError(f"{key_file.path} has changed in the meantime")
            staged.publish()
            failpoints.reach("renamed")

    def _change(self, written: ScanResult, backup: Path) -> Change:
        plan = self._plan
        details = {
            "old": plan.old_fingerprint,
            "values": sum(written.decrypted.values()),
            "unopened": written.undecrypted_expected + written.undecrypted_unexpected,
            "places": [key_file.title for key_file in plan.key_files],
            "backup": str(backup),
        }
        return Change("rotate", "secret_key", plan.new_fingerprint, None, details=details)


def decrypted_counts(result: ScanResult) -> Sequence[tuple[str, str, int]]:
    """Return table, column and number of decrypted values, sorted."""
    return [(*column, count) for column, count in sorted(result.decrypted.items()) if count]


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
