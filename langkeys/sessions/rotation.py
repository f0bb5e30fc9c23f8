"""Handle an interrupted secret-key rotation.

Like ``langkeys.sessions.session``, this module chooses the concrete implementations.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.crypto.cipher import Cipher
from langkeys.crypto.hashes import fingerprint
from langkeys.secret_key.journal import Journal, find_unfinished
from langkeys.secret_key.recovery import find_staged_key, recover

if TYPE_CHECKING:
    from langkeys.store.protocol import Store


def warn_of_unfinished(journal: Path, warn: Callable[[str], None]) -> None:
    """Warn that a rotation was interrupted, before anything is read."""
    said = find_unfinished(journal)
    if said is not None:
        warn(
            f"{said}: encrypted values may not be readable until a command that writes"
            " completes or undoes it, run as the user who started it (langkeys"
            " api-key migrate)"
        )


def recover_unfinished(
    path: Path, settings: Settings, open_store: Callable[[], "Store"], warn: Callable[[str], None]
) -> bool:
    """Complete or undo an interrupted rotation; tell whether there was one.

    See ``langkeys.secret_key.recovery``. ``settings`` are reloaded, because the secret key may have
    changed.
    """
    journal = Journal.acquire(path)
    if journal is None:
        return False

    def key_in_force() -> str | None:
        settings.reload()
        found = locations.find_secret_key(settings)
        return None if found is None else found.text

    try:
        store = open_store()
        try:
            recover(
                journal,
                store,
                settings,
                fingerprint=fingerprint,
                key_in_force=key_in_force,
                say=warn,
            )
        finally:
            store.close()
    finally:
        journal.close()
    settings.reload()
    return True


def with_staged_key(cipher: Cipher, journal: Path) -> Cipher:
    """Return a cipher that can also use the key that an interrupted rotation has staged."""
    staged = find_staged_key(journal, fingerprint)
    also = () if staged is None else (Cipher(staged, source="the staged secret key"),)
    return cipher.with_fallbacks(*also)
