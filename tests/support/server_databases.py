"""PostgreSQL databases in the form of each generation, created and read without langkeys."""

from __future__ import annotations

import hashlib
import json
import random
import re
import secrets
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.store.postgresql.store import PostgresStore
from langkeys.store.protocol import Store

from . import reuse
from .clusters import Cluster
from .databases import NEWEST, Database, Shape, stored


def schema(shape: Shape, *, zoned: bool) -> str:
    """Return SQL for the tables of a generation, as ``pg_dump -s`` shows them.

    ``zoned``: time columns have a zone, as in 1.13; up to 1.8 they have none. On 1.11 servers it
    depends on the installed packages.
    """
    time = "timestamp with time zone" if zoned else "timestamp without time zone"
    retired = "retired_at timestamp with time zone," if shape.retired else ""
    managed = "is_environment_managed boolean," if shape.environment_managed else ""
    expiry = "expires_at timestamp with time zone," if shape.key_expiry else ""
    key_hash = "api_key_hash character varying," if shape.key_hash else ""
    script = f"""
        CREATE TABLE "user" (
            id uuid NOT NULL, username character varying NOT NULL,
            password character varying NOT NULL, profile_image character varying,
            is_active boolean NOT NULL, is_superuser boolean NOT NULL, create_at {time} NOT NULL,
            updated_at {time} NOT NULL, last_login_at {time}, {retired}
            store_api_key character varying, optins json,
            CONSTRAINT user_pkey PRIMARY KEY (id), CONSTRAINT uq_user_id UNIQUE (id));
        CREATE UNIQUE INDEX ix_user_username ON "user" (username);
        CREATE TABLE apikey (
            name character varying, last_used_at {time}, total_uses integer NOT NULL,
            is_active boolean NOT NULL, {expiry} id uuid NOT NULL,
            created_at timestamp with time zone DEFAULT now() NOT NULL,
            api_key character varying NOT NULL, {key_hash}
            user_id uuid NOT NULL REFERENCES "user" (id),
            CONSTRAINT apikey_pkey PRIMARY KEY (id), CONSTRAINT uq_apikey_id UNIQUE (id));
        CREATE UNIQUE INDEX ix_apikey_api_key ON apikey (api_key);
        CREATE INDEX ix_apikey_user_id ON apikey (user_id);
        CREATE INDEX ix_apikey_name ON apikey (name);
        CREATE TABLE variable (
            name character varying NOT NULL, value character varying NOT NULL,
            type character varying, id uuid NOT NULL PRIMARY KEY,
            created_at timestamp with time zone DEFAULT now(),
            updated_at timestamp with time zone, {managed} default_fields json,
            user_id uuid NOT NULL REFERENCES "user" (id));
        CREATE TABLE alembic_version (version_num character varying(32) NOT NULL);
        INSERT INTO alembic_version VALUES ('{shape.revision}');
    """
    if shape.key_hash:
        script += "CREATE INDEX ix_apikey_api_key_hash ON apikey (api_key_hash);"
    if shape.retired:
        script += 'CREATE UNIQUE INDEX ix_user_username_lower ON "user" (lower((username)::text));'
    for table in shape.tables:
        columns = {
            "mcp_server": "name character varying, config json,",
            "sso_config": "slug character varying, client_secret_encrypted character varying,",
        }.get(table, "")
        script += f"CREATE TABLE {table} ({columns} id uuid NOT NULL PRIMARY KEY);"
    if shape.tables:
        script += "CREATE SEQUENCE casbin_rule_id_seq;"
        script += "CREATE TABLE message (id uuid NOT NULL PRIMARY KEY, text text, data jsonb);"
    return script


class ServerDatabase(Database):
    """A Langflow database on a server, written and read without langkeys."""

    def __init__(
        self, cluster: Cluster, name: str, user: str, shape: Shape, template: str = ""
    ) -> None:
        super().__init__(Path(name), shape)
        self._template = template
        self.cluster = cluster
        self.name = name
        self.user = user
        self._first_digits = 0

    def new_id(self) -> str:
        # Rows of one instant are listed by their ids here. Their first four digits still differ.
        self._first_digits += random.randint(1, 30)
        return f"{self._first_digits:04x}{super().new_id()[4:]}"

    def opened(self, *, writable: bool, patience: float) -> Store:
        settings = Settings(environ={"LANGFLOW_DATABASE_URL": self.url})
        target = locations.database(settings).target
        return PostgresStore(target, writable=writable, patience=patience)

    @property
    def url(self) -> str:
        return self.cluster.url(self.name, self.user)

    @property
    def location(self) -> str:
        """The URL in langkeys' messages."""
        return f"postgresql://{self.user}@127.0.0.1:{self.cluster.port}/{self.name}"

    def rows(self, sql: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        for found, replacement in _DIALECT:
            sql = re.sub(found, replacement, sql)
        with closing(self.cluster.connect(self.user, self.name)) as connection:
            cursor = connection.cursor()
            cursor.execute(sql, tuple(parameters) or None)
            return list(map(_plain, cursor.fetchall())) if cursor.description is not None else []

    def _insert(self, table: str, **values: Any) -> None:
        for name in ("is_active", "is_superuser"):
            if name in values:
                values[name] = bool(values[name])
        for name, value in values.items():
            if name.endswith("_at") and value is not None:
                values[name] = f"{value}+00"
        super()._insert(table, **values)

    def key_ids(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT id FROM apikey ORDER BY created_at, id")]

    def use_wal(self) -> None:
        """Do nothing: readers and writers never wait for each other here."""

    def content(self) -> list[str]:
        """Return the content of the tables that langkeys writes to."""
        return sorted(
            f"{table} {row}"
            for table in ("user", "apikey", "variable")
            for row in self.rows(f'SELECT t::text FROM "{table}" t')
        )

    def digest(self) -> str:
        return hashlib.sha256(repr(self.content()).encode()).hexdigest()

    def give_back(self) -> None:
        """Leave the database to another test, or drop it if more than rows was changed."""
        if not reuse.give_back(self.cluster, self._template, self.name):
            self.drop()

    def drop(self) -> None:
        self.cluster.rows(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")


_DIALECT = (
    (r"\?", "%s"),
    (r'(?<!")\buser\b(?!")', '"user"'),
    (r"\browid\b", "ctid"),
    (r"\b(is_active|is_superuser) = (%s|[01])", r"\1 = (\2)::integer::boolean"),
)
"""Regular expressions for SQLite's SQL in the tests, with their replacements."""


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row in SQLite's form: ids without dashes, times in UTC and JSON as text."""
    return tuple(map(_plain_cell, row))


def _plain_cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    if isinstance(value, datetime):
        return stored(value.replace(tzinfo=value.tzinfo or timezone.utc))
    return value.replace("-", "") if isinstance(value, str) and _is_id(value) else value


def _is_id(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4


def create(
    cluster: Cluster,
    shape: Shape = NEWEST,
    *,
    zoned: bool = True,
    user: str = "langflow",
    icu_locale: str | None = None,
) -> ServerDatabase:
    """Create a database in a generation's form, from a template that is created once a run."""
    number = shape.release.replace(".", "_")
    locale = f"_{icu_locale.replace('-', '_').lower()}" if icu_locale else ""
    template = f"template_{number}_{'zoned' if zoned else 'naive'}_{user}{locale}"
    _require_template(cluster, template, shape, zoned=zoned, user=user, icu_locale=icu_locale)
    name = reuse.take(cluster, template)
    if name is None:
        name = f"lk_{secrets.token_hex(6)}"
        cluster.rows(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {user}")
        reuse.know(cluster, template, name)
    return ServerDatabase(cluster, name, user, shape, template)


def _require_template(
    cluster: Cluster,
    template: str,
    shape: Shape,
    *,
    zoned: bool,
    user: str,
    icu_locale: str | None,
) -> None:
    with closing(cluster.connect()) as connection:
        cursor = connection.cursor()
        # Several processes of one test run may get here at once.
        cursor.execute("SELECT pg_advisory_lock(4711)")
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (template,))
        if cursor.fetchall():
            return
        making = f"{template}_new"
        cursor.execute(f"DROP DATABASE IF EXISTS {making}")
        locale = (
            f" TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE '{icu_locale}'"
            if icu_locale
            else ""
        )
        cursor.execute(f"CREATE DATABASE {making} OWNER {user}{locale}")
        with closing(cluster.connect(user, making)) as inside:
            if user == "traveller":
                inside.cursor().execute("CREATE SCHEMA tenant")
            inside.cursor().execute(schema(shape, zoned=zoned))
        cursor.execute(f"ALTER DATABASE {making} RENAME TO {template}")
