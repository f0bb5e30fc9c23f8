"""``langkeys doctor``."""

from typing import Any

import typer

from langkeys.cli.invocation import session_of
from langkeys.cli.messages import said_count
from langkeys.cli.options import RemoteCommand, invocation, is_remote, new_app
from langkeys.cli.output import Output
from langkeys.diagnostics.report import Finding, Report
from langkeys.errors import FailedError
from langkeys.models import dashed
from langkeys.sessions.session import Access
from langkeys.store.generations import Generation
from langkeys.text import counted

app = new_app()


@app.command(cls=RemoteCommand)
def doctor(context: typer.Context) -> None:
    """Find problems in a deployment. Read-only; needs no password.

    Shows every setting and its source (secrets as a fingerprint), the database and what its
    Langflow version supports, the acting user, who could call the server without a key, file modes
    and keys at risk. It also tries to decrypt every encrypted value. Exit {failed} if a problem is
    found. Piped columns: section, level (ok, note or problem; setting for a setting), message,
    hint.

    \b
    Examples:
      langkeys doctor
      langkeys doctor --json | jq .findings
      langkeys doctor --url https://langflow.example.com
      langkeys doctor --database /srv/langflow/langflow.db
    """
    if is_remote(context):
        from langkeys.cli.remote import doctor as over_rest

        over_rest.doctor(context)
        return
    call = invocation(context)
    call.output.require_stdout()
    with session_of(context, access=Access.NOBODY) as session:
        report = session.examine()
    if call.output.as_json:
        call.output.document(_document(report))
    elif call.output.is_terminal:
        _show(call.output, report)
    else:
        call.output.rows(_rows(report))
    if not report.is_sound:
        raise typer.Exit(FailedError.exit_code)


def _document(report: Report) -> dict[str, Any]:
    acting = report.acting
    return {
        "ok": report.is_sound,
        "database": report.database,
        "generation": None if report.generation is None else _generation(report.generation),
        "acting": None
        if acting is None
        else {"id": dashed(acting.user.id), "username": acting.user.username, "how": acting.how},
        "settings": [
            {"name": setting.name, "value": setting.value, "source": setting.source}
            for setting in report.settings
        ],
        "counts": report.counts,
        "encrypted": report.encrypted,
        "findings": [
            {
                "section": finding.section,
                "level": finding.level,
                "message": finding.message,
                "hint": finding.hint,
            }
            for finding in report.findings
        ],
    }


def _generation(generation: Generation) -> dict[str, Any]:
    return generation._asdict()


def _rows(report: Report) -> list[tuple[str | None, ...]]:
    settings = [
        ("settings", "setting", f"{setting.name}={setting.value}", setting.source)
        for setting in report.settings
        if setting.value is not None
    ]
    counts = [
        ("counts", "ok", said_count(name, count), None) for name, count in report.counts.items()
    ]
    findings = [(f.section, f.level, f.message, f.hint) for f in report.findings]
    cause = findings[: int(report.has_cause)]
    return [*cause, *settings, *findings[len(cause) :], *counts]


_MARKS = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}


def _show(out: Output, report: Report) -> None:
    shown = [setting for setting in report.settings if setting.value is not None]
    if report.has_cause:
        out.sentence(*_lines(report.findings[0]))
    out.table(
        ("SETTING", "VALUE", "SOURCE"),
        [(setting.name, setting.value or "", setting.source or "") for setting in shown],
    )
    lines = []
    for finding in report.findings[int(report.has_cause) :]:
        lines += _lines(finding)
    if report.generation is not None:
        lines.append("")
        lines.extend(f"  {line}" for line in _abilities(report.generation))
    if report.counts:
        lines.append(
            "  " + ", ".join(said_count(name, count) for name, count in report.counts.items())
        )
    problems = sum(finding.level == "problem" for finding in report.findings)
    lines.append("")
    lines.append("no problem found" if not problems else f"{counted(problems, 'problem')} found")
    out.sentence(*lines)


def _lines(finding: Finding) -> list[str]:
    lines = [f"{_MARKS[finding.level]}  {finding.section}: {finding.message}"]
    if finding.hint and finding.level != "ok":
        lines.append(f"         {finding.hint}")
    return lines


def _abilities(generation: Generation) -> list[str]:
    """Return what a server of this generation can do with API keys."""
    keys = "encrypted" if generation.encrypts_keys else "in plaintext"
    if generation.has_key_hash:
        keys += ", with a hash"
    ends = (
        "servers honour the expiry and deactivation of a key"
        if generation.honours_key_state
        else (
            "only revoking disables a key: inactive keys are accepted, and expiry is not supported"
        )
    )
    owners = (
        "an inactive owner's keys are refused"
        if generation.honours_owner_state
        else "an inactive owner's keys still run flows"
    )
    return [f"Langflow {generation.release} stores keys {keys}; {ends}; {owners}."]
