"""The columns of Langflow's ``apikey`` table, in the order in which every engine reads them."""

KEY_COLUMNS = (
    "id", "name", "user_id", "api_key", "api_key_hash", "created_at", "last_used_at", "total_uses",
    "is_active", "expires_at",
)  # fmt: skip
"""The columns of an API key, those that a generation lacks among them."""
KEY_CELLS = len(KEY_COLUMNS) + 1
"""How many cells of a row make an API key: its columns, and its owner's name."""
