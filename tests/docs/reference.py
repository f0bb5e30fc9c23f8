"""Write ``docs/commands.md`` and the man page from the parser: ``python -m tests.docs.reference``.

Both use the pages that ``--help`` shows, so their content is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from langkeys.cli import app
from langkeys.cli.groups import Group, context_of
from langkeys.cli.help.pages import Page, Rows, page_of
from langkeys.cli.help.topics import TOPICS
from langkeys.config.known_settings import ENV_FILE, KNOWN
from langkeys.errors import EXIT_CODE_MEANINGS

DOCS = Path(__file__).parents[2] / "docs"
EVERYWHERE = "Every command takes these, before its name or after it."


def contexts() -> Iterator[Any]:
    """Yield the context of langkeys itself and of each of its groups and commands, in order."""
    root = context_of(None, typer.main.get_command(app), "langkeys")
    root.help_option_names = ["-h", "--help"]
    waiting = [root]
    while waiting:
        context = waiting.pop(0)
        yield context
        if isinstance(context.command, Group):
            below = []
            for name in context.command.list_commands(context):
                command = context.command.get_command(context, name)
                below.append(context_of(context, command, name))
                below[-1].help_option_names = root.help_option_names
            waiting = below + waiting


def pages() -> list[Page]:
    """Return the pages of all commands, that of langkeys itself first."""
    return [page_of(context) for context in contexts()]


# Markdown


def commands_page() -> str:
    """Return the reference of all commands as Markdown."""
    root, *others = pages()
    lines = [
        "# Commands",
        "",
        "All commands with their options, as `langkeys help COMMAND` shows them. This page and the",
        "man page are made from the parser by `python -m tests.docs.reference`.",
        "",
        "| command | what it does |",
        "|---|---|",
    ]
    lines += [
        f"| [`{page.path}`](#{page.path.replace(' ', '-')}) | {_prose(page.summary)} |"
        for page in others
    ]
    lines += [
        "",
        "## Global options",
        "",
        "Every command takes these, before its name or after it.",
    ]
    lines += ["", *_table("option", root.shared), "", "Only `langkeys` itself takes these:"]
    lines += ["", *_table("option", root.options)]
    for page in others:
        lines += ["", f"## `{page.path}`", "", _prose(page.summary), "", "```text"]
        lines += [f"{page.path} {page.usage}", "```"]
        if page.examples:
            lines += ["", "Examples:", "", "```text", *page.examples, "```"]
        for paragraph in page.details:
            lines += ["", _prose(paragraph)]
        for title, rows in (
            ("command", page.commands),
            ("argument", page.arguments),
            ("option", page.options),
            ("option over REST", page.remote),
        ):
            if rows:
                lines += ["", *_table(title, rows)]
        if page.topics:
            links = ", ".join(f"[{topic}]({topic}.md)" for topic in page.topics)
            lines += ["", f"See also: {links}."]
    return "\n".join(lines) + "\n"


def _table(title: str, rows: Rows) -> Iterator[str]:
    yield f"| {title} | what it does |"
    yield "|---|---|"
    for name, text in rows:
        cell = name.replace("|", "\\|")
        yield f"| `{cell}` | {_prose(text)} |"


def _prose(text: str) -> str:
    return re.sub(r"[\\`*<>\[\]|]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text)


# The man page


def man_page() -> str:
    """Return the manual page of langkeys, in the macros of man(7)."""
    root, *others = pages()
    lines = [
        '.TH LANGKEYS 1 "" "langkeys" "User Commands"',
        ".SH NAME",
        f"langkeys \\- {_roff(root.summary[:1].lower() + root.summary[1:].rstrip('.'))}",
        ".SH SYNOPSIS",
        f"\\fBlangkeys\\fR {_roff(root.usage)}",
        ".SH DESCRIPTION",
        *_paragraphs(root.details),
        ".SH EXAMPLES",
        *_code(root.examples),
        ".SH COMMANDS",
    ]
    for page in others:
        lines += [f'.SS "{_roff(page.path)}"', f"\\fB{_roff(page.path)}\\fR {_roff(page.usage)}"]
        lines += _paragraphs([page.summary])
        lines += _code(page.examples)
        lines += _paragraphs(page.details)
        for title, rows in (
            ("Commands:", page.commands),
            ("Arguments:", page.arguments),
            ("Options:", page.options),
            ("Options over REST:", page.remote),
        ):
            if rows:
                lines += [".PP", title, *_definitions(rows)]
    lines += [".SH GLOBAL OPTIONS", EVERYWHERE]
    lines += [*_definitions(root.shared), ".PP", "Only langkeys itself takes these:"]
    lines += _definitions(root.options)
    lines += [".SH EXIT STATUS"]
    lines += _definitions(
        tuple((str(code), text.replace("`", "")) for code, text in EXIT_CODE_MEANINGS.items())
    )
    lines += [".SH ENVIRONMENT", "\\fBlangkeys help settings\\fR describes these."]
    lines += [f".TP\n.B {_roff(name)}" for name in (*KNOWN, ENV_FILE)]
    lines += [".SH FILES", ".TP", ".I ./.env"]
    lines += [_roff("Settings, unless --env-file or LANGKEYS_ENV_FILE names another file.")]
    lines += [".SH SEE ALSO", "Topics:"]
    lines += _definitions(tuple((f"langkeys help {name}", t.title) for name, t in TOPICS.items()))
    return "\n".join(lines) + "\n"


def _paragraphs(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from (".PP", _roff(text))


def _code(lines: Iterable[str]) -> list[str]:
    shown = [_roff(line) for line in lines]
    return [".PP", ".RS 4", ".nf", *shown, ".fi", ".RE"] if shown else []


def _definitions(rows: Rows) -> Iterator[str]:
    for name, text in rows:
        yield from (".TP", f"\\fB{_roff(name)}\\fR", _roff(text))


def _roff(text: str) -> str:
    """Escape characters that have a special meaning in roff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    escaped = escaped.replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped.replace('"', "\\(dq")


MADE = {"commands.md": commands_page, "langkeys.1": man_page}
"""The files in docs/ that are generated from the parser."""


if __name__ == "__main__":
    for name, content in MADE.items():
        (DOCS / name).write_text(content(), encoding="utf-8")
