"""Watch calls in which the driver waits for a server, and end calls that would never return.

The driver waits in C code, where Python cannot raise KeyboardInterrupt. A server that is frozen or
cut off never answers. So a thread watches each call. After Ctrl-C or SIGTERM, it asks the server to
cancel the statement; if that does not help, it shuts the socket down. If a call takes long, the
thread tries a new connection. A server that answers is only busy. A server that does not answer is
given up.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any
from weakref import WeakSet

LOOK_SECONDS = 1.0
SLOW_SECONDS = 20.0
"""Seconds that a statement may take before a new connection checks that the server is alive."""
ANSWER_SECONDS = 10.0
"""Seconds to wait for that new connection."""
_CANCEL_SECONDS, _SHUT_SECONDS, _SHUT_LATER_SECONDS = 0.1, 1.0, 5.0
_HEED_SECONDS = 15.0


class Calls:
    """Watches the calls of one connection; each call runs inside ``with calls:``.

    ``answers`` tells whether the server answers a new connection. ``is_given_up`` becomes true when
    the server has not answered and the connection has been shut down.
    """

    def __init__(self, connection: Any, answers: Callable[[], bool]) -> None:
        self.is_given_up = False
        self._connection = connection
        self._answers = answers
        self._since: float | None = None
        self._cancelled: float | None = None
        self._asked: float | None = None
        # Duplicate the descriptor, so that its number cannot be reused for another file meanwhile.
        self._socket = os.dup(connection.fileno())
        _watch(self)

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._since = None

    def close(self) -> None:
        """Stop watching."""
        _watched.discard(self)
        descriptor, self._socket = self._socket, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()

    def look(self, moment: float, interrupted: float | None) -> None:
        """End the current call if it was interrupted or its server does not answer."""
        since = self._since
        if since is None:
            return
        if interrupted is not None:
            # A call that began after the interrupt cleans up, so it gets more time.
            is_before = since <= interrupted
            waited = moment - max(since, interrupted)
            if is_before and waited > _CANCEL_SECONDS and self._cancelled != since:
                self._cancelled = since
                _in_background(self._cancel, since)
            if waited > (_SHUT_SECONDS if is_before else _SHUT_LATER_SECONDS):
                self._shut()
        elif moment - max(since, self._asked or 0.0) > SLOW_SECONDS:
            self._asked = moment
            _in_background(self._ask, since)

    def _cancel(self, since: float) -> None:
        # The driver's cancel blocks all other threads, so it must not be called if the server is
        # silent.
        if self._answers() and self._since == since:
            self._connection.cancel()

    def _ask(self, since: float) -> None:
        answered = threading.Event()

        def ask() -> None:
            if self._answers():
                answered.set()

        _in_background(ask)
        if not answered.wait(ANSWER_SECONDS) and self._since == since:
            self.is_given_up = True
            self._shut()

    def _shut(self) -> None:
        import socket

        with suppress(OSError), socket.socket(fileno=os.dup(self._socket)) as found:
            found.shutdown(socket.SHUT_RDWR)


_watched: WeakSet[Calls] = WeakSet()
_state = threading.Lock()
_thread: threading.Thread | None = None
_signals: int | None = None
"""The pipe that reports signals; None if another wakeup descriptor is already set."""


def _watch(calls: Calls) -> None:
    global _thread, _signals
    with _state:
        _watched.add(calls)
        if _thread is None:
            _signals = _signals or _signal_pipe()
            _thread = threading.Thread(target=_run, args=(_signals,), daemon=True)
            _thread.start()


def _signal_pipe() -> int | None:
    if threading.current_thread() is not threading.main_thread():
        return None
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return None
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    before = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    if before == -1:
        return readable
    signal.set_wakeup_fd(before)
    os.close(readable)
    os.close(writable)
    return None


def _run(signals: int | None) -> None:
    global _thread
    interrupted: float | None = None
    while True:
        pause = LOOK_SECONDS if interrupted is None else _CANCEL_SECONDS / 2
        if signals is None:
            time.sleep(pause)
        elif select.select([signals], [], [], pause)[0]:
            with suppress(BlockingIOError):
                os.read(signals, 100)
            interrupted = time.monotonic()
        moment = time.monotonic()
        if interrupted is not None and moment - interrupted > _HEED_SECONDS:
            interrupted = None
        with _state:
            watched = list(_watched)
            if not watched:
                _thread = None
                return
        for calls in watched:
            calls.look(moment, interrupted)
        del watched, calls  # so that a connection without users can be closed


def _in_background(function: Callable[..., object], *arguments: object) -> None:
    """Run a function that may block for ever."""

    def run() -> None:
        with suppress(Exception):  # the waiting call reports the error
            function(*arguments)

    threading.Thread(target=run, daemon=True).start()


def interruptible(function: Callable[[], Any]) -> Any:
    """Return the result of a function that waits in C code, so that Ctrl-C need not wait for it."""
    if threading.current_thread() is not threading.main_thread():
        return function()
    outcome: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return outcome[0]
