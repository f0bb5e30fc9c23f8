"""The options ``--fields`` and ``--header`` of all commands that show columns."""

from typing import Any

import typer
from typer.core import TyperOption

from langkeys.cli.options import invocation
from langkeys.cli.present.columns import Listing


def listing_options(listing: Listing[Any]) -> list[TyperOption]:
    """Return the options of a command that shows columns; see ``columns.shows``."""

    def keep_fields(context: typer.Context, _: Any, value: str | None) -> None:
        if value is not None:
            invocation(context).output.fields = listing.fields(value)

    def keep_header(context: typer.Context, _: Any, value: bool) -> None:
        if value:
            invocation(context).output.has_header = True

    return [
        TyperOption(
            param_decls=["--fields"],
            metavar="A,B,C",
            expose_value=False,
            callback=keep_fields,
            help=f"Show only these fields, in this order. Fields: {', '.join(listing.by_name)}.",
        ),
        TyperOption(
            param_decls=["--header"],
            is_flag=True,
            expose_value=False,
            callback=keep_header,
            help="In a pipe, print the names of the fields first.",
        ),
    ]
