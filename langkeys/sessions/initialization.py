"""What ``init`` needs: whether there is a Langflow database, and how one is made.

Beside ``langkeys.sessions.session`` another place that knows which implementations exist.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.errors import NoTablesError, SecretKeyError, UnsupportedError
from langkeys.secret_key.trial import find_lost
from langkeys.targets import Target

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher
    from langkeys.initialization import Plan
    from langkeys.store.protocol import Store


def check_database(target: Target, settings: Settings, warn: Callable[[str], None]) -> None:
    """Raise StoreError or UnsupportedError unless this is a Langflow database.

    ``warn`` is told where the secret key in force can decrypt nothing that is in it: no reason to
    fail in a container's entry point, and none to say nothing.
    """
    from langkeys.store.engines import open_store

    try:
        store = open_store(target)
    except NoTablesError as error:
        raise UnsupportedError(
            f"{error.message}; langkeys init makes no tables there", hint=error.hint
        ) from None
    try:
        lost = find_lost(store, _cipher(settings, store))
    finally:
        store.close()
    if lost is not None:
        warn(f"{lost.message}; see langkeys doctor for what to do")


def _cipher(settings: Settings, store: "Store") -> "Cipher":
    from langkeys.crypto.cipher import Cipher, ClosedCipher

    try:
        secret_key = locations.get_secret_key(settings)
        return Cipher(
            secret_key.text, source=secret_key.source, pads_always=store.generation.pads_always
        )
    except SecretKeyError as error:
        return ClosedCipher(error)


def initialize(
    plan: "Plan", settings: Settings, *, reason: str | None, warn: Callable[[str], None]
) -> None:
    """Carry out what ``init`` has planned; see ``langkeys.initialization``."""
    from langkeys.audit.log import Recorder, Trail
    from langkeys.crypto.cipher import Cipher
    from langkeys.crypto.passwords import hashed
    from langkeys.initialization import carry_out
    from langkeys.store.engines import create_store

    recorder = Recorder(
        Trail(settings, warn, path=plan.audit_log),
        command="init",
        reason=reason,
        acting=lambda: None,
        database=lambda: plan.database.location,
    )
    written = [path for path in (plan.env_path, plan.secret_key_file, plan.database.file) if path]
    changes = [{"action": "insert", "kind": "file", "name": str(path)} for path in written]
    user = {"action": "insert", "kind": "user", "name": plan.superuser, "is_superuser": True}
    with recorder.writing([*changes, user]):
        carry_out(
            plan,
            cipher=lambda text, source: Cipher(text, source=source),
            hashed=hashed,
            create_store=create_store,
            warn=warn,
        )
