"""Make the help page of a command from the parser, and lay it out for a terminal.

The man page and ``docs/commands.md`` are made from the same pages, so that they cannot differ.
"""

import inspect
import textwrap
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from langkeys.cli.groups import Group
from langkeys.cli.help.topics import TOPICS
from langkeys.cli.options import GlobalOption, RemoteOption
from langkeys.cli.wrapping import command_lines

EXAMPLES = "Examples:"
_WIDEST_NAME = 26
_SEE_ALSO = {"REF": "references", "SPAN": "formats", "WHEN": "formats"}
"""The topics that explain placeholders in a usage line or an option."""

Rows = tuple[tuple[str, str], ...]


class Page(NamedTuple):
    """The content of a command's help.

    ``path`` is the command as typed; ``usage`` contains its arguments. ``remote`` are the options
    for a live server, ``shared`` the global options.
    """

    path: str
    usage: str
    summary: str
    examples: tuple[str, ...]
    details: tuple[str, ...]
    arguments: Rows
    options: Rows
    remote: Rows
    shared: Rows
    commands: Rows
    topics: tuple[str, ...]


def page_of(context: Any) -> Page:
    """Return the page of a context's command."""
    command = context.command
    summary, details, examples = _parts(command.help or "")
    parameters = [one for one in command.get_params(context) if not getattr(one, "hidden", False)]
    options = [one for one in parameters if one.param_type_name == "option"]
    own = [one for one in options if not isinstance(one, GlobalOption | RemoteOption)]
    pieces = [piece.strip("{}") for piece in command.collect_usage_pieces(context)]
    is_group = isinstance(command, Group)
    page = Page(
        path=context.command_path,
        usage=" ".join(pieces),
        summary=summary,
        examples=examples,
        details=details,
        arguments=tuple(
            (one.make_metavar(context), _text(one, context))
            for one in parameters
            if one.param_type_name == "argument"
        ),
        options=_rows((one for one in own if "--help" not in one.opts), context),
        remote=_rows((one for one in options if isinstance(one, RemoteOption)), context),
        shared=_rows(
            (one for one in options if isinstance(one, GlobalOption) or "--help" in one.opts),
            context,
        ),
        commands=tuple(
            (name, text) for name, (_, text) in (command.members.items() if is_group else ())
        ),
        topics=(),
    )
    words = " ".join([page.usage, *(name for name, _ in page.options)])
    topics = {topic for word, topic in _SEE_ALSO.items() if word in words}
    return page._replace(topics=tuple(sorted(topics)))


def text_of(context: Any, width: int) -> str:
    """Return the page of a context as text of ``width`` columns."""
    page = page_of(context)
    is_root = context.parent is None
    blocks = [_wrapped(f"Usage: {page.path} {page.usage}", width, indent="    ")]
    blocks += ["", _indented(page.summary, width)]
    if page.examples:
        blocks += ["", EXAMPLES]
        for line in page.examples:
            blocks += _example(line, width)
    for paragraph in page.details:
        blocks += ["", _indented(paragraph, width)]
    sections = [("Arguments", page.arguments), ("Commands", page.commands)]
    if is_root:
        titles = tuple((name, topic.title) for name, topic in TOPICS.items())
        sections += [("Topics (langkeys help TOPIC)", titles)]
    sections += [("Options", page.options), ("Options over REST", page.remote)]
    if is_root:
        sections += [("Global options, before the command or after it", page.shared)]
    for title, rows in sections:
        if rows:
            blocks += ["", f"{title}:", *_definitions(rows, width)]
    if not is_root:
        names = ", ".join(name.replace(", ", "/") for name, _ in page.shared)
        blocks += ["", _wrapped(f"Global options (see langkeys -h): {names}", width, indent="  ")]
    if page.topics:
        topics = ", ".join(f"langkeys help {topic}" for topic in page.topics)
        blocks += ["", _wrapped(f"See also: {topics}", width, indent="  ")]
    return "\n".join(blocks)


def _parts(text: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Split a docstring into its first paragraph, its other paragraphs, and example lines."""
    paragraphs: list[str] = []
    examples: list[str] = []
    for block in inspect.cleandoc(text).replace("\b\n", "").split("\n\n"):
        first, *others = block.splitlines() or [""]
        if first == EXAMPLES:
            examples += textwrap.dedent("\n".join(others)).splitlines()
        else:
            paragraphs.append(" ".join([first, *others]))
    return paragraphs[0], tuple(paragraphs[1:]), tuple(examples)


def _rows(options: Iterable[Any], context: Any) -> Rows:
    return tuple((_names(option, context), _text(option, context)) for option in options)


def _names(option: Any, context: Any) -> str:
    names = ", ".join(sorted([*option.opts, *option.secondary_opts], key=len))
    if option.is_flag:
        return names
    return f"{names} {option.make_metavar(context).strip('<>')}"


def _text(parameter: Any, context: Any) -> str:
    """Return a parameter's help with its default, but without the range of a number."""
    if parameter.opts == ["--help"] or "--help" in parameter.opts:
        return "Show the help of a command."
    text = (parameter.help or "").rstrip(".") + "."
    default = parameter.get_default(context, call=False) if parameter.show_default else None
    if parameter.required and parameter.param_type_name == "option":
        return f"{text} Required."
    if default is None or default is False or default == ():
        return text
    return f"{text} Default: {default.value if isinstance(default, Enum) else default}."


def _example(line: str, width: int) -> list[str]:
    """Return the lines of an example; a description that does not fit goes below the command."""
    if len(line) + 2 <= width:
        return [f"  {line}"]
    command, _, does = line.partition("  ")
    first, *more = command_lines(command, width - 6)
    lines = [f"  {first}", *(f"      {line}" for line in more)]
    return [*lines, _wrapped(f"      {does.strip()}", width, indent=" " * 6)] if does else lines


def _definitions(rows: Rows, width: int) -> list[str]:
    """Return names with their descriptions beside them, or below if a name is long."""
    column = min(max(len(name) for name, _ in rows), _WIDEST_NAME) + 4
    lines = []
    for name, text in rows:
        head = f"  {name}"
        below = textwrap.wrap(text, width - column, break_on_hyphens=False, break_long_words=False)
        if len(head) + 2 <= column and below:
            head = f"{head:<{column}}{below.pop(0)}"
        lines += [head.rstrip(), *(f"{'':<{column}}{line}" for line in below)]
    return lines


def _indented(text: str, width: int) -> str:
    return _wrapped(f"  {text}", width, indent="  ")


def _wrapped(text: str, width: int, *, indent: str) -> str:
    lines: Sequence[str] = textwrap.wrap(
        text, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )
    return "\n".join(lines)
