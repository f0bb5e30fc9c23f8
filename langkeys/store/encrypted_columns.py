"""The tables and columns that hold values encrypted with the secret key."""

import re

from langkeys.models import FERNET_PREFIX

EncryptedColumn = tuple[str, str, str, str]
"""Table, column, and the columns with the row's id and name (``NULL`` without a name column)."""

PAST_FERNET = FERNET_PREFIX[:-1] + chr(ord(FERNET_PREFIX[-1]) + 1)
"""The exclusive upper bound of all Fernet tokens; ``FERNET_PREFIX`` is the lower bound."""

# Columns whose whole value is a Fernet token.
ENCRYPTED_COLUMNS: tuple[EncryptedColumn, ...] = (
    ("apikey", "api_key", "id", "name"),
    ("variable", "value", "id", "name"),
    ("user", "store_api_key", "id", "username"),
    ("deployment_provider_account", "api_key", "id", "name"),
    ("connection_secret", "encrypted_payload", "connection_id", "NULL"),
    ("trigger", "signing_secret_encrypted", "id", "name"),
    ("trigger_cleanup", "encrypted_credential", "id", "kind"),
)
# Columns with JSON that contains Fernet tokens.
ENCRYPTED_JSON_COLUMNS: tuple[EncryptedColumn, ...] = (
    ("folder", "auth_settings", "id", "name"),
    ("mcp_server", "config", "id", "name"),
)
# Columns with an AES-GCM envelope (langflow.services.database.models.auth.sso_secret).
ENVELOPE_COLUMNS: tuple[EncryptedColumn, ...] = (
    ("sso_config", "client_secret_encrypted", "id", "slug"),
)

_KNOWN = ENCRYPTED_COLUMNS + ENCRYPTED_JSON_COLUMNS + ENVELOPE_COLUMNS
KNOWN_TABLES = frozenset(table for table, *_ in _KNOWN)
"""The tables that have one of these columns in any generation."""

FERNET_TOKEN = re.compile(FERNET_PREFIX + "[A-Za-z0-9_-]+={0,2}")

KINDS = {
    **{(table, column): "value" for table, column, *_ in ENCRYPTED_COLUMNS},
    **{(table, column): "json" for table, column, *_ in ENCRYPTED_JSON_COLUMNS},
    **{(table, column): "envelope" for table, column, *_ in ENVELOPE_COLUMNS},
}
"""The kind of content of each known column; see ``langkeys.store.records.Cell``."""


def find_row_columns(table: str) -> tuple[str, str] | None:
    """Return the columns with a row's id and name in a known table; None for any other table."""
    return next(((row_id, name) for known, _, row_id, name in _KNOWN if known == table), None)
