"""Langflow's ``user`` table."""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from langkeys.errors import StoreError
from langkeys.models import User
from langkeys.store.sqlite.database import Database, stored_time


class UserTable(Database):
    """The part of a store that is about users."""

    @cached_property
    def _user_columns(self) -> str:
        return ", ".join(
            column if column in self._columns["user"] else f"NULL AS {column}"
            for column in (
                "id", "username", "password", "is_active", "is_superuser", "create_at",
                "updated_at", "last_login_at", "profile_image", "optins",
            )
        )  # fmt: skip

    def find_user(self, user_id: str) -> User | None:
        return self._find_user("id", user_id)

    def find_user_named(self, username: str) -> User | None:
        return self._find_user("username", username)

    def _find_user(self, column: str, value: str) -> User | None:
        rows = self._rows(f'SELECT {self._user_columns} FROM "user" WHERE {column} = ?', (value,))
        return self._user(rows[0]) if rows else None

    def insert_user(self, user: User) -> None:
        self._rows(
            'INSERT INTO "user" (id, username, password, is_active, is_superuser, create_at,'
            " updated_at, last_login_at, profile_image, optins)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                user.id, user.username, user.password_hash, int(user.is_active),
                int(user.is_superuser), stored_time(user.created_at), stored_time(user.updated_at),
                stored_time(user.last_login_at), user.profile_image,
                None if user.optins is None else json.dumps(user.optins),
            ),
        )  # fmt: skip

    def _user(self, row: Sequence[Any]) -> User:
        try:
            optins = None if row[9] is None else json.loads(row[9])
        except ValueError:
            raise StoreError(
                f"{self.location}: user {row[0]} has optins that are no JSON"
            ) from None
        return User(
            id=row[0],
            username=row[1],
            password_hash=row[2],
            is_active=bool(row[3]),
            is_superuser=bool(row[4]),
            created_at=self._time(row[5], "user", row[0]),
            updated_at=self._time(row[6], "user", row[0]),
            last_login_at=self._time_or_none(row[7], "user", row[0]),
            profile_image=row[8],
            optins=optins if isinstance(optins, dict) else None,
        )
