"""Examine the words of a command line before they are parsed."""

import re

from langkeys.errors import UsageError

VALUED = frozenset({"--env-file", "--database", "--reason"})
"""The global options that take a value."""

_WHOLE_KEY = re.compile(r"(?<![A-Za-z0-9_-])sk-[A-Za-z0-9_-]{32,}")


def names_no_command(args: list[str]) -> bool:
    """Tell whether the words after a group do not start with one of its commands."""
    argument = _first_own(args)
    return argument is None or starts_with_option([argument])


def starts_with_option(args: list[str]) -> bool:
    """Tell whether the first word is an option that is not global."""
    argument = _first_own(args)
    return argument is not None and argument.startswith("-") and argument not in ("-h", "--help")


def _first_own(args: list[str]) -> str | None:
    """Return the first argument that is neither a global option nor its value."""
    position = 0
    while position < len(args):
        argument = args[position]
        name = argument.partition("=")[0]
        if name in VALUED:
            position += 1 if "=" in argument else 2
        elif argument in ("-q", "--quiet"):
            position += 1
        else:
            return argument
    return None


def own_arguments(args: list[str]) -> list[str]:
    """Return the arguments without those of the program that ``langkeys run -- ...`` runs."""
    if "--" in args:
        before = args[: args.index("--")]
        if "run" in before:
            return before
    return args


def refuse_keys_in_arguments(args: list[str]) -> None:
    """Raise UsageError if an API key is among langkeys' own arguments."""
    for argument in own_arguments(args):
        if _WHOLE_KEY.search(argument):
            raise UsageError(
                "an API key was given as an argument: it is now in the shell's"
                " history and was in the process list",
                hint="revoke that key, and pass keys on stdin: langkeys api-key revoke - < FILE",
            )
