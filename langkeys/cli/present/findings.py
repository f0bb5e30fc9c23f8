"""Show the findings of ``doctor``: first the verdict, then causes, then symptoms."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from langkeys.cli.wrapping import wrapped
from langkeys.text import counted, visible

MARKS = {"problem": "PROBLEM", "note": "note   ", "ok": "ok     "}
"""The levels of findings, the most important first, with their text on a terminal."""

_INDENT = 9

Row = tuple[str | None, ...]


class Finding(Protocol):
    """A finding of ``doctor``, about a database or a server."""

    @property
    def section(self) -> str:
        """The subject of the check."""

    @property
    def level(self) -> str:
        """A key of MARKS."""

    @property
    def message(self) -> str:
        """The result of the check."""

    @property
    def hint(self) -> str | None:
        """The next step."""


def verdict(findings: Sequence[Finding], where: str | None, *, is_open: bool = False) -> str:
    """Return the verdict, such as ``no problem found in /srv/langflow.db, 2 things to know``.

    ``where`` is ``in DATABASE`` or ``at URL``. With ``is_open``, anybody who can reach the server
    gets in.
    """
    problems = sum(finding.level == "problem" for finding in findings)
    found = counted(problems, "problem") if problems else "no problem"
    notes = sum(finding.level == "note" for finding in findings)
    known = f"{counted(notes, 'thing')} to know" if notes else ""
    said = f"{found} found{'' if where is None else f' {where}'}"
    if is_open:
        said += (
            f", {'and' if problems else 'but'} anybody who can reach the server gets in"
            " without a key"
        )
    return f"{said}{'; ' if is_open else ', '}{known}" if known else said


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """Return problems first, then notes; within a level, the order (causes first) stays."""
    levels = list(MARKS)
    return sorted(findings, key=lambda finding: levels.index(finding.level))


def rows(findings: Sequence[Finding], where: str | None, *, is_open: bool = False) -> Iterator[Row]:
    """Yield the lines for a pipe, starting with the verdict."""
    level = "problem" if any(finding.level == "problem" for finding in findings) else "ok"
    yield ("verdict", level, verdict(findings, where, is_open=is_open), None)
    for finding in ordered(findings):
        yield (finding.section, finding.level, finding.message, finding.hint)


def count_rows(counts: Mapping[str, int]) -> list[Row]:
    """Return counts as lines for a pipe."""
    return [("counts", "ok", count_text(name, count), None) for name, count in counts.items()]


def counts_text(counts: Mapping[str, int]) -> str:
    """Return counts as one line of text."""
    return ", ".join(count_text(name, count) for name, count in counts.items())


def count_text(name: str, number: int) -> str:
    """Return a count as text: ``1 API key``, ``2 users``; ``name`` is in the plural."""
    return counted(number, name.removesuffix("s"))


def sentences(
    findings: Sequence[Finding], where: str | None, width: int | None, *, is_open: bool = False
) -> Iterator[str]:
    """Yield the lines for a terminal of this width, the verdict first."""
    yield from wrapped(visible(verdict(findings, where, is_open=is_open)), width)
    for finding in ordered(findings):
        said = f"{MARKS[finding.level]}  {finding.section}: {finding.message}"
        yield from wrapped(visible(said), width, _INDENT)
        if finding.hint and finding.level != "ok":
            yield from wrapped(f"{' ' * _INDENT}{visible(finding.hint)}", width)
