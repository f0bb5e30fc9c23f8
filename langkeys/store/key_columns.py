"""The columns of Langflow's ``apikey`` table, in the order in which every engine reads them."""

KEY_COLUMNS = (
    "id", "name", "user_id", "api_key", "api_key_hash", "created_at", "last_used_at", "total_uses",
    "is_active", "expires_at",
)  # fmt: skip
"""All columns of an API key; older generations lack some of them."""
KEY_CELLS = len(KEY_COLUMNS) + 1
"""The number of cells in a row as it is read: the columns, then the owner's name."""
COUNTED_COLUMNS = frozenset(("last_used_at", "total_uses"))
"""What a server changes as soon as it accepts a key."""
