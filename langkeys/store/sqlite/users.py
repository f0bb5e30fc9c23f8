"""Langflow's ``user`` table."""

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from langkeys.models import User, UserSummary
from langkeys.store.base import BadCellError
from langkeys.store.changes import user_change, user_update
from langkeys.store.sqlite.database import FIRST_ROW, PAGE_ROWS, Database
from langkeys.store.sqlite.values import (
    loaded_id,
    loaded_text,
    loaded_text_or_none,
    loaded_time,
    loaded_time_or_none,
    stored_time,
)


class UserTable(Database):
    """The part of a store for users."""

    @cached_property
    def _user_columns(self) -> str:
        return ", ".join(
            f"u.{column}" if column in self._columns["user"] else f"NULL AS {column}"
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
        rows = self._rows(f'SELECT {self._user_columns} FROM "user" u WHERE {column} = ?', (value,))
        return self._user(rows[0]) if rows else None

    def users(
        self, *, user_id: str | None = None, limit: int | None = None, offset: int = 0
    ) -> Iterator[UserSummary]:
        only = "" if user_id is None else "AND id = ? "
        last_row, number = FIRST_ROW, self._row_number("user")
        while limit is None or limit > 0:
            page = PAGE_ROWS if limit is None else min(PAGE_ROWS, limit)
            # Variables have no index on their owner, so scan them once for the whole page.
            rows = self._rows(
                f"WITH page AS (SELECT {self._user_columns}, {number} AS position"
                f' FROM "user" u WHERE {number} > ? {only}ORDER BY {number} LIMIT ? OFFSET ?)'
                " SELECT page.*, (SELECT count(*) FROM apikey WHERE user_id = page.id),"
                " coalesce(v.variables, 0) FROM page LEFT JOIN (SELECT user_id, count(*) AS"
                " variables FROM variable WHERE user_id IN (SELECT id FROM page) GROUP BY user_id)"
                " v ON v.user_id = page.id ORDER BY page.position",
                (last_row, *([] if user_id is None else [user_id]), page, offset),
            )
            yield from self._readable(
                rows, lambda row: UserSummary(self._user(row), row[-2], row[-1])
            )
            if len(rows) < page:
                return
            last_row, offset = rows[-1][-3], 0
            limit = None if limit is None else limit - page

    def usernames_like(self, username: str) -> Sequence[str]:
        # SQLite's lower() converts only ASCII.
        wanted = username.lower()
        names = (row[0] for row in self._rows('SELECT username FROM "user"'))
        return [name for name in names if isinstance(name, str) and name.lower() == wanted]

    def has_other_superuser(self, user_id: str) -> bool:
        return bool(
            self._rows(
                # Ignore unreadable rows: nobody can log in with one.
                'SELECT 1 FROM "user" WHERE is_active = 1 AND is_superuser = 1 AND id != ?'
                " AND typeof(id) = 'text' AND typeof(username) = 'text'"
                " AND typeof(password) = 'text' LIMIT 1",
                (user_id,),
            )
        )

    def update_user(self, user: User) -> None:
        self._has_removed = True
        old = None if self.commit_context is None else self.find_user(user.id)
        if old is not None:
            self._note([user_update(old, user)])
        self._rows(
            'UPDATE "user" SET password = ?, is_active = ?, is_superuser = ?, updated_at = ?'
            " WHERE id = ?",
            (
                user.password_hash,
                int(user.is_active),
                int(user.is_superuser),
                stored_time(user.updated_at),
                user.id,
            ),
        )

    def delete_user(self, user_id: str) -> None:
        self._has_removed = True
        user = None if self.commit_context is None else self.find_user(user_id)
        self._note([] if user is None else [user_change("delete", user)])
        self._rows('DELETE FROM "user" WHERE id = ?', (user_id,))

    def insert_user(self, user: User) -> None:
        self._note([user_change("insert", user)])
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
            return User(
                id=loaded_id(row[0], "id"),
                username=loaded_text(row[1], "username"),
                password_hash=loaded_text(row[2], "password"),
                is_active=row[3] == 1,  # servers treat no other value as true
                is_superuser=row[4] == 1,
                created_at=loaded_time(row[5], "create_at"),
                updated_at=loaded_time(row[6], "updated_at"),
                last_login_at=loaded_time_or_none(row[7], "last_login_at"),
                profile_image=loaded_text_or_none(row[8], "profile_image"),
                optins=_loaded_optins(row[9]),
            )
        except BadCellError as error:
            raise self._unreadable_row("user", row[0], row[1], error) from None


def _loaded_optins(value: Any) -> dict[str, Any] | None:
    try:
        optins = None if value is None else json.loads(loaded_text(value, "optins"))
    except (ValueError, RecursionError):
        raise BadCellError("optins") from None
    return optins if isinstance(optins, dict) else None
