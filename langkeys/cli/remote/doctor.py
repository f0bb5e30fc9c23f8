"""``langkeys doctor`` over REST: checks from outside, and with one API key."""

from typing import Any

import typer

from langkeys.cli.messages import said_count
from langkeys.cli.options import invocation
from langkeys.cli.output import Output
from langkeys.cli.remote.connection import server_of
from langkeys.errors import FailedError
from langkeys.models import dashed
from langkeys.remote.diagnosis import RemoteReport, examine
from langkeys.text import counted

MARKS = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}


def doctor(context: typer.Context) -> None:
    """Check a server; exit 1 if there is a problem."""
    out = invocation(context).output
    out.require_stdout()
    report = examine(server_of(context, falls_back=True, needs_key=False))
    if out.as_json:
        out.document(_document(report))
    elif out.is_terminal:
        _show(out, report)
    else:
        findings = [(f.section, f.level, f.message, f.hint) for f in report.findings]
        counts = [
            ("counts", "ok", said_count(name, count), None) for name, count in report.counts.items()
        ]
        out.rows([*findings, *counts])
    if not report.is_sound:
        raise typer.Exit(FailedError.exit_code)


def _document(report: RemoteReport) -> dict[str, Any]:
    acting = report.acting
    return {
        "ok": report.is_sound,
        "url": report.url,
        "version": report.version,
        "acting": None
        if acting is None
        else {"id": dashed(acting.id), "username": acting.username, "how": "by its API key"},
        "counts": report.counts,
        "findings": [finding._asdict() for finding in report.findings],
    }


def _show(out: Output, report: RemoteReport) -> None:
    problems = sum(finding.level == "problem" for finding in report.findings)
    found = counted(problems, "problem") if problems else "no problem"
    lines = [f"{found} found at {report.url}", ""]
    for finding in report.findings:
        lines.append(f"{MARKS[finding.level]}  {finding.section}: {finding.message}")
        if finding.hint and finding.level != "ok":
            lines.append(f"         {finding.hint}")
    if report.counts:
        lines.append(
            "  " + ", ".join(said_count(name, count) for name, count in report.counts.items())
        )
    out.sentence(*lines)
