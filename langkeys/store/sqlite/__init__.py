"""Langflow's tables in SQLite: all of its SQL, and the only package that imports sqlite3.

Nothing is added to the database: no table, no column, no index, and its journal mode stays as it
is. Column order differs between databases, so columns are always named.
"""
