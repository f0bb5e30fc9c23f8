"""Ask the user at the terminal, and read secrets from stdin or a file.

Prompts need stdin and stderr to be terminals, whatever stdout is. ``langkeys.cli.terminal``
describes an exception.
"""

import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from langkeys.cli.terminal import answers, can_ask, is_interactive
from langkeys.cli.wrapping import terminal_width, wrapped
from langkeys.errors import (
    DeclinedError,
    FailedError,
    InterruptedCommandError,
    UnauthenticatedError,
    UsageError,
)
from langkeys.files.reading import MAX_BYTES, read_bytes, read_secret, without_newline
from langkeys.text import holds_several_keys, visible

__all__ = ("can_ask", "is_interactive")

MAX_KEY_BYTES = 64 << 20
"""The maximum size of API keys on stdin, one on each line: more than a million keys."""

LOOKING_UP = 0.2
"""Seconds between checks for Ctrl-C during a question."""


@contextmanager
def _nothing_done() -> Iterator[None]:
    """Say that Ctrl-C did nothing: every command asks before its first write."""
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedCommandError("interrupted; nothing was done") from None


def hidden(prompt: str) -> str | None:
    """Ask for a secret without showing it; return None if the user ends the input instead."""
    import getpass

    try:
        with _nothing_done():
            return getpass.getpass(f"{visible(prompt)}: ", stream=sys.stderr)
    except EOFError:
        sys.stderr.write("\n")
        return None
    except UnicodeDecodeError:
        raise UsageError("the input is not UTF-8 text") from None


def superuser_password(username: str) -> str:
    """Ask for the superuser's password; raise UnauthenticatedError if nobody can be asked."""
    password = hidden(f"Password for {username}") if can_ask() else None
    if not password:
        raise UnauthenticatedError(
            f"no password for the superuser {username!r}: LANGFLOW_SUPERUSER_PASSWORD is not set"
            + ("" if can_ask() else ", and there is no terminal to ask for one"),
            hint="set LANGFLOW_SUPERUSER_PASSWORD (or LANGFLOW_SUPERUSER_PASSWORD_FILE), or"
            " LANGKEYS_API_KEY to an API key of a superuser",
        )
    return password


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is destroyed; raise DeclinedError if the answer is no.

    ``yes`` skips the question. Raises UsageError if nobody can be asked.
    """
    if yes:
        return
    if not can_ask():
        raise UsageError(
            "this needs confirmation, and there is no terminal to ask for it; nothing was done",
            hint="use --yes to skip the question",
        )
    if not is_wanted(question):
        raise DeclinedError("cancelled; nothing was done")


def is_wanted(question: str) -> bool:
    """Ask a yes-or-no question at the terminal; any answer but yes means no."""
    with _nothing_done(), answers() as stream:
        lines = wrapped(f"{visible(question)} [y/N]", terminal_width(sys.stderr))
        sys.stderr.write("\n".join(lines) + " ")
        sys.stderr.flush()
        # A blocking read would delay Ctrl-C until the next keystroke, so check regularly.
        while not select.select([stream], [], [], LOOKING_UP)[0]:
            pass
        answer = stream.readline()
    if not answer:
        sys.stderr.write("\n")
    return answer.strip().lower() in ("y", "yes")


def confirm_at_terminal(question: str, *, yes: bool) -> None:
    """Ask before access ends, if somebody can be asked; see ``confirm``.

    If nobody can be asked, the command continues, because existing scripts rely on that.
    """
    if can_ask():
        confirm(question, yes=yes)


def secret_lines(what: str) -> list[str]:
    """Read secrets from stdin, one on each line; on a terminal, read one at a hidden prompt."""
    is_asked = is_interactive()
    text = (hidden(what) or "") if is_asked else _stdin_text(what, most=MAX_KEY_BYTES)
    # Keys are often pasted from logs, and no key has white space around it.
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise _no_input(what, is_asked)
    for number, line in enumerate(lines, 1):
        if holds_several_keys(line):
            raise UsageError(
                f"line {number} of stdin holds several API keys; nothing was done",
                hint="write one key per line; note that a file with one key has no"
                " newline at its end",
            )
    return lines


def secret_from_stdin(what: str) -> str:
    """Read one secret from stdin, or ask for it; drop one trailing newline."""
    is_asked = is_interactive()
    text = hidden(_prompt_for(what)) if is_asked else without_newline(_stdin_text(what))
    if not text:
        raise _no_input(what, is_asked)
    return text


def _no_input(what: str, is_asked: bool) -> UsageError:
    return UsageError(f"no {_noun(what)} {'given' if is_asked else 'on stdin'}")


def _prompt_for(what: str) -> str:
    """Return the prompt for ``the value of X`` or ``a password``: ``Value of X``, ``Password``."""
    noun = _noun(what)
    return noun[:1].upper() + noun[1:]


def _noun(what: str) -> str:
    return what.removeprefix("the ").removeprefix("a ")


def _stdin_text(what: str, *, most: int = MAX_BYTES) -> str:
    try:
        return stdin_bytes(what, most=most).decode("utf-8")
    except UnicodeError:
        # In some locales, Python decodes invalid bytes as surrogates.
        raise UsageError(f"{what} on stdin is not UTF-8 text") from None


def secret_from_file(path: Path, what: str) -> str:
    """Read one secret from a file; drop one trailing newline."""
    return read_secret(path, what)


def exact_text(path: Path, what: str) -> str:
    """Read text, possibly empty, from a file or (``-``) stdin, without its last newline.

    All other bytes stay as they are, including ``\\r\\n``. At a terminal, ask for the text.
    """
    if str(path) != "-":
        source, content = str(path), read_bytes(path, what)
    elif is_interactive():
        return hidden(_prompt_for(what)) or ""
    else:
        source, content = "stdin", stdin_bytes(what)
    try:
        return without_newline(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise UsageError(f"{what} from {source} is not UTF-8 text") from None


def stdin_bytes(what: str, *, most: int = MAX_BYTES) -> bytes:
    """Read all of stdin; raise UsageError if it is too large."""
    if sys.stdin is None:
        return b""
    buffer = getattr(sys.stdin, "buffer", None)
    try:
        content = sys.stdin.read(most + 1).encode() if buffer is None else buffer.read(most + 1)
    except OSError as error:  # for example, stdin is a folder
        raise FailedError(f"cannot read {what} from stdin: {error.strerror}") from None
    if len(content) > most:
        raise UsageError(f"{what} on stdin is larger than {most} bytes")
    return bytes(content)
