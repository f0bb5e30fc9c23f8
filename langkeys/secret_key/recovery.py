"""Recover an interrupted secret-key rotation: complete it if it was committed, else undo it.

The database shows whether the rotation was committed: the journal has samples of cells, with the
digests of each cell's text before and after the commit.
"""

import time
from collections.abc import Callable
from pathlib import Path

from langkeys.config.settings import Settings
from langkeys.errors import ConfigError, FailedError, SecretKeyError, StoreError
from langkeys.files.staged import StagedFile, sync_folder
from langkeys.secret_key.files import BARE_NAME, NAME, SOUND_KEY, SecretKeyFile, named_files
from langkeys.secret_key.journal import Entry, Journal, digest, find_entry
from langkeys.store.protocol import Store

PATIENCE = 10.0
"""Seconds to wait for a database server that is still running the transaction."""
_LOOK_SECONDS = 0.1


def recover(
    journal: Journal,
    store: Store,
    settings: Settings,
    *,
    fingerprint: Callable[[str], str],
    key_in_force: Callable[[], str | None],
    say: Callable[[str], None],
) -> None:
    """Complete or undo the rotation in the journal, and remove the journal.

    ``key_in_force`` returns the secret key of the settings afterwards. Only files that ``settings``
    name for a secret key are written, and only if they contain the old key; other files cause a
    ConfigError. Raises SecretKeyError, and keeps the journal, if the operator must decide.
    """
    entry = journal.read()
    _require_named(entry, settings)
    if is_committed(entry, store, fingerprint):
        _complete(entry, store.location, fingerprint)
        if entry.read_only:
            _require_new_key(entry, store.location, fingerprint, key_in_force)
        what = "it was committed, and has now been completed with the new secret key"
    else:
        _undo(entry, store.location, fingerprint)
        what = (
            "it was not committed, and has been undone: the database still uses the old secret key"
        )
    journal.remove()
    say(f"a rotation of the secret key for {store.location} was interrupted; {what}")


def _require_named(entry: Entry, settings: Settings) -> None:
    named = named_files(settings)
    for key_file in entry.key_files:
        if (key_file.kind, key_file.path.resolve()) not in named or not all(
            name.upper() in (NAME, BARE_NAME) for name in key_file.names
        ):
            raise ConfigError(
                "a rotation of the secret key was interrupted, and the settings no"
                f" longer refer to {key_file.title}, where the new key belongs",
                hint="run langkeys with the same settings as the rotation: the same"
                " .env, the same LANGFLOW_CONFIG_DIR",
            )


def is_committed(entry: Entry, store: Store, fingerprint: Callable[[str], str]) -> bool:
    """Tell whether the database uses the new key; SecretKeyError if that cannot be determined.

    If the database knows the transaction, its status and the samples must agree.
    """
    status = _transaction_status(entry, store)
    if status == "in progress":
        raise StoreError(
            f"a rotation of the secret key for {store.location} was interrupted, and the server has"
            " not ended its transaction yet",
            hint="run the command again in a moment",
        )
    found = _is_committed_by_samples(entry, store)
    if found is not None and status in (None, "committed" if found else "aborted"):
        return found
    if not entry.samples and status is not None:
        return status == "committed"
    if not entry.samples:
        # Nothing had to be re-encrypted, so the database works with the old key and the new one.
        return any(
            key is not None and fingerprint(key) == entry.new
            for key in (key_file.find_secret_key_in(key_file.path) for key_file in entry.key_files)
        )
    raise SecretKeyError(
        f"a rotation of the secret key for {store.location} was interrupted, and values"
        " have changed since: langkeys cannot determine whether it was committed",
        hint="langkeys secret-key check --old-key-file"
        f" {_new_key_file(entry) or 'FILE'} shows which key decrypts what; the"
        f" backup is {entry.backup}, its key {entry.old_key_file}",
    )


def _transaction_status(entry: Entry, store: Store) -> str | None:
    """Wait until the transaction ends, and return its status; None if it is unknown."""
    if entry.transaction is None:
        return None
    deadline = time.monotonic() + PATIENCE
    # A server continues a statement even if the client process that sent it has died.
    while (status := store.transaction_status(entry.transaction)) == "in progress":
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK_SECONDS)
    return status


def _is_committed_by_samples(entry: Entry, store: Store) -> bool | None:
    """Compare the sampled cells; None if they show nothing, or contradict each other.

    If a cell has neither the text from before the commit nor the one from after it, somebody has
    changed it since.
    """
    answers = set()
    for sample in entry.samples:
        text = store.find_text(sample.cell)
        found = None if text is None else digest(text)
        if found in (sample.before, sample.after):
            answers.add(found == sample.after)
    return answers.pop() if len(answers) == 1 else None


def _new_key_file(entry: Entry) -> Path | None:
    named = [] if entry.new_key_file is None else [Path(entry.new_key_file)]
    staged = [key_file.staged for key_file in entry.key_files if key_file.kind == "file"]
    return next((path for path in (*named, *staged) if path.exists()), None)


def find_new_key(entry: Entry, fingerprint: Callable[[str], str]) -> str | None:
    """Return the new key from the files where it is staged or already published, or None."""
    candidates = [
        key
        for key_file in entry.key_files
        for key in (key_file.find_staged_key(), key_file.find_secret_key_in(key_file.path))
    ]
    if entry.new_key_file is not None:
        key_file = SecretKeyFile("file", Path(entry.new_key_file), newline=True)
        candidates.append(key_file.find_secret_key_in(key_file.path))
    return next(
        (
            key
            for key in candidates
            if key and SOUND_KEY.fullmatch(key) and fingerprint(key) == entry.new
        ),
        None,
    )


def find_staged_key(journal: Path, fingerprint: Callable[[str], str]) -> str | None:
    """Return the new key of an interrupted rotation, without recovering it."""
    entry = find_entry(journal)
    return None if entry is None else find_new_key(entry, fingerprint)


def _complete(entry: Entry, location: str, fingerprint: Callable[[str], str]) -> None:
    new = find_new_key(entry, fingerprint)
    if new is None:
        raise SecretKeyError(
            f"{location} is encrypted with a secret key (fingerprint {entry.new}) that"
            " cannot be found: a rotation was interrupted, and its files are gone",
            hint=f"restore the backup {entry.backup} with its key {entry.old_key_file}",
        )
    for key_file in entry.key_files:
        write_secret_key(key_file, new, lambda key: fingerprint(key) == entry.old, location)


def write_secret_key(
    key_file: SecretKeyFile, new: str, is_old: Callable[[str], bool], location: str
) -> None:
    """Write the new key to a file that still contains the old one, and remove the staged file."""
    found = key_file.find_secret_key_in(key_file.path)
    try:
        if found != new:
            if found is None or not is_old(found):
                raise ConfigError("it now holds another key")
            content = key_file.content(new, found or "")
            with StagedFile(key_file.path) as staged:
                staged.write(content)
                staged.publish()
        key_file.staged.unlink(missing_ok=True)
        sync_folder(key_file.path.parent)
    except (ConfigError, FailedError, OSError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise SecretKeyError(
            f"{location} is encrypted with the new secret key in {key_file.staged}, but"
            f" the key cannot be written to {key_file.title}: {said}",
            hint="fix what prevents the write, and run a langkeys command that writes",
        ) from None


def _require_new_key(
    entry: Entry,
    location: str,
    fingerprint: Callable[[str], str],
    key_in_force: Callable[[], str | None],
) -> None:
    key = key_in_force()
    if key is None or fingerprint(key) != entry.new:
        raise SecretKeyError(
            f"the rotation of the secret key for {location} was committed. It uses the"
            f" key in {entry.new_key_file}, but {', '.join(entry.read_only)} still has"
            " another one",
            hint=f"set LANGFLOW_SECRET_KEY to the content of {entry.new_key_file}, for"
            " the server too",
        )


def _undo(entry: Entry, location: str, fingerprint: Callable[[str], str]) -> None:
    for key_file in entry.key_files:
        key = key_file.find_secret_key_in(key_file.path)
        if key is not None and fingerprint(key) == entry.new and entry.new != entry.old:
            raise SecretKeyError(
                f"{key_file.title} has the new secret key of a rotation, but {location}"
                " is encrypted with the old one: the disk has lost the commit",
                hint=f"restore the old key from {entry.old_key_file}",
            )
    for key_file in entry.key_files:
        try:
            key_file.staged.unlink(missing_ok=True)
            sync_folder(key_file.path.parent)
        except OSError as error:
            raise FailedError(f"cannot remove {key_file.staged}: {error.strerror}") from None
