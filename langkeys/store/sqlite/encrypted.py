"""Where Langflow keeps what the secret key opens."""

from collections.abc import Iterator

from langkeys.models import FERNET_PREFIX, EncryptedValue
from langkeys.store.sqlite.database import Database
from langkeys.store.sqlite.places import (
    ENCRYPTED_COLUMNS,
    ENCRYPTED_JSON_COLUMNS,
    FERNET_TOKEN,
    PAST_FERNET,
)

SAMPLE_ROWS = 4
"""Encrypted values taken from each end of each known column."""


class EncryptedValues(Database):
    """The part of a store that is about encrypted values, whatever table they are in."""

    def sample_of_encrypted_values(self) -> Iterator[EncryptedValue]:
        for table, column, row_id, name in ENCRYPTED_COLUMNS:
            if column not in self._columns.get(table, ()):
                continue
            # Only apikey has an index on its ciphertext, which starts with the time it was made.
            order = column if table == "apikey" else "rowid"
            # Both ends: where somebody has changed the secret key by hand, they differ.
            for direction in ("DESC", "ASC"):
                for row in self._rows(
                    f'SELECT {row_id}, {name or "NULL"}, {column} FROM "{table}"'
                    f" WHERE {column} >= ? AND {column} < ? ORDER BY {order} {direction} LIMIT ?",
                    (FERNET_PREFIX, PAST_FERNET, SAMPLE_ROWS),
                ):
                    yield EncryptedValue(table, *row)
        for table, column, row_id, name in ENCRYPTED_JSON_COLUMNS:
            if column in self._columns.get(table, ()):
                for row in self._rows(
                    f'SELECT {row_id}, {name}, {column} FROM "{table}"'
                    f" WHERE instr({column}, ?) ORDER BY rowid DESC LIMIT ?",
                    (FERNET_PREFIX, SAMPLE_ROWS),
                ):
                    for token in FERNET_TOKEN.findall(row[2]):
                        yield EncryptedValue(table, row[0], row[1], token)
