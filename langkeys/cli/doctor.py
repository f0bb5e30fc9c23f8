"""``langkeys doctor``."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import typer

from langkeys.cli.invocation import session_of
from langkeys.cli.options import RemoteCommand, invocation, is_remote, new_app
from langkeys.cli.output import Head, Output
from langkeys.cli.present import findings
from langkeys.cli.wrapping import wrapped
from langkeys.diagnostics.report import Report
from langkeys.errors import FailedError
from langkeys.models import dashed
from langkeys.sessions.session import Access
from langkeys.store.generations import Generation
from langkeys.text import visible

app = new_app()


@app.command(cls=RemoteCommand)
def doctor(context: typer.Context) -> None:
    """Find problems in a deployment. Read-only; needs no password.

    Shows every setting and its source (secrets as a fingerprint), the database and what its
    Langflow version supports, the acting user, who could call the server without a key, file modes
    and keys at risk. It also tries to decrypt every encrypted value. Exit {failed} if a problem is
    found. The first line is the verdict: the number of problems and notes. Piped columns: section,
    level (problem, note or ok; setting for a setting), message, hint.

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


def _rows(report: Report) -> Iterator[findings.Row]:
    yield from findings.rows(report.findings, _place(report), is_open=report.is_open)
    for setting in report.settings:
        if setting.value is not None:
            yield ("settings", "setting", f"{setting.name}={setting.value}", setting.source)
    yield from findings.count_rows(report.counts)


def _place(report: Report) -> str | None:
    return None if report.database is None else f"in {report.database}"


def _show(out: Output, report: Report) -> None:
    lines = list(
        findings.sentences(report.findings, _place(report), out.width, is_open=report.is_open)
    )
    about: list[str] = []
    if report.generation is not None:
        about += wrapped(_abilities(report.generation), out.width)
    if report.counts:
        about += wrapped(findings.counts_text(report.counts), out.width)
    if about:
        lines += ["", *about]
    out.lines([*lines, "", *_settings_lines(out, report)])


def _settings_lines(out: Output, report: Report) -> Iterator[str]:
    """Yield a table of the settings; a value that does not fit follows on the next line."""
    rows = [
        (setting.name, setting.value, setting.source or "")
        for setting in report.settings
        if setting.value is not None
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    if out.width is not None and sum(widths) + 4 > out.width:
        # The findings show the whole paths.
        rows = [(name, value, source.rpartition("/")[2]) for name, value, source in rows]
    taken = 4 + max((len(name) + len(source) for name, _, source in rows), default=0)
    fits = [out.width is None or taken + len(value) <= out.width for _, value, _ in rows]
    heads = Head("SETTING", is_kept=True), Head("VALUE", is_kept=True), Head("SOURCE", least=6)
    shown = (
        (name, value if fit else "", source)
        for (name, value, source), fit in zip(rows, fits, strict=True)
    )
    table = out.table_lines(heads, shown)
    yield from islice(table, 2)  # the titles and the rule
    for line, (_, value, _), fit in zip(table, rows, fits, strict=True):
        yield line
        if not fit:
            yield f"    {visible(value)}"


def _abilities(generation: Generation) -> str:
    """Describe what a server of this generation supports for API keys."""
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
    return f"Langflow {generation.release} stores keys {keys}; {ends}; {owners}."
