"""The tables and columns that hold what the secret key opens."""

import re

from langkeys.models import FERNET_PREFIX

PAST_FERNET = FERNET_PREFIX[:-1] + chr(ord(FERNET_PREFIX[-1]) + 1)
"""Every Fernet token sorts below this and not below its prefix."""

# Where Langflow stores a Fernet token as a column's value: table, column, id column, name column.
ENCRYPTED_COLUMNS = (
    ("apikey", "api_key", "id", "name"),
    ("variable", "value", "id", "name"),
    ("user", "store_api_key", "id", "username"),
    ("deployment_provider_account", "api_key", "id", "name"),
    ("connection_secret", "encrypted_payload", "connection_id", None),
    ("trigger", "signing_secret_encrypted", "id", "name"),
)
# Where it stores them inside JSON text.
ENCRYPTED_JSON_COLUMNS = (
    ("folder", "auth_settings", "id", "name"),
    ("mcp_server", "config", "id", "name"),
)
FERNET_TOKEN = re.compile(FERNET_PREFIX + "[A-Za-z0-9_-]+={0,2}")
