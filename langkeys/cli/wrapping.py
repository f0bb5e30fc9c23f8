"""Wrap sentences and commands at words, to the width of a terminal.

A word that is longer than a line, such as a path, is not split, so that it can be copied; the
terminal wraps it. A command at the end of a sentence gets its own line, so that it can be copied,
too. If it needs several lines, each but the last ends with a backslash.
"""

import os
import re
from typing import TextIO

# Compiled at first use, because every command imports this module.
_COMMAND = (
    r"(?<=: )langkeys (?:api-key|user|variable|secret-key|init|whoami|doctor|run|backup|audit|plan"
    r"|apply|manifest|help)\b(?:[^;,]|,(?! ))*(?=[;,]|$)"
)
_WORD = r"""(?:'[^']*'|"[^"]*"|\S)+"""
_CONTINUED = " \\"
_SPACE = "\0"
"""A placeholder for a space at which no line may end; visible text contains no NUL."""


def terminal_width(stream: TextIO | None) -> int | None:
    """Return the width of a terminal in columns; None if it is unknown or there is no terminal."""
    if stream is None or not stream.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except OSError:
        return None


def wrapped(text: str, width: int | None, hanging: int = 0) -> list[str]:
    """Return the lines of a sentence of visible text.

    Lines after the first are indented by ``hanging`` more than the text itself. Without ``width``,
    there is only one line.
    """
    if width is None or len(text) <= width:
        return [text]
    import textwrap

    body = text.lstrip(" ")
    start = " " * (len(text) - len(body))
    indent = f"{start}{' ' * hanging}"

    def unbroken(command: re.Match[str]) -> str:
        lines = command_lines(command[0], width - len(indent))
        return " ".join(line.replace(" ", _SPACE) for line in lines)

    lines = textwrap.wrap(
        re.sub(_COMMAND, unbroken, body),
        max(width, 1),
        initial_indent=start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_SPACE, " ") for line in lines]


def command_lines(command: str, width: int) -> list[str]:
    """Return a shell command as several lines, which a shell reads as one command."""
    if len(command) <= width:
        return [command]
    lines = [""]
    for word in re.findall(_WORD, command):
        if lines[-1] and len(lines[-1]) + 1 + len(word) + len(_CONTINUED) > width:
            lines[-1] += _CONTINUED
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines
