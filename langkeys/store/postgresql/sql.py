"""Names from the catalog in SQL."""


def quoted(name: str) -> str:
    """Return the name of a table or column, quoted for SQL with parameters."""
    # psycopg2 would take a percent sign for a parameter.
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'
