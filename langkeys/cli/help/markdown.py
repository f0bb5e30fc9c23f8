"""Convert the Markdown of ``docs/`` to plain text for a terminal.

Rich can display Markdown, but splits words in tables on narrow terminals. This module supports what
the topics use: headings, paragraphs, lists, fenced code and tables.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence

_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,2})([^*\s](?:[^*]*[^*\s])?)\1(?![\w*])")
_CODE = re.compile(r"`([^`]+)`")
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_ITEM = re.compile(r"(\s*)([-*]|\d+\.) ")
_SPACE = "\x00"
"""A placeholder for a space in code, where a line must not end."""
_GAP = "  "


def plain_text(source: str, width: int) -> str:
    """Return Markdown as text of ``width`` columns; words are never split."""
    lines = _COMMENT.sub("", source).splitlines()
    return "\n\n".join("\n".join(block) for block in _blocks(lines, width))


def _blocks(lines: Sequence[str], width: int) -> Iterator[list[str]]:
    position = 0
    while position < len(lines):
        line = lines[position]
        end = position + 1
        if line.startswith("```"):
            while end < len(lines) and not lines[end].startswith("```"):
                end += 1
            yield [f"    {code}".rstrip() for code in lines[position + 1 : end]]
            end += 1
        elif line.startswith("#"):
            title = _inline(line.lstrip("#").strip())
            yield [_shown(title).upper() if line.startswith("# ") else _shown(title)]
        elif line.startswith("|"):
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            yield _table(lines[position:end], width)
        elif line.strip():
            while end < len(lines) and lines[end].strip() and not _starts_block(lines[end]):
                end += 1
            yield _paragraph(" ".join(part.strip() for part in lines[position:end]), line, width)
        position = end


def _starts_block(line: str) -> bool:
    return line.startswith(("#", "|", "```")) or _ITEM.match(line) is not None


def _paragraph(text: str, first: str, width: int) -> list[str]:
    item = _ITEM.match(first)
    indent = "" if item is None else " " * len(item.group(0))
    start = "" if item is None else item.group(1)
    return _wrapped(_inline(f"{start}{text}"), width, indent)


def _table(lines: Sequence[str], width: int) -> list[str]:
    """Return aligned columns if they fit, else a paragraph for each row."""
    titles, _, *rows = (_cells(line) for line in lines)
    widths = [max(len(row[place]) for row in (titles, *rows)) for place in range(len(titles))]
    others = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1)
    if width - others >= min(widths[-1], 30):
        drawn = []
        for row in (titles, *rows) if any(titles) else rows:
            head = _GAP.join(f"{cell:<{size}}" for cell, size in zip(row, widths, strict=True))
            head = head[:others] + (_GAP if not others else "")
            text = _wrapped(row[-1], width - others, "") or [""]
            drawn += [f"{head}{text[0]}".rstrip()]
            drawn += [f"{'':<{others}}{line}" for line in text[1:]]
        return [_shown(line) for line in drawn]
    drawn = []
    for name, *cells in rows:
        drawn += _wrapped(name, width, "")
        for title, cell in zip(titles[1:], cells, strict=True):
            if cell:
                drawn += _wrapped(
                    f"    {title}: {cell}" if title else f"    {cell}", width, " " * 6
                )
    return drawn


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return [_inline(cell.strip().replace("\\|", "|")) for cell in cells]


def _inline(text: str) -> str:
    text = _LINK.sub(lambda link: _link(link.group(1), link.group(2)), text)
    parts = _CODE.split(text)
    parts[::2] = [_EMPHASIS.sub(r"\2", part) for part in parts[::2]]
    parts[1::2] = [code.replace(" ", _SPACE) for code in parts[1::2]]
    return "".join(parts)


def _link(text: str, target: str) -> str:
    if "://" in target:
        return f"{text} ({target})"
    page = target.partition("#")[0]
    # A terminal cannot follow a link, so name the page; "#part" alone is on the same page.
    return f"{text} in docs/{page}" if page else text


def _shown(text: str) -> str:
    return text.replace(_SPACE, " ")


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    lines = textwrap.wrap(
        text,
        max(width, 20),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [_shown(line) for line in lines]
