"""The PostgreSQL engine: all SQL for PostgreSQL, and the only package that imports psycopg2.

The engine adds nothing to the database. It names no schema: tables are found by the role's
search_path, as on servers. It keeps no state in a session, because a pooler could give the session
to another client. So settings last for one transaction, and there are no prepared statements.
"""
