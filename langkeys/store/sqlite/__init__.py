"""The SQLite engine: all SQL for SQLite, and the only package that imports sqlite3.

The engine adds no table, column or index to the database, and keeps its journal mode. The order of
columns differs between databases, so SQL always names them.
"""
