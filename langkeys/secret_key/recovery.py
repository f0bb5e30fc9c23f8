"""Settling a rotation of the secret key that died: completed where it was committed, else undone.

Whether it was committed is told by the database itself: each witness of the journal is a text that
reads one way before the commit and another after it.
"""

from collections.abc import Callable
from pathlib import Path

from langkeys.config.settings import Settings
from langkeys.errors import ConfigError, FailedError, SecretKeyError
from langkeys.files.staged import StagedFile, sync_folder
from langkeys.secret_key.files import BARE_NAME, NAME, SOUND_KEY, KeyPlace, named_places
from langkeys.secret_key.journal import Entry, Journal, digest, find_entry
from langkeys.store.protocol import Store


def settle(
    journal: Journal,
    store: Store,
    settings: Settings,
    *,
    fingerprint: Callable[[str], str],
    key_in_force: Callable[[], str | None],
    say: Callable[[str], None],
) -> None:
    """Complete or undo what the journal tells of, and remove it.

    ``key_in_force`` is what settings and files say afterwards. Only files that ``settings`` name
    for a secret key are touched, and only where the old key is in them: ConfigError for others.
    Raises SecretKeyError where only a person can end it: it names what was found and what to do,
    and the journal stays.
    """
    entry = journal.read()
    _require_named(entry, settings)
    if is_committed(entry, store, fingerprint):
        _complete(entry, store.location, fingerprint)
        if entry.fixed:
            _require_new_key(entry, store.location, fingerprint, key_in_force)
        what = "it was committed, and has now been completed with the new secret key"
    else:
        _undo(entry, store.location, fingerprint)
        what = (
            "it was not committed, and has been undone: the database still uses the old secret key"
        )
    journal.remove()
    say(f"a rotation of the secret key of {store.location} was interrupted; {what}")


def _require_named(entry: Entry, settings: Settings) -> None:
    named = named_places(settings)
    for place in entry.places:
        if (place.kind, place.path.resolve()) not in named or not all(
            name.upper() in (NAME, BARE_NAME) for name in place.names
        ):
            raise ConfigError(
                "a rotation of the secret key was interrupted, and the settings no"
                f" longer refer to {place.title}, where the new key belongs",
                hint="run langkeys with the same settings as the rotation: the same"
                " .env, the same LANGFLOW_CONFIG_DIR",
            )


def is_committed(entry: Entry, store: Store, fingerprint: Callable[[str], str]) -> bool:
    """Tell whether the database is under the new key; SecretKeyError where nothing tells."""
    for witness in entry.witnesses:
        text = store.find_text(witness.cell)
        told = None if text is None else digest(text)
        if told in (witness.before, witness.after):
            return told == witness.after
    if not entry.witnesses:
        # Nothing was to be changed: the old and the new key are as good for the database.
        return any(
            key is not None and fingerprint(key) == entry.new
            for key in (place.key_in(place.path) for place in entry.places)
        )
    raise SecretKeyError(
        f"a rotation of the secret key of {store.location} was interrupted, and values"
        " have changed since: langkeys cannot determine whether it was committed",
        hint="langkeys secret-key check --old-key-file"
        f" {_new_key_file(entry) or 'FILE'} shows which key decrypts what; the"
        f" backup is {entry.backup}, its key {entry.old_key_file}",
    )


def _new_key_file(entry: Entry) -> Path | None:
    named = [] if entry.new_key_file is None else [Path(entry.new_key_file)]
    staged = [place.staged for place in entry.places if place.kind == "file"]
    return next((path for path in (*named, *staged) if path.exists()), None)


def find_new_key(entry: Entry, fingerprint: Callable[[str], str]) -> str | None:
    """Return the new key from wherever it waits, or from where it has arrived already."""
    candidates = [
        key for place in entry.places for key in (place.staged_key(), place.key_in(place.path))
    ]
    if entry.new_key_file is not None:
        place = KeyPlace("file", Path(entry.new_key_file), newline=True)
        candidates.append(place.key_in(place.path))
    return next(
        (
            key
            for key in candidates
            if key and SOUND_KEY.fullmatch(key) and fingerprint(key) == entry.new
        ),
        None,
    )


def find_staged_key(journal: Path, fingerprint: Callable[[str], str]) -> str | None:
    """Return the new key that the journal of a dead rotation tells of, without settling it."""
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
    for place in entry.places:
        put(place, new, lambda key: fingerprint(key) == entry.old, location)


def put(place: KeyPlace, new: str, is_old: Callable[[str], bool], location: str) -> None:
    """Put the new key where the old one still is, and remove what was staged for it."""
    found = place.key_in(place.path)
    try:
        if found != new:
            if found is None or not is_old(found):
                raise ConfigError("it now holds another key")
            content = place.content(new, found or "")
            with StagedFile(place.path) as staged:
                staged.write(content)
                staged.publish()
        place.staged.unlink(missing_ok=True)
        sync_folder(place.path.parent)
    except (ConfigError, FailedError, OSError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise SecretKeyError(
            f"{location} is encrypted with the new secret key in {place.staged}, but"
            f" the key cannot be written to {place.title}: {said}",
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
            f"the rotation of the secret key of {location} was committed: it uses the"
            f" key in {entry.new_key_file}, but {', '.join(entry.fixed)} still has"
            " another one",
            hint=f"set LANGFLOW_SECRET_KEY to the content of {entry.new_key_file}, for"
            " the server too",
        )


def _undo(entry: Entry, location: str, fingerprint: Callable[[str], str]) -> None:
    for place in entry.places:
        key = place.key_in(place.path)
        if key is not None and fingerprint(key) == entry.new and entry.new != entry.old:
            raise SecretKeyError(
                f"{place.title} has the new secret key of a rotation, but {location}"
                " is encrypted with the old one: the disk has lost the commit",
                hint=f"restore the old key from {entry.old_key_file}",
            )
    for place in entry.places:
        try:
            place.staged.unlink(missing_ok=True)
            sync_folder(place.path.parent)
        except OSError as error:
            raise FailedError(f"cannot remove {place.staged}: {error.strerror}") from None
