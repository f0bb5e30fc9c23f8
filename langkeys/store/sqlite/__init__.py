"""The SQLite engine: all SQL for SQLite, and the only package that imports sqlite3.

It adds no table, column or index to the database, and keeps its journal mode. Column order differs
between databases, so columns are always named.
"""
