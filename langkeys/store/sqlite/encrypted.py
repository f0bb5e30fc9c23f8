"""Read and count the encrypted values in known columns."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from langkeys.models import FERNET_PREFIX, EncryptedValue
from langkeys.store.encrypted_columns import (
    ENCRYPTED_COLUMNS,
    ENCRYPTED_JSON_COLUMNS,
    ENVELOPE_COLUMNS,
    FERNET_TOKEN,
    PAST_FERNET,
    EncryptedColumn,
)
from langkeys.store.sqlite.database import FIRST_ROW, PAGE_ROWS, Database
from langkeys.store.sqlite.values import name_or_none, shown_cell

SAMPLE_ROWS = 4
"""The number of encrypted values that are sampled from each end of a known column."""


class EncryptedValues(Database):
    """The part of a store for encrypted values, in all tables."""

    def sample_of_encrypted_values(self) -> Iterator[EncryptedValue]:
        for table, column, row_id, name in self._present(ENCRYPTED_COLUMNS):
            # Only apikey has an index on its tokens. Tokens sort by the time of encryption.
            order = column if table == "apikey" else self._row_number(table)
            # Both ends are sampled, because they differ if somebody has changed the secret key by
            # hand.
            for direction in ("DESC", "ASC"):
                rows = self._rows(
                    f'SELECT {row_id}, {name}, {column} FROM "{table}"'
                    f" WHERE {column} >= ? AND {column} < ? ORDER BY {order} {direction} LIMIT ?",
                    (FERNET_PREFIX, PAST_FERNET, SAMPLE_ROWS),
                )
                yield from (_value(table, column, row) for row in rows)
        for table, column, row_id, name in self._present(ENCRYPTED_JSON_COLUMNS):
            rows = self._rows(
                f'SELECT {row_id}, {name}, {column} FROM "{table}"'
                f" WHERE typeof({column}) = 'text' AND instr({column}, ?)"
                f" ORDER BY {self._row_number(table)} DESC LIMIT ?",
                (FERNET_PREFIX, SAMPLE_ROWS),
            )
            yield from _tokens(table, column, rows)
        for table, column, row_id, name in self._present(ENVELOPE_COLUMNS):
            rows = self._rows(
                f'SELECT {row_id}, {name}, {column} FROM "{table}"'
                f" WHERE typeof({column}) = 'text' ORDER BY {self._row_number(table)} DESC LIMIT ?",
                (SAMPLE_ROWS,),
            )
            yield from (_value(table, column, row) for row in rows)

    def encrypted_values(self) -> Iterator[EncryptedValue]:
        for table, column, row_id, name in self._present(ENCRYPTED_COLUMNS):
            for rows in self._pages(
                table, column, row_id, name, f"substr({column}, 1, 6) = '{FERNET_PREFIX}'"
            ):
                yield from (_value(table, column, row) for row in rows)
        for table, column, row_id, name in self._present(ENCRYPTED_JSON_COLUMNS):
            for rows in self._pages(
                table, column, row_id, name, f"instr({column}, '{FERNET_PREFIX}')"
            ):
                yield from _tokens(table, column, rows)
        for table, column, row_id, name in self._present(ENVELOPE_COLUMNS):
            for rows in self._pages(table, column, row_id, name, "1"):
                yield from (_value(table, column, row) for row in rows)

    def plaintext_credentials(self) -> int:
        rows = self._rows(
            "SELECT count(*) FROM variable WHERE type = 'Credential' AND value != ''"
            " AND NOT (value >= ? AND value < ?)",
            (FERNET_PREFIX, PAST_FERNET),
        )
        return int(rows[0][0])

    def counts(self) -> dict[str, int]:
        sql = {
            "users": 'SELECT count(*) FROM "user"',
            "active superusers": (
                'SELECT count(*) FROM "user" WHERE is_active = 1 AND is_superuser = 1'
            ),
            "API keys": "SELECT count(*) FROM apikey",
            "inactive API keys": "SELECT count(*) FROM apikey WHERE is_active IS NOT 1",
            "variables": "SELECT count(*) FROM variable",
            "credentials": "SELECT count(*) FROM variable WHERE type = 'Credential'",
        }
        return {name: int(self._rows(query)[0][0]) for name, query in sql.items()}

    def _present(self, known: tuple[EncryptedColumn, ...]) -> Iterator[EncryptedColumn]:
        for table, column, row_id, name in known:
            columns = self._columns.get(table, frozenset())
            if column in columns:
                # In 1.8, sso_config has the column for the secret, but no slug.
                yield table, column, row_id, name if name in columns else "NULL"

    def _pages(
        self, table: str, column: str, row_id: str, name: str, condition: str
    ) -> Iterator[list[Sequence[Any]]]:
        last_row, number = FIRST_ROW, self._row_number(table)
        while True:
            rows = self._rows(
                f'SELECT {row_id}, {name}, {column}, {number} FROM "{table}" WHERE {number} > ?'
                f" AND typeof({column}) = 'text' AND {condition} ORDER BY {number} LIMIT ?",
                (last_row, PAGE_ROWS),
            )
            yield [row[:3] for row in rows]
            if len(rows) < PAGE_ROWS:
                return
            last_row = rows[-1][3]


def _tokens(table: str, column: str, rows: Iterable[Sequence[Any]]) -> Iterator[EncryptedValue]:
    for row_id, name, text in rows:
        for token in FERNET_TOKEN.findall(_text(text)):
            yield _value(table, column, (row_id, name, token))


def _value(table: str, column: str, row: Sequence[Any]) -> EncryptedValue:
    row_id, name, value = row
    return EncryptedValue(table, column, shown_cell(row_id), name_or_none(name), _text(value))


def _text(value: str | bytes) -> str:
    # A value that is not UTF-8 cannot be decrypted, but must be reported.
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
