"""The encrypted values in known columns."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from langkeys.models import FERNET_PREFIX, EncryptedValue
from langkeys.store.encrypted_columns import (
    ENCRYPTED_COLUMNS,
    ENCRYPTED_JSON_COLUMNS,
    ENVELOPE_COLUMNS,
    FERNET_TOKEN,
    EncryptedColumn,
)
from langkeys.store.postgresql.api_keys import IS_TOKEN
from langkeys.store.postgresql.database import PAGE_ROWS, Database
from langkeys.store.postgresql.values import shown_id

SAMPLE_ROWS = 4
"""The number of encrypted values that are sampled from each end of a known column."""


class EncryptedValues(Database):
    """The part of a store for encrypted values, in all tables."""

    def sample_of_encrypted_values(self) -> Iterator[EncryptedValue]:
        for table, column, row_id, name in self._present(ENCRYPTED_COLUMNS):
            # Tokens sort roughly by their time of encryption, in any collation. API keys have an
            # index in the database's own collation. Both ends are sampled, because they differ if
            # somebody has changed the secret key by hand.
            for direction in ("DESC", "ASC"):
                rows = self._rows(
                    f'SELECT {row_id}, {name}, {column} FROM "{table}"'
                    f" WHERE {IS_TOKEN.format(column)}"
                    f" ORDER BY {column} {direction} LIMIT {SAMPLE_ROWS}"
                )
                yield from (_value(table, column, row) for row in rows)
        for table, column, row_id, name in self._present(ENCRYPTED_JSON_COLUMNS):
            rows = self._rows(
                f'SELECT {row_id}, {name}, {column}::text FROM "{table}"'
                f" WHERE strpos({column}::text, '{FERNET_PREFIX}') > 0 LIMIT {SAMPLE_ROWS}"
            )
            yield from _tokens(table, column, rows)
        for table, column, row_id, name in self._present(ENVELOPE_COLUMNS):
            rows = self._rows(
                f'SELECT {row_id}, {name}, {column} FROM "{table}" WHERE {column} IS NOT NULL'
                f" LIMIT {SAMPLE_ROWS}"
            )
            yield from (_value(table, column, row) for row in rows)

    def encrypted_values(self) -> Iterator[EncryptedValue]:
        for table, column, row_id, name in self._present(ENCRYPTED_COLUMNS):
            for rows in self._value_pages(table, column, row_id, name, IS_TOKEN.format(column)):
                yield from (_value(table, column, row) for row in rows)
        for table, column, row_id, name in self._present(ENCRYPTED_JSON_COLUMNS):
            for rows in self._value_pages(
                table, column, row_id, name, f"strpos({column}::text, '{FERNET_PREFIX}') > 0"
            ):
                yield from _tokens(table, column, rows)
        for table, column, row_id, name in self._present(ENVELOPE_COLUMNS):
            for rows in self._value_pages(table, column, row_id, name, f"{column} IS NOT NULL"):
                yield from (_value(table, column, row) for row in rows)

    def plaintext_credentials(self) -> int:
        rows = self._rows(
            "SELECT count(*) FROM variable WHERE type = 'Credential' AND value != ''"
            f" AND NOT {IS_TOKEN.format('value')}"
        )
        return int(rows[0][0])

    def counts(self) -> dict[str, int]:
        rows = self._rows(
            'SELECT (SELECT count(*) FROM "user"),'
            ' (SELECT count(*) FROM "user" WHERE is_active AND is_superuser),'
            " (SELECT count(*) FROM apikey),"
            " (SELECT count(*) FROM apikey WHERE is_active IS NOT TRUE),"
            " (SELECT count(*) FROM variable),"
            " (SELECT count(*) FROM variable WHERE type = 'Credential')"
        )
        names = (
            "users", "active superusers", "API keys", "inactive API keys", "variables",
            "credentials",
        )  # fmt: skip
        return dict(zip(names, map(int, rows[0]), strict=True))

    def _present(self, known: tuple[EncryptedColumn, ...]) -> Iterator[EncryptedColumn]:
        for table, column, row_id, name in known:
            if self._has(table, column):
                # In 1.8, sso_config has the column for the secret, but no slug.
                yield table, column, row_id, name if self._has(table, name) else "NULL"

    def _value_pages(
        self, table: str, column: str, row_id: str, name: str, condition: str
    ) -> Iterator[list[Sequence[Any]]]:
        last: str | None = None
        while True:
            beyond = "" if last is None else f"{row_id} > %s AND "
            rows = self._rows(
                f'SELECT {row_id}, {name}, {column}::text FROM "{table}" WHERE {beyond}{condition}'
                f" ORDER BY {row_id} LIMIT {PAGE_ROWS}",
                () if last is None else (last,),
            )
            yield rows
            if len(rows) < PAGE_ROWS:
                return
            last = rows[-1][0]


def _tokens(table: str, column: str, rows: Iterable[Sequence[Any]]) -> Iterator[EncryptedValue]:
    for row_id, name, text in rows:
        for token in FERNET_TOKEN.findall(text):
            yield _value(table, column, (row_id, name, token))


def _value(table: str, column: str, row: Sequence[Any]) -> EncryptedValue:
    row_id, name, value = row
    return EncryptedValue(table, column, shown_id(row_id), name, value)
