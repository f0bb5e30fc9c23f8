"""Check for a Langflow database, and create one, for ``init``.

Like ``langkeys.sessions.session``, this module chooses the concrete implementations.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.errors import NoTablesError, SecretKeyError, UnsupportedError
from langkeys.secret_key.trial import find_lost_key_error
from langkeys.targets import Target

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher
    from langkeys.initialization import InitPlan
    from langkeys.store.protocol import Store


def check_database(target: Target, settings: Settings, warn: Callable[[str], None]) -> None:
    """Raise StoreError or UnsupportedError unless this is a Langflow database.

    ``warn`` is called if the secret key can decrypt none of its values. That must not stop a
    container's entry point, but must not go unnoticed either.
    """
    from langkeys.store.engines import open_store

    try:
        store = open_store(target)
    except NoTablesError as error:
        raise UnsupportedError(
            f"{error.message}; langkeys init makes no tables there", hint=error.hint
        ) from None
    try:
        lost = find_lost_key_error(store, _cipher(settings, store))
    finally:
        store.close()
    if lost is not None:
        warn(f"{lost.message}; see langkeys doctor for what to do")


def _cipher(settings: Settings, store: "Store") -> "Cipher":
    from langkeys.crypto.cipher import Cipher, UnavailableCipher

    try:
        secret_key = locations.get_secret_key(settings)
        return Cipher(
            secret_key.text, source=secret_key.source, pads_always=store.generation.pads_always
        )
    except SecretKeyError as error:
        return UnavailableCipher(error)


def initialize(
    plan: "InitPlan", settings: Settings, *, reason: str | None, warn: Callable[[str], None]
) -> None:
    """Carry out the plan of ``init``, with an audit line; see ``langkeys.initialization``."""
    from langkeys.audit.log import AuditLog, Recorder
    from langkeys.crypto.cipher import Cipher
    from langkeys.crypto.passwords import hash_password
    from langkeys.initialization import apply_plan
    from langkeys.store.engines import create_store

    recorder = Recorder(
        AuditLog(settings, warn, path=plan.audit_log),
        command="init",
        reason=reason,
        acting=lambda: None,
        database=lambda: plan.database.location,
    )
    written = [path for path in (plan.env_path, plan.secret_key_file, plan.database.file) if path]
    changes = [{"action": "insert", "kind": "file", "name": str(path)} for path in written]
    user = {"action": "insert", "kind": "user", "name": plan.superuser, "is_superuser": True}
    with recorder.record_write([*changes, user]):
        apply_plan(
            plan,
            cipher=lambda text, source: Cipher(text, source=source),
            hashed=hash_password,
            create_store=create_store,
            warn=warn,
        )
