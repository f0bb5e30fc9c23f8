"""Langflow's ``user`` table, whose name is a reserved word."""

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from langkeys.models import User, UserSummary
from langkeys.store.base import BadCellError
from langkeys.store.changes import user_change, user_update
from langkeys.store.postgresql.database import Database
from langkeys.store.postgresql.values import (
    HEX_ID,
    loaded_id,
    loaded_json,
    loaded_time,
    loaded_time_or_none,
    stored_time,
)

USER_CELLS = 10
_ORDER = "u.create_at, u.id"


class UserTable(Database):
    """The part of a store for users."""

    @cached_property
    def _user_columns(self) -> str:
        optional = [
            f"u.{column}{cast}" if self._has("user", column) else "NULL"
            for column, cast in (("profile_image", ""), ("optins", "::text"))
        ]
        times = [
            self._utc("user", column, "u")
            for column in ("create_at", "updated_at", "last_login_at")
        ]
        plain = ["u.id", "u.username", "u.password", "u.is_active", "u.is_superuser"]
        return ", ".join((*plain, *times, *optional))

    def find_user(self, user_id: str) -> User | None:
        return self._find_user("u.id", user_id) if HEX_ID(user_id) else None

    def find_user_named(self, username: str) -> User | None:
        return self._find_user("u.username", username)

    def _find_user(self, column: str, value: str) -> User | None:
        rows = self._rows(
            f'SELECT {self._user_columns} FROM "user" u WHERE {column} = %s', (value,)
        )
        return self._user(rows[0]) if rows else None

    def users(
        self, *, user_id: str | None = None, limit: int | None = None, offset: int = 0
    ) -> Iterator[UserSummary]:
        if user_id is not None and not HEX_ID(user_id):
            return
        rows = self._streamed(
            f"SELECT {self._user_columns}, coalesce(k.keys, 0), coalesce(v.variables, 0)"
            ' FROM "user" u'
            " LEFT JOIN (SELECT user_id, count(*) AS keys FROM apikey GROUP BY user_id) k"
            " ON k.user_id = u.id"
            " LEFT JOIN (SELECT user_id, count(*) AS variables FROM variable GROUP BY user_id) v"
            f" ON v.user_id = u.id{'' if user_id is None else ' WHERE u.id = %s'}",
            () if user_id is None else (user_id,),
            order=_ORDER,
            limit=limit,
            offset=offset,
        )
        yield from self._readable(rows, lambda row: UserSummary(self._user(row), row[-2], row[-1]))

    def usernames_like(self, username: str) -> Sequence[str]:
        # The server's lower() depends on the database's locale.
        wanted = username.lower()
        names = (row[0] for row in self._rows('SELECT username FROM "user"'))
        return [name for name in names if name.lower() == wanted]

    def has_other_superuser(self, user_id: str) -> bool:
        rows = self._rows(
            # Within a transaction, lock the rows so that these users stay superusers until it ends.
            # FOR UPDATE would prevent servers from adding API keys for them.
            'SELECT id FROM "user" WHERE is_active AND is_superuser ORDER BY id'
            f"{' FOR NO KEY UPDATE' if self._in_transaction and self._writable else ''}"
        )
        return any(loaded_id(row[0], "id") != user_id for row in rows)

    def update_user(self, user: User) -> None:
        self._require_more_than_ends()
        old = None if self.commit_context is None else self.find_user(user.id)
        if old is not None:
            self._note([user_update(old, user)])
        self._rows(
            'UPDATE "user" SET password = %s, is_active = %s, is_superuser = %s, updated_at = %s'
            " WHERE id = %s",
            (
                user.password_hash,
                user.is_active,
                user.is_superuser,
                stored_time(user.updated_at),
                user.id,
            ),
        )

    def delete_user(self, user_id: str) -> None:
        user = None if self.commit_context is None else self.find_user(user_id)
        self._note([] if user is None else [user_change("delete", user)])
        self._rows('DELETE FROM "user" WHERE id = %s', (user_id,))

    def insert_user(self, user: User) -> None:
        self._require_more_than_ends()
        self._note([user_change("insert", user)])
        values: dict[str, object] = {
            "id": user.id,
            "username": user.username,
            "password": user.password_hash,
            "is_active": user.is_active,
            "is_superuser": user.is_superuser,
            "create_at": stored_time(user.created_at),
            "updated_at": stored_time(user.updated_at),
            "last_login_at": stored_time(user.last_login_at),
        }
        if self._has("user", "profile_image"):
            values["profile_image"] = user.profile_image
        if self._has("user", "optins"):
            values["optins"] = None if user.optins is None else json.dumps(user.optins)
        marks = ", ".join(["%s"] * len(values))
        self._rows(
            f'INSERT INTO "user" ({", ".join(values)}) VALUES ({marks})', tuple(values.values())
        )

    def _user(self, row: Sequence[Any]) -> User:
        try:
            optins = loaded_json(row[9], "optins")
            return User(
                id=loaded_id(row[0], "id"),
                username=row[1],
                password_hash=row[2],
                is_active=row[3] is True,
                is_superuser=row[4] is True,
                created_at=loaded_time(row[5], "create_at"),
                updated_at=loaded_time(row[6], "updated_at"),
                last_login_at=loaded_time_or_none(row[7], "last_login_at"),
                profile_image=row[8],
                optins=optins if isinstance(optins, dict) else None,
            )
        except BadCellError as error:
            raise self._unreadable_row("user", row[0], row[1], error) from None
