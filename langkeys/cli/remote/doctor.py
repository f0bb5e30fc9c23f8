"""``langkeys doctor`` over REST: checks from outside, and with one API key."""

from typing import Any

import typer

from langkeys.cli.options import invocation
from langkeys.cli.output import Output
from langkeys.cli.present import findings
from langkeys.cli.remote.connection import server_of
from langkeys.cli.wrapping import wrapped
from langkeys.errors import FailedError
from langkeys.models import dashed
from langkeys.remote.diagnosis import RemoteReport, examine


def doctor(context: typer.Context) -> None:
    """Check a server; exit with 1 if there is a problem."""
    out = invocation(context).output
    out.require_stdout()
    report = examine(server_of(context, falls_back=True, needs_key=False))
    if out.as_json:
        out.document(_document(report))
    elif out.is_terminal:
        _show(out, report)
    else:
        out.rows(
            [
                *findings.rows(report.findings, f"at {report.url}"),
                *findings.count_rows(report.counts),
            ]
        )
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
    lines = list(findings.sentences(report.findings, f"at {report.url}", out.width))
    if report.counts:
        lines += ["", *wrapped(findings.counts_text(report.counts), out.width)]
    out.lines(lines)
