"""``langkeys help``."""

import shutil
from typing import Annotated, Any

import typer

from langkeys.cli.completion import complete_help
from langkeys.cli.groups import Group, context_of
from langkeys.cli.help.markdown import plain_text
from langkeys.cli.help.suggestions import commands_like, unknown_command
from langkeys.cli.help.topics import TOPICS, source_of
from langkeys.cli.options import Command, invocation, new_app
from langkeys.errors import UsageError

app = new_app()

_WIDEST = 100
"""Wider lines are hard to read."""


@app.command("help", cls=Command)
def help_(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMMAND...|TOPIC]",
            help="A command, or a topic.",
            autocompletion=complete_help,
        ),
    ] = None,
) -> None:
    """Show the help of a command or a topic.

    Without an argument, list all commands and topics. In a pipe, a topic is formatted for 80
    columns.

    \b
    Examples:
      langkeys help
      langkeys help api-key rotate
      langkeys help settings
    """
    out = invocation(context).output
    if words and len(words) == 1 and words[0] in TOPICS:
        columns = shutil.get_terminal_size().columns if out.is_terminal else 80
        text = plain_text(source_of(words[0]), min(columns, _WIDEST))
    else:
        text = _context_of(context.find_root(), words or []).get_help()
    out.data(f"{text}\n")


def _context_of(root: Any, words: list[str]) -> Any:
    context = root
    for word in words:
        command = context.command
        is_group = isinstance(command, Group)
        found = command.get_command(context, word) if is_group else None
        if found is None:
            if context is root and word in TOPICS:
                raise UsageError(
                    f"the topic {word} takes no further word", hint=f"see langkeys help {word}"
                )
            also = tuple(TOPICS) if context is root else ()
            what = "command or topic" if context is root else "command"
            like = commands_like(context, word, also=also) if is_group else []
            raise unknown_command(context, word, like, what=what, topics=also)
        context = context_of(context, found, word)
    return context
