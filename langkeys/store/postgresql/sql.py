"""Writing SQL with names that come from the catalogue."""


def quoted(name: str) -> str:
    """Write the name of a table or column, whatever it is made of."""
    # A percent sign would be a parameter's mark.
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'
