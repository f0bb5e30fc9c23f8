"""Decide what goes to stdout and stderr. Only this module prints.

- stdout is for data. stderr is for everything else: notes, warnings, prompts, progress, errors.
- A command that fails writes nothing to stdout: all data is ready before its first byte is written.
- On a terminal, stdout gets tables and sentences. Elsewhere, it gets one line for each row,
  tab-separated, without header, colour or truncation. With --json, it gets one JSON document in
  both cases.
- With --json, an error is one JSON object on stderr. It contains the warnings that came before it,
  so that stderr is a single document.
- Names come from a database that others write to. So control, format and invisible characters are
  escaped in sentences, lines and JSON, at any destination. Only new keys and revealed values are
  exact.
"""

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

from langkeys.cli.spool import Spool
from langkeys.cli.terminal import is_stderr_terminal
from langkeys.cli.wrapping import terminal_width, wrapped
from langkeys.errors import (
    FailedError,
    InterruptedCommandError,
    InvalidKeyError,
    LangkeysError,
)
from langkeys.progress import Advance
from langkeys.text import json_visible, visible


class Head(NamedTuple):
    """The title of a table's column, and how the column may shrink on a narrow terminal.

    ``least`` is the minimum width to which texts may be cut; 0 means that they are never cut.
    Columns with the highest ``rank`` are omitted first; columns with rank 0 are never omitted. With
    ``is_kept``, the column is shown even if it has the same text in every row.
    """

    title: str
    least: int = 0
    rank: int = 0
    is_kept: bool = False


class UndeliveredError(FailedError):
    """stdout did not accept the data; ``closed_pipe`` says that its reader has gone."""

    def __init__(self, message: str, *, closed_pipe: bool) -> None:
        super().__init__(message, hint=None)
        self.closed_pipe = closed_pipe


class Output:
    """stdout and stderr of one invocation."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.quiet = False
        self.fields: tuple[str, ...] | None = None
        """The columns that --fields selects, already checked."""
        self.has_header = False
        self._warnings: list[str] = []
        self._warned: set[str] = set()
        self._later: list[str] = []
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and hasattr(stream, "reconfigure"):
                # A name must not cause a traceback in an ASCII locale.
                stream.reconfigure(errors="backslashreplace")

    @property
    def is_terminal(self) -> bool:
        """Whether stdout is a terminal."""
        return sys.stdout is not None and sys.stdout.isatty()

    @property
    def is_sentences(self) -> bool:
        """Whether stdout gets tables and sentences for a person."""
        return self.is_terminal and not self.as_json

    @property
    def width(self) -> int | None:
        """The width of stdout in columns if it is a terminal, else None."""
        return terminal_width(sys.stdout)

    # stdout

    def require_stdout(self) -> None:
        """Raise UndeliveredError, before anything is done, if stdout is closed."""
        if sys.stdout is None:
            raise UndeliveredError("stdout is closed", closed_pipe=False)

    def data(self, text: str) -> None:
        """Write data; raise UndeliveredError unless all of it was accepted and synced."""
        self._write_all([text])

    def lines(self, lines: Iterable[str]) -> None:
        """Write all lines, or none if creating one of them fails."""
        with Spool() as spool:
            spool.fill(lines)
            self.deliver(spool)

    def deliver(self, spool: "Spool") -> None:
        """Write the content of a spool; see ``data``."""
        self._write_all(spool.chunks())

    def exact_lines(self, lines: Iterable[str]) -> None:
        """Write lines as ``lines`` does, but fail if the locale lacks one of their characters.

        Other output escapes such a character, but a secret must be exact.
        """
        self.lines(map(_encodable, lines))

    def _write_all(self, chunks: Iterable[str]) -> None:
        self.require_stdout()
        try:
            for chunk in chunks:
                sys.stdout.write(chunk)
            sys.stdout.flush()
            self._say_later()
            if stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode):
                os.fsync(sys.stdout.fileno())
        except OSError as error:
            # Otherwise Python would try to flush the rest at exit, and report an error.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise UndeliveredError(
                f"cannot write to stdout: {error.strerror}",
                closed_pipe=isinstance(error, BrokenPipeError),
            ) from None

    def _say_later(self) -> None:
        """Print notes about what a table omits."""
        for text in () if self.quiet else self._later:
            _say("note: ", text)
        self._later.clear()

    def document(self, value: Any) -> None:
        """Write one JSON document."""
        self.data(json_text(value) + "\n")

    def document_with_array(self, head: Mapping[str, Any], name: str, array: Spool) -> None:
        """Write one JSON object: the fields of ``head``, and then an array from a spool."""
        start = json_text(head).removesuffix("\n}")
        self._write_all(chain([f'{start},\n"{name}": '], array.chunks(), ["}\n"]))

    def array(self, values: Iterable[Any]) -> None:
        """Write a JSON array of any length."""
        self.lines(array_lines(values))

    def rows(self, rows: Iterable[Sequence[object]]) -> None:
        """Write rows as tab-separated lines; see ``tab_separated``."""
        self.lines(map(tab_separated, rows))

    def sentence(self, *lines: str) -> None:
        """Write a short sentence, or a few lines, for a person at a terminal."""
        self._paragraphs(lines, hanging=0)

    def _paragraphs(self, lines: Iterable[str], *, hanging: int) -> None:
        width = self.width
        shown = (line for text in lines for line in wrapped(visible(text), width, hanging))
        self.data("".join(f"{line}\n" for line in shown))

    # stderr

    def note(self, text: str) -> None:
        """Print information on stderr, unless --quiet or --json is given."""
        if not self.quiet and not self.as_json:
            _say("note: ", text)

    def warn(self, text: str) -> None:
        """Print a warning on stderr; a repeated warning is printed only once."""
        if text in self._warned:
            return
        self._warned.add(text)
        if self.as_json:
            self._warnings.append(text)
        else:
            _say("warning: ", text)

    def finish(self) -> None:
        """Print the warnings that were held back to become part of an error."""
        for text in self._warnings:
            _say("warning: ", text)
        self._warnings.clear()

    def error(self, error: LangkeysError, *, details: Sequence[str] = ()) -> None:
        """Print an error and its hint; ``details`` are for finding the cause of a bug."""
        if isinstance(error, InterruptedCommandError) and is_stderr_terminal():
            _to_stderr("")  # start a new line after a question or ^C
        if self.as_json:
            described: dict[str, Any] = {
                "error": {"code": error.code, "message": error.message, "hint": error.hint}
            }
            if isinstance(error, InvalidKeyError):
                described["error"]["reason"] = error.reason
            if error.candidates:
                described["candidates"] = list(error.candidates)
            if self._warnings:
                described["warnings"] = self._warnings
            if details:
                described["details"] = list(details)
            _to_stderr(json_text(described))
            return
        _say("error: ", error.message)
        for candidate in error.candidates:
            _say("  ", candidate)
        if error.hint:
            _say("hint: ", error.hint)
        for line in details:
            _say("debug: ", line)

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Advance]:
        """Show a progress bar on a terminal's stderr if there is much work."""
        shown = is_stderr_terminal() and not self.quiet
        if not shown or total < 1000:
            yield lambda _: None
            return
        from langkeys.cli.tables import progress_bar

        with progress_bar(what, total) as advance:
            yield advance

    def ask_about(self, heads: Sequence[Head], rows: Iterable[Sequence[str]], more: int) -> None:
        """Show rows on stderr, above a question about them; ``more`` rows are only counted."""
        from langkeys.cli.tables import Layout

        layout = Layout(heads, sys.stderr)
        lines = list(layout.measured([visible(cell) for cell in row] for row in rows))
        layout.fit()
        for line in layout.lines(lines):
            _to_stderr(line)
        if more > 0:
            _to_stderr(f"and {more} more")
        for text in layout.remarks():
            self.note(text)

    # Tables for terminals

    def table(
        self,
        heads: Sequence[Head | str],
        rows: Iterable[Sequence[str]],
        *,
        whole: str | None = None,
    ) -> bool:
        """Show rows under column titles; return False if there are no rows.

        Columns are omitted if they have the same text in every row, or if there is no space for
        them. Omitted columns, and those with cut texts, are named on stderr. ``whole`` says how to
        see everything.
        """
        count = 0

        def counted_rows() -> Iterator[Sequence[str]]:
            nonlocal count
            for row in rows:
                count += 1
                yield row

        self.lines(self.table_lines(heads, counted_rows(), whole=whole))
        return count > 0

    def table_lines(
        self,
        heads: Sequence[Head | str],
        rows: Iterable[Sequence[str]],
        *,
        whole: str | None = None,
    ) -> Iterator[str]:
        """Yield the lines of ``table``; notes about omitted columns follow the last line."""
        from langkeys.cli.tables import Layout

        layout = Layout([Head(head) if isinstance(head, str) else head for head in heads])
        with Spool() as spool:
            spool.fill(layout.measured([visible(cell) for cell in row] for row in rows))
            if layout.rows:
                layout.fit()
                yield from layout.lines(spool.lines())
                self._later += layout.remarks(whole)

    def card(self, fields: Mapping[str, str]) -> None:
        """Show the fields of one object, one on each line, uncut, so that they can be copied."""
        width = max(map(len, fields))
        lines = (f"{name.ljust(width)}  {value}" for name, value in fields.items())
        self._paragraphs(lines, hanging=width + 2)

    def new_key_panel(self, api_key: str, name: str, url: str | None) -> str:
        """Return the text that shows a new key once, with a command to try it.

        The command asks for the key, because an argument would stay in the shell's history.
        """
        from langkeys.cli.tables import titled
        from langkeys.config.urls import shown_url

        address = shown_url(url or "http://localhost:7860")
        lines = (
            api_key,
            "",
            "To try it against the running server:",
            f"langkeys whoami --api-key - --url {address}",
        )
        return titled(f"API key {visible(name)}, shown only once", lines)

    def new_password_panel(self, password: str, username: str) -> None:
        """Show a generated password once."""
        from langkeys.cli.tables import titled

        self.data(titled(f"Password for {visible(username)}, shown only once", (password,)))


def tab_separated(row: Sequence[object]) -> str:
    """Return a row as a tab-separated line: None is an empty field; special characters are escaped.

    A backslash is doubled, so that a name cannot imitate an escape.
    """
    cells = ["" if cell is None else str(cell) for cell in row]
    content = "".join(cells)
    if not content.isascii() or not content.isprintable() or "\\" in content:
        cells = [visible(cell.replace("\\", "\\\\")) for cell in cells]
    return "\t".join(cells)


def _encodable(line: str) -> str:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        line.encode(encoding)
    except UnicodeEncodeError:
        raise FailedError(
            f"the output has a character that stdout's encoding ({encoding}) lacks",
            hint="set PYTHONIOENCODING=utf-8, or write to a file if the command can",
        ) from None
    return line


def json_text(value: Any) -> str:
    """Return indented JSON; characters that can be displayed are not escaped."""
    import json

    return json_visible(json.dumps(value, indent=2, ensure_ascii=False))


def array_lines(values: Iterable[Any]) -> Iterator[str]:
    """Yield the lines of a JSON array, one for each value; without indentation, which is slow."""
    import json

    encode = json.JSONEncoder(ensure_ascii=False).encode
    previous = None
    for value in values:
        yield "[" if previous is None else f"{previous},"
        previous = f"  {json_visible(encode(value))}"
    yield "[]" if previous is None else f"{previous}\n]"


def _say(start: str, text: str) -> None:
    """Print a message on stderr; on a terminal, wrap it at words."""
    lines = wrapped(f"{start}{visible(text)}", terminal_width(sys.stderr), len(start))
    _to_stderr("\n".join(lines))


def _to_stderr(text: str) -> None:
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:
        # stderr has no reader; the exit code still reports the failure.
        sys.stderr = None
