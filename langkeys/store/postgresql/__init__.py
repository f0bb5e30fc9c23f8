"""Langflow's tables in PostgreSQL: all of its SQL, and the only package that imports psycopg2.

Nothing is added to the database, and no schema is named: names are found by the role's search_path,
as a server finds them. Nothing is kept in a session that a pooler could give to somebody else: what
is set is set for one transaction, and nothing is prepared.
"""
