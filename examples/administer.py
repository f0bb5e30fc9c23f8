"""Create an API key, rotate one into a vault, revoke a leaked one, and store a credential."""

from collections.abc import Callable
from datetime import timedelta

import langkeys


def administer(put_into_vault: Callable[[str], None], leaked_key: str, openai_key: str) -> None:
    with langkeys.open_store() as store:  # or open_store("/srv/langflow/langflow.db", env_file=...)
        made = store.api_keys.create("gateway", expires=timedelta(days=90))
        print(made.row.id, made.row.expires_at)  # made.plaintext is the key itself
        store.api_keys.rotate("ci", grace=timedelta(hours=1), deliver=put_into_vault)
        store.api_keys.revoke("laptop", leaked_key)
        store.variables.set("OPENAI_API_KEY", openai_key)
