"""Report the state of the server and of this session, for ``doctor``."""

import os
from collections.abc import Sequence

from langkeys.store.postgresql.cells import Cells
from langkeys.store.postgresql.sql import quoted
from langkeys.store.records import Observation

WANTED_BY_1_13 = 150000
_WRITTEN = ("apikey", "user", "variable")


class ServerState(Cells):
    """The part of a store that describes its server."""

    def observations(self) -> Sequence[Observation]:
        ((version, number, user, schema, standby),) = self._rows(
            "SELECT current_setting('server_version'), current_setting('server_version_num')::int,"
            " current_user::text, (SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = c.relnamespace WHERE c.oid = to_regclass('apikey')), pg_is_in_recovery()"
        )
        # This describes our own connection, which may lead to a pooler.
        tls = self._connection.info.ssl_in_use
        found = [
            Observation(
                "ok",
                f"PostgreSQL {version}, as {user}, schema {schema}, {'with' if tls else 'no'} TLS",
            )
        ]
        if not tls and not is_local(self._connection.fileno()):
            found.append(
                Observation(
                    "note",
                    "the connection to the database is not encrypted",
                    "set sslmode=verify-full and sslrootcert in LANGFLOW_DATABASE_URL",
                )
            )
        if self._is_pooled():
            found.append(
                Observation(
                    "note",
                    "the database is reached through a pooler: secret-key rotate needs the URL of"
                    " the PostgreSQL server itself",
                )
            )
        if standby:
            found.append(
                Observation(
                    "note",
                    "it is a replica (standby): langkeys only reads here",
                    "use the URL of the primary to write",
                )
            )
        if number < WANTED_BY_1_13 and self._generation.release == "1.13":
            found.append(
                Observation(
                    "note", f"Langflow 1.13 wants PostgreSQL 15 or newer, this is {version}"
                )
            )
        found += self._missing_rights(str(user))
        found += self._open_schemas(str(user))
        found.append(Observation("note", self._connected()))
        return found

    def _open_schemas(self, user: str) -> list[Observation]:
        # A function or an operator there with a closer match than PostgreSQL's own is called
        # instead, with the rights of the caller: of langkeys and of the server.
        rows = self._rows(
            "SELECT DISTINCT quote_ident(n.nspname::text) FROM pg_namespace n,"
            " aclexplode(n.nspacl) a WHERE a.grantee = 0 AND a.privilege_type = 'CREATE'"
            " AND n.nspname = ANY(current_schemas(false)) ORDER BY 1"
        )
        return [
            Observation(
                "note",
                f"every role may create functions in the schema {schema}, and so run commands as"
                f" {user}",
                f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC",
            )
            for (schema,) in rows
        ]

    def _missing_rights(self, user: str) -> list[Observation]:
        missing = [
            f"{right} on {table}"
            for table, right, has in self._rows(
                "SELECT t, p, has_table_privilege(to_regclass(quote_ident(t)), p)"
                " FROM unnest(%s::text[]) t, unnest(%s::text[]) p",
                (list(_WRITTEN), ["SELECT", "INSERT", "UPDATE", "DELETE"]),
            )
            if not has
        ]
        unread = [
            table.name
            for table in self._text_tables
            if not self._rows(
                "SELECT has_table_privilege(to_regclass(%s), 'SELECT')", (quoted(table.name),)
            )[0][0]
        ]
        found = []
        if missing:
            found.append(
                Observation(
                    "problem",
                    f"{user} lacks rights: {', '.join(missing)}",
                    f'GRANT SELECT, INSERT, UPDATE, DELETE ON apikey, variable, "user" TO {user}',
                )
            )
        if unread:
            found.append(
                Observation(
                    "note",
                    f"{user} cannot read {len(unread)} other tables, {unread[0]} for example:"
                    " secret-key check and backup need them",
                    "connect as the server's own user",
                )
            )
        return found

    def _connected(self) -> str:
        rows = self._rows(
            "SELECT usename::text, count(*) FROM pg_stat_activity WHERE datname ="
            " current_database() AND pid != pg_backend_pid() AND usesysid IS NOT NULL"
            " GROUP BY 1 ORDER BY 1"
        )
        if not rows:
            return "no other session is connected: no server uses it now"
        named = ", ".join(f"{count} of {user}" for user, count in rows)
        return f"other sessions are connected: {named}"


def is_local(descriptor: int) -> bool:
    """Tell whether a connection leads to this machine, judging by its address."""
    import socket  # only for doctor

    with socket.socket(fileno=os.dup(descriptor)) as connection:
        peer = connection.getpeername()
    return isinstance(peer, str | bytes) or peer[0] == "::1" or peer[0].startswith("127.")
