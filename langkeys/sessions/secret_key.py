"""Plan and run secret-key rotations, and load secret keys with their ciphers.

Like ``langkeys.sessions.session``, this module chooses the concrete implementations.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from langkeys.authentication import Acting, require_superuser
from langkeys.config import locations, rotation_files
from langkeys.crypto.hashes import fingerprint, new_secret_key
from langkeys.errors import (
    ConfigError,
    ConflictError,
    FailedError,
    ForbiddenError,
    LangkeysError,
    SecretKeyError,
    UsageError,
)
from langkeys.files.ownership import make_folder
from langkeys.files.reading import read_secret
from langkeys.paths import absolute_path
from langkeys.progress import Progress
from langkeys.secret_key.files import SOUND_KEY, find_sources
from langkeys.secret_key.journal import is_running
from langkeys.secret_key.reencryption import ScanResult
from langkeys.secret_key.rotation import Rotation, RotationPlan, RotationResult, check_decryptable
from langkeys.sessions.session import Session
from langkeys.store.read_back import require_stored
from langkeys.text import joined

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher
    from langkeys.store.protocol import Store

ALONE_TIMEOUT = 3.0
"""Seconds to wait for other commands to close the database; a server would keep it open."""


@dataclass(frozen=True)
class LoadedSecretKey:
    """A secret key with its source, fingerprint and cipher."""

    source: str
    fingerprint: str
    text: str = field(repr=False)
    cipher: "Cipher" = field(repr=False)


def get_secret_key(session: Session) -> LoadedSecretKey:
    """Return the current secret key; SecretKeyError if it is missing or malformed."""
    cipher = session.cipher
    found = locations.find_secret_key(session.settings)
    assert found is not None  # otherwise session.cipher would have raised
    return LoadedSecretKey(found.source, fingerprint(found.text), found.text, cipher)


def read_secret_key(session: Session, path: Path) -> LoadedSecretKey:
    """Return the secret key in a file, without a trailing newline; raise SecretKeyError."""
    from langkeys.crypto.cipher import Cipher

    text = read_secret(path, "a secret key", error=SecretKeyError)
    source = f"file {path}"
    generation = session.generation
    cipher = Cipher(
        text,
        source=source,
        short_keys_by_prng=bool(generation.short_keys_by_prng),
        pads_always=generation.pads_always,
    )
    return LoadedSecretKey(source, fingerprint(text), text, cipher)


def plan_rotation(
    session: Session,
    *,
    new_key_file: Path | None,
    old_key_files: Sequence[Path],
    skips: bool,
    ignored_roles: Sequence[str] = (),
) -> RotationPlan:
    """Return what a rotation will do. Writes nothing.

    Raises UsageError if the user must name a file for the new key, SecretKeyError for a malformed
    key.
    """
    from langkeys.crypto.cipher import Cipher

    old = get_secret_key(session)
    where = find_sources(session.settings, old.text)
    if new_key_file is not None:
        new_key_file = absolute_path(new_key_file)
    if where.read_only and new_key_file is None:
        raise UsageError(
            f"the secret key is set in {joined(where.read_only)}, which langkeys"
            " cannot change: a server started with it would write the old key back",
            hint="use --new-key-file FILE: the new key is written to FILE, and you"
            " set LANGFLOW_SECRET_KEY to it before you start the server",
        )
    makes_file = False
    if new_key_file is not None and (new_key_file.exists() or new_key_file.is_symlink()):
        new = read_secret(new_key_file, "a secret key", error=SecretKeyError)
        _require_sound(new, new_key_file)
    else:
        new = new_secret_key()
        makes_file = new_key_file is not None
    if makes_file and new_key_file is not None and not new_key_file.parent.is_dir():
        raise ConfigError(f"there is no folder {new_key_file.parent} for the new secret key")
    new_cipher = Cipher(new, source="the new secret key")
    older = [read_secret_key(session, path) for path in old_key_files]
    keys = (old.cipher, *(key.cipher for key in older), new_cipher)
    return RotationPlan(
        database=locations.database(session.settings).target,
        journal=rotation_files.rotation_journal(session.settings),
        backup_base=rotation_files.backup_base(session.settings),
        old=old.text,
        new=new,
        old_fingerprint=old.fingerprint,
        new_fingerprint=fingerprint(new),
        keys=keys,
        new_cipher=new_cipher,
        key_files=where.key_files,
        read_only=where.read_only,
        new_key_file=new_key_file,
        makes_new_key_file=makes_file,
        skips_unreadable=skips,
        ignored_roles=tuple(ignored_roles),
    )


def _require_sound(text: str, path: Path) -> None:
    if not SOUND_KEY.fullmatch(text):
        raise SecretKeyError(
            f"{path} does not hold a secret key: servers use 32 random bytes in"
            " URL-safe base64, 43 characters",
            hint=f"generate one with: langkeys secret-key generate > {path}",
        )


def scan(session: Session, plan: RotationPlan, progress: Progress) -> ScanResult:
    """Return what a rotation would find in the database. A server may be running."""
    return check_decryptable(session.store, plan, progress)


def rotate(
    session: Session, plan: RotationPlan, progress: Progress, say: Callable[[str], None]
) -> RotationResult:
    """Run a rotation with exclusive access to the database; after a failure, say what happened."""
    from langkeys.store.engines import take_alone

    acting = session.acting
    session.recorder.check()
    commit_context = session.store.commit_context
    session.close_store()
    if is_running(plan.journal):
        _refuse_second(plan)
    try:
        store = take_alone(plan.database, patience=ALONE_TIMEOUT, ignored=plan.ignored_roles)
    except LangkeysError:
        if is_running(plan.journal):
            _refuse_second(plan)
        raise
    store.listen(note=session.note, warn=say)
    rotation = Rotation(store, plan, progress)
    try:
        with ExitStack() as stack:
            stack.callback(store.close)
            _require_unchanged(session, store, plan, acting.user.id)
            store.commit_context = commit_context
            # For a database on a server, this is the config folder, which may not exist yet.
            for warning in make_folder(plan.backup_base.parent):
                say(warning)
            rotated = rotation.run()
    except BaseException as raised:  # noqa: BLE001 - raised again, with a hint
        error = raised
        if isinstance(raised, OSError):
            what = f"{raised.filename}: " if raised.filename else ""
            error = FailedError(f"the rotation failed: {what}{raised.strerror}")
        _close_journal(rotation)
        if rotation.may_be_committed:
            _recover_after(session, error, say)
        raise error from None
    _close_journal(rotation)
    session.settings.reload()
    _read_back(session, plan)
    session.leave_new_secret_key()
    return rotated


def _close_journal(rotation: Rotation) -> None:
    if rotation.journal is not None:
        rotation.journal.close()


def _refuse_second(plan: RotationPlan) -> None:
    raise ConflictError(
        f"another rotation of the secret key for {plan.database.location} is running; nothing was"
        " done",
        hint="wait until it is done",
    ) from None


def _require_unchanged(session: Session, store: "Store", plan: RotationPlan, user_id: str) -> None:
    """Raise an error unless the user and the secret key are still those of the plan."""
    user = store.find_user(user_id)
    if user is None:
        raise ForbiddenError("the acting user has just been deleted")
    require_superuser(Acting(user, session.acting.how), store.location)
    for key_file in plan.key_files:
        if key_file.find_secret_key_in(key_file.path) != plan.old:
            raise FailedError(
                f"the secret key in {key_file.title} has just been changed; nothing was done",
                hint="run the command again",
            )


def _recover_after(session: Session, error: BaseException, say: Callable[[str], None]) -> None:
    """Say what happened to a rotation that failed at its commit or later."""
    try:
        session.recover_rotation()
    except LangkeysError as second:
        say(second.message)
        if isinstance(error, LangkeysError):
            error.hint = second.hint
    else:
        if isinstance(error, LangkeysError):
            error.hint = "the warning above says whether the rotation was completed or undone"


def _read_back(session: Session, plan: RotationPlan) -> None:
    """Check values through a new connection, and the new key in its files."""
    with session.store.reopened() as fresh:
        for value in fresh.sample_of_encrypted_values():
            require_stored(
                f"row {value.row} of table {value.table}",
                fresh.location,
                is_stored=plan.skips_unreadable or plan.new_cipher.can_decrypt(value.value),
            )
    for key_file in plan.key_files:
        is_stored = key_file.find_secret_key_in(key_file.path) == plan.new
        require_stored("the new secret key", key_file.title, is_stored=is_stored)
