"""An unexpected error is one line and exit 1; an interruption is always exit 130."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from langkeys.sessions.session import Session

from ..support.samples import PASSWORD
from ..support.sites import Result, Site

Call = Callable[..., Result]


def unicode_error() -> UnicodeDecodeError:
    return UnicodeDecodeError("utf-8", PASSWORD.encode(), 0, 1, PASSWORD)


ERRORS = [
    ValueError(f"invalid literal: {PASSWORD}"),
    KeyError(PASSWORD),
    TypeError(PASSWORD),
    AttributeError(PASSWORD),
    AssertionError(PASSWORD),
    RuntimeError(f"\x1b[31m{PASSWORD}"),
    sqlite3.OperationalError(f"near {PASSWORD}"),
    sqlite3.IntegrityError(PASSWORD),
    unicode_error(),
    MemoryError(),
    RecursionError(PASSWORD),
    OverflowError(PASSWORD),
    StopIteration(PASSWORD),
    OSError(PASSWORD),
    type(f"Odd{'Error'}", (Exception,), {})(PASSWORD),
]


@pytest.fixture
def failing(site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], Call]:
    """Return a function that makes every command fail when it opens its store."""

    def make(error: BaseException) -> Call:
        def fail(_: Session) -> None:
            try:
                raise LookupError(PASSWORD)
            except LookupError:
                raise error.with_traceback(None)  # noqa: B904 - the context is shown, too

        monkeypatch.setattr(Session, "store", property(fail))
        return site.call

    return make


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_it_is_one_line_without_what_it_repeats(
    failing: Callable[[BaseException], Call], error: BaseException
) -> None:
    call = failing(error)
    result = call("api-key", "list").failed(1, f"error: unexpected error: {type(error).__name__}")
    first, hint = result.stderr.splitlines()
    assert hint.startswith("hint: ")
    assert "LANGKEYS_DEBUG=1" in hint
    assert PASSWORD not in result.stderr
    described = call("api-key", "list", "--json").failed(1).error
    assert described["code"] == "failed"
    assert described["message"] == first.removeprefix("error: ")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_where_it_arose_is_said_if_that_is_asked_for(
    failing: Callable[[BaseException], Call], error: BaseException
) -> None:
    call = failing(error)
    result = call("api-key", "list", LANGKEYS_DEBUG="1").failed(1)
    details = [line for line in result.stderr.splitlines() if line.startswith("debug: ")]
    assert any(type(error).__name__ in line for line in details)
    assert any("LookupError" in line for line in details)
    assert any("test_unforeseen.py" in line and "(fail)" in line for line in details)
    assert PASSWORD not in result.stderr
    document = json.loads(call("api-key", "list", "--json", LANGKEYS_DEBUG="1").failed(1).stderr)
    assert [f"debug: {line}" for line in document["details"]] == details
    for off in ("", "0"):
        assert "debug: " not in call("api-key", "list", LANGKEYS_DEBUG=off).stderr


def test_what_was_foreseen_has_no_details(site: Site) -> None:
    result = site.call("api-key", "show", "nothing", LANGKEYS_DEBUG="1").failed(3)
    assert "debug: " not in result.stderr


def test_an_endless_recursion_is_told_in_few_lines(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(session: Session) -> None:
        fail(session)

    monkeypatch.setattr(Session, "store", property(fail))
    result = site.call("api-key", "list", LANGKEYS_DEBUG="1").failed(1, "RecursionError")
    assert len(result.stderr.splitlines()) < 60


def test_a_failing_end_of_a_command_is_caught_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError(PASSWORD)

    monkeypatch.setattr(Session, "__exit__", fail)
    site.call("doctor").failed(1, "unexpected error: ValueError")


@pytest.mark.parametrize("where", ["store", "__exit__"])
def test_ctrl_c_is_130_wherever_it_comes(
    site: Site, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, where, property(fail) if where == "store" else fail)
    result = site.call("api-key", "list")
    # At the end of a command, its output has already been written.
    said = "" if where == "store" else "note: no API keys\n"
    assert (result.code, result.stderr) == (130, f"{said}error: interrupted\n")
    result = site.call("api-key", "list", "--json")
    assert (result.code, result.error["code"]) == (130, "interrupted")


AT_AN_IMPORT = """
import signal, sys, os
from importlib.abc import MetaPathFinder
signal.signal(signal.SIGINT, signal.default_int_handler)
class Doing(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            {what}
sys.meta_path.insert(0, Doing())
sys.argv[1:] = {arguments!r}
from langkeys.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("name", ["typer", "langkeys.cli.options", "langkeys.cli.api_key.list"])
@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c_during_the_imports_is_130(site: Site, name: str, as_json: bool) -> None:
    arguments = ["api-key", "list", *(["--json"] if as_json else [])]
    interrupt = "os.kill(os.getpid(), signal.SIGINT)"
    code = AT_AN_IMPORT.format(name=name, what=interrupt, arguments=arguments)
    result = site.run(command=(sys.executable, "-c", code)).failed(130)
    if as_json:
        assert result.error["code"] == "interrupted"
    else:
        assert result.stderr == "error: interrupted\n"


def test_ctrl_c_at_random_moments_never_shows_a_traceback(site: Site) -> None:
    # Only after the start of langkeys itself: langkeys has no influence on Python's own start.
    ready = "os.write(1, b'ready')"
    code = AT_AN_IMPORT.format(name="langkeys.cli", what=ready, arguments=["api-key", "list"])
    codes = set()
    for number in range(30):
        process = site.spawn(command=(sys.executable, "-c", code))
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 5) == b"ready"
        time.sleep(0.008 * number)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert b"Traceback" not in stderr
        assert b"KeyboardInterrupt" not in stderr
        codes.add(process.returncode)
    assert 130 in codes
    assert codes <= {0, 130}


def test_ctrl_c_where_nothing_can_be_raised_is_not_lost(site: Site) -> None:
    # In the callback of a weak reference, such as those of the import machinery.
    lost = (
        "import weakref; o = type('O', (), {})();"
        "r = weakref.ref(o, lambda _: os.kill(os.getpid(), signal.SIGINT)); del o;"
        " import time; time.sleep(1)"
    )
    code = AT_AN_IMPORT.format(name="sqlite3", what=lost, arguments=["api-key", "list"])
    assert site.run(command=(sys.executable, "-c", code)).failed(130).stderr == (
        "error: interrupted\n"
    )


def test_a_reader_that_has_gone_is_no_traceback(site: Site) -> None:
    for arguments in (["doctor"], ["--help"], ["api-key", "create", "--help"], ["--version"]):
        process = site.spawn(*arguments)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        with process:
            assert b"Traceback" not in process.stderr.read()
    for stream in ("stdout", "stderr"):
        done = subprocess.run(
            ["sh", "-c", f'exec "$0" -m langkeys doctor {1 if stream == "stdout" else 2}>&-',
             sys.executable],
            env=site.environment(), cwd=site.folder, capture_output=True, check=False,
        )  # fmt: skip
        assert b"Traceback" not in done.stdout + done.stderr
