"""Putting a whole database under another secret key, and the key where the old one was.

The order makes a crash at any moment harmless: everything is written and read back within one
transaction; then the journal and the staged keys are on the disk; then it commits; then the staged
keys are renamed into their places. What dies before the commit is undone by the next langkeys
command, what dies after it is completed; see ``langkeys.secret_key.recovery``. Last of all free
pages are cleaned: values under the old key may be in them from before.
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
from langkeys.secret_key.files import KeyPlace
from langkeys.secret_key.journal import Entry, Journal, witnesses
from langkeys.secret_key.reencryption import Survey, surveyed
from langkeys.store.generations import require_writable
from langkeys.store.protocol import Change, Store
from langkeys.targets import Target
from langkeys.text import counted
from langkeys.times import iso, now

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

WITNESSES = 8
"""Cells of each column by which a commit is told from none, should it be asked."""


@dataclass(frozen=True)
class Plan:
    """What a rotation is to do, found out before anything is written.

    ``keys`` are those that may open what is stored: the one in force, older ones, the new one.
    """

    database: Target
    journal: Path
    backup_base: Path
    """What the names of the backup and of the old key's file begin with."""
    old: str = field(repr=False)
    new: str = field(repr=False)
    old_fingerprint: str
    new_fingerprint: str
    keys: tuple["Cipher", ...]
    new_cipher: "Cipher"
    places: tuple[KeyPlace, ...]
    fixed: tuple[str, ...]
    new_key_file: Path | None
    makes_new_key_file: bool
    skips_unreadable: bool


@dataclass(frozen=True)
class Rotated:
    """What a rotation has done: what was found, the backup, and the key that opens the backup."""

    survey: Survey
    backup: Path
    old_key_file: Path


def checked(store: Store, plan: Plan, progress: Progress) -> Survey:
    """Read everything; raise SecretKeyError where a value that must open does not."""
    require_writable(store.generation, store.location)
    with progress("reading", store.rows_to_pass()) as done:
        survey = surveyed(store, plan.keys, done)
    _require_opened(store, plan, survey)
    return survey


def _require_opened(store: Store, plan: Plan, survey: Survey) -> None:
    if survey.unopened_known and not survey.opened:
        raise SecretKeyError(
            f"none of the given keys can decrypt any of the {survey.unopened_known}"
            f" values of {store.location}; nothing was written",
            hint="use --old-key-file FILE with the secret key that encrypted them. If"
            " it is lost, there is nothing to rotate: set variables and create"
            " API keys again, with --accept-secret-key",
        )
    if survey.unopened_known and not plan.skips_unreadable:
        named = survey.named(is_known=True)
        raise SecretKeyError(
            f"{counted(survey.unopened_known, 'value')} of {store.location} cannot be decrypted"
            " with any of the given keys; nothing was written",
            hint="use --old-key-file with the key that encrypted them, delete them or"
            " set them again, or keep them as they are with --skip-unreadable",
            candidates=tuple(named[:100]),
        )


class Rotation:
    """One rotation of a database that this process holds alone.

    Once ``may_be_committed`` is true, only ``langkeys.secret_key.recovery`` can say whether it is.
    """

    def __init__(self, store: Store, plan: Plan, progress: Progress) -> None:
        self._store = store
        self._plan = plan
        self._progress = progress
        self._staged: list[tuple[KeyPlace, StagedFile, str]] = []
        self.may_be_committed = False
        self.journal: Journal | None = None

    def carry_out(self) -> Rotated:
        """Rotate; raises with nothing changed, or with ``may_be_committed`` true."""
        store = self._store
        require_writable(store.generation, store.location)
        with ExitStack() as undo:
            backup, old_key_file = self._backed_up(undo)
            failpoints.reach("backed-up")
            with ExitStack() as stages:
                with store.transaction():
                    written = self._rewritten()
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
        return Rotated(written, backup, old_key_file)

    def _backed_up(self, undo: ExitStack) -> tuple[Path, Path]:
        path = self._plan.backup_base
        for stale in path.parent.glob(f".{path.name}.backup-*.tmp*"):
            stale.unlink(missing_ok=True)  # copies that were not complete when langkeys died
        stamp = now().strftime("%Y%m%dT%H%M%SZ")
        names = (f"{path.name}.backup-{stamp}{number}" for number in ("", "-2", "-3", "-4"))
        backup = next(p for p in map(path.with_name, names) if not p.exists())
        old_key_file = backup.with_name(f"{backup.name}.secret_key")
        with self._progress("backing up", self._store.copy_size()) as done:
            self._store.copy_to(backup, lambda copied, _: done(copied), with_indexes=False)
        undo.callback(_removed, backup)
        # Without it the backup would be of no use: the old key leaves its place.
        write_new(old_key_file, self._plan.old)
        undo.callback(_removed, old_key_file)
        return backup, old_key_file

    def _rewritten(self) -> Survey:
        store, plan = self._store, self._plan
        with self._progress("re-encrypting", store.rows_to_pass()) as done:
            written = surveyed(store, plan.keys, done, new=plan.new_cipher, samples=WITNESSES)
        _require_opened(store, plan, written)
        failpoints.reach("before-reading-back")
        with self._progress("reading back", store.rows_to_pass()) as done:
            read = surveyed(store, [plan.new_cipher], done)
        if read.digest != written.digest or read.opened != written.opened:
            raise FailedError(
                f"the re-encrypted values of {store.location} differ from the original"
                " ones when read back; nothing was written"
            )
        return written

    def _write_journal(
        self, written: Survey, backup: Path, old_key_file: Path, undo: ExitStack
    ) -> None:
        plan = self._plan
        self.journal = Journal.write(
            plan.journal,
            Entry(
                started=iso(now()),
                old=plan.old_fingerprint,
                new=plan.new_fingerprint,
                places=plan.places,
                fixed=plan.fixed,
                new_key_file=None if plan.new_key_file is None else str(plan.new_key_file),
                backup=str(backup),
                old_key_file=str(old_key_file),
                witnesses=witnesses(written.samples),
            ),
        )
        undo.callback(self.journal.remove)

    def _stage(self, stages: ExitStack, undo: ExitStack) -> None:
        plan = self._plan
        if plan.new_key_file is not None and plan.makes_new_key_file:
            write_new(plan.new_key_file, plan.new + "\n")
            undo.callback(_removed, plan.new_key_file)
        for place in plan.places:
            if place.staged.exists():
                raise ConflictError(
                    f"{place.staged} is left from an interrupted rotation, but there"
                    " is no journal of it; nothing was done",
                    hint="run langkeys secret-key check --old-key-file with that"
                    " file; remove it if it decrypts nothing",
                )
            staged = stages.enter_context(StagedFile(place.path, staged=place.staged))
            content = self._content(place)
            staged.write(content)
            sync_folder(place.path.parent)
            self._staged.append((place, staged, content))

    def _content(self, place: KeyPlace) -> str:
        try:
            return place.content(self._plan.new, self._plan.old)
        except ConfigError:
            # It was found to hold the old key before: another rotation was faster.
            raise FailedError(
                f"the secret key in {place.title} has just been changed; nothing was done",
                hint="run the command again",
            ) from None

    def _publish(self) -> None:
        plan = self._plan
        for place, staged, content in self._staged:
            if place.content(plan.new, plan.old) != content:
                raise FailedError(f"{place.path} has changed in the meantime")
            staged.publish()
            failpoints.reach("renamed")

    def _change(self, written: Survey, backup: Path) -> Change:
        plan = self._plan
        details = {
            "old": plan.old_fingerprint,
            "values": sum(written.opened.values()),
            "unopened": written.unopened_known + written.unopened_stray,
            "places": [place.title for place in plan.places],
            "backup": str(backup),
        }
        return Change("rotate", "secret_key", plan.new_fingerprint, None, details=details)


def rotated_counts(survey: Survey) -> Sequence[tuple[str, str, int]]:
    """Return table, column and number of what was opened, in order."""
    return [(*place, count) for place, count in sorted(survey.opened.items()) if count]


def _removed(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
