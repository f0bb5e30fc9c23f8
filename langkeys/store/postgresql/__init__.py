"""The PostgreSQL engine: all SQL for PostgreSQL, and the only package that imports psycopg2.

It adds nothing to the database. It names no schema: the role's search_path finds the tables, as for
servers. It keeps no state in a session, which a pooler could give to another client: settings last
for one transaction, and there are no prepared statements.
"""
