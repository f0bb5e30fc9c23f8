"""What doctor has found, as sentences and rows: the verdict first, and causes before symptoms."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from langkeys.cli.wrapping import wrapped
from langkeys.text import counted, visible

MARKS = {"problem": "PROBLEM", "note": "note   ", "ok": "ok     "}
"""The levels of a finding, what matters most first."""

_INDENT = 9

Row = tuple[str | None, ...]


class Finding(Protocol):
    """What both doctors find: of a database and over REST."""

    @property
    def section(self) -> str:
        """What was looked at."""

    @property
    def level(self) -> str:
        """One of MARKS."""

    @property
    def message(self) -> str:
        """What was found."""

    @property
    def hint(self) -> str | None:
        """The next step."""


def verdict(findings: Sequence[Finding], where: str | None) -> str:
    """Say how many problems there are, and where: ``no problem found in /srv/langflow.db``.

    ``where`` is ``in DATABASE`` or ``at URL``.
    """
    problems = sum(finding.level == "problem" for finding in findings)
    found = counted(problems, "problem") if problems else "no problem"
    return f"{found} found{'' if where is None else f' {where}'}"


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """Return problems first, then notes; within each, causes come before what follows from them."""
    levels = list(MARKS)
    return sorted(findings, key=lambda finding: levels.index(finding.level))


def rows(findings: Sequence[Finding], where: str | None) -> Iterator[Row]:
    """Yield the lines of a pipe, the verdict first."""
    level = "problem" if any(finding.level == "problem" for finding in findings) else "ok"
    yield ("verdict", level, verdict(findings, where), None)
    for finding in ordered(findings):
        yield (finding.section, finding.level, finding.message, finding.hint)


def count_rows(counts: Mapping[str, int]) -> list[Row]:
    """Return what is counted, as lines of a pipe."""
    return [("counts", "ok", said_count(name, count), None) for name, count in counts.items()]


def said_counts(counts: Mapping[str, int]) -> str:
    """Say what is counted in one line."""
    return ", ".join(said_count(name, count) for name, count in counts.items())


def said_count(name: str, number: int) -> str:
    """Say one of a report's counts, whose names are plural: ``1 API key``, ``2 users``."""
    return counted(number, name.removesuffix("s"))


def sentences(findings: Sequence[Finding], where: str | None, width: int | None) -> Iterator[str]:
    """Yield the lines for a person at a terminal of some width, the verdict first and alone."""
    yield visible(verdict(findings, where))
    for finding in ordered(findings):
        said = f"{MARKS[finding.level]}  {finding.section}: {finding.message}"
        yield from wrapped(visible(said), width, _INDENT)
        if finding.hint and finding.level != "ok":
            yield from wrapped(f"{' ' * _INDENT}{visible(finding.hint)}", width)
