"""Reuse test databases on PostgreSQL: emptying one is ten times as fast as creating one.

A database is only reused if nothing but its rows has changed; otherwise it is dropped.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

from .clusters import Cluster

_MOST_BYTES = 1 << 20
"""If its tables have more bytes, creating a new database is faster."""
_LEAVING_SECONDS = 0.5

_OWN = "NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
_FINGERPRINT = f"""
    SELECT md5(string_agg(line, chr(10) ORDER BY line)) FROM (
        SELECT concat_ws(' ', nspname, nspowner, nspacl) AS line FROM pg_namespace
            WHERE nspname NOT LIKE 'pg\\_temp%' AND nspname NOT LIKE 'pg\\_toast\\_temp%'
        UNION ALL SELECT concat_ws(' ', n.nspname, c.relname, c.relkind, c.relowner, c.relacl,
            c.relrowsecurity, c.reloptions, pg_get_indexdef(i.indexrelid))
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_index i ON i.indexrelid = c.oid WHERE n.nspname {_OWN}
        UNION ALL SELECT concat_ws(' ', c.relname, a.attname, a.attnum,
            format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attcollation, a.attacl,
            pg_get_expr(d.adbin, d.adrelid))
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE n.nspname {_OWN}
        UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
            FROM pg_constraint
        UNION ALL SELECT concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger
            WHERE NOT tgisinternal
        UNION ALL SELECT concat_ws(' ', p.proname, p.prosrc) FROM pg_proc p
            JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname {_OWN}
        UNION ALL SELECT extname FROM pg_extension
        UNION ALL SELECT concat_ws(' ', datdba, datacl, datconnlimit, datallowconn, encoding)
            FROM pg_database WHERE datname = current_database()
        UNION ALL SELECT concat_ws(' ', s.setrole, s.setconfig) FROM pg_db_role_setting s
            JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()
    ) lines
"""
_TABLES = f"""
    SELECT format('%I.%I', n.nspname, c.relname), c.relname, pg_relation_size(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname {_OWN}
"""

_fingerprints: dict[tuple[int, str], Any] = {}
_free: dict[tuple[int, str], list[str]] = {}


def take(cluster: Cluster, template: str) -> str | None:
    """Return the name of an unused empty database from a template, or None."""
    names = _free.get((cluster.port, template), [])
    while names:
        name = names.pop()
        # An earlier cluster of a single test may have had the same port.
        if cluster.rows("SELECT 1 FROM pg_database WHERE datname = %s", (name,)):
            return name
    return None


def know(cluster: Cluster, template: str, name: str) -> None:
    """Record the state of a database that has just been created from a template."""
    key = (cluster.port, template)
    if key not in _fingerprints:
        with closing(cluster.connect(database=name)) as connection:
            _fingerprints[key] = _state(connection.cursor())


def give_back(cluster: Cluster, template: str, name: str) -> bool:
    """Empty a database for another test; return whether that was possible."""
    import psycopg2

    key = (cluster.port, template)
    try:
        with closing(cluster.connect(database=name)) as connection:
            cursor = connection.cursor()
            if key not in _fingerprints or not _is_left(cursor):
                return False
            cursor.execute(_TABLES)
            tables = [row for row in cursor.fetchall() if row[1] != "alembic_version"]
            if sum(row[2] for row in tables) > _MOST_BYTES:
                return False
            if _state(cursor) != _fingerprints[key]:
                return False
            # A replica checks no foreign keys, so the order of the tables does not matter.
            deletions = "; ".join(f"DELETE FROM {row[0]}" for row in tables)
            cursor.execute(f"SET session_replication_role = replica; {deletions}")
    except psycopg2.Error:  # a test has dropped it, or allows no connections
        return False
    _free.setdefault(key, []).append(name)
    return True


def _state(cursor: Any) -> tuple[Any, Any]:
    cursor.execute(_FINGERPRINT)
    ((fingerprint,),) = cursor.fetchall()
    cursor.execute(_TABLES)
    ((versions,),) = [row[:1] for row in cursor.fetchall() if row[1] == "alembic_version"]
    cursor.execute(f"SELECT version_num FROM {versions}")
    return fingerprint, cursor.fetchall()


def _is_left(cursor: Any) -> bool:
    """Wait for the sessions of the test to end; return whether they did."""
    deadline = time.monotonic() + _LEAVING_SECONDS
    while True:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
            " AND usesysid IS NOT NULL"
        )
        if cursor.fetchall() == [(0,)]:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
