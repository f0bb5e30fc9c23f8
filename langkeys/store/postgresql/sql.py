"""Quote names of tables and columns for SQL."""


def quoted(name: str) -> str:
    """Return the name of a table or column, quoted for SQL with parameters."""
    # psycopg2 would treat a percent sign as a parameter.
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'
