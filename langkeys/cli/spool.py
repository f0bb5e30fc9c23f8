"""Buffer lines that must be complete before the first of them is written."""

import math
from collections.abc import Iterable, Iterator
from io import SEEK_END
from typing import IO

from langkeys.errors import FailedError

SPOOL_CHARACTERS = 1 << 19
"""Up to this many characters are buffered in memory; larger data goes to an unnamed file."""

_CHUNK_CHARACTERS = 1 << 16


class Spool:
    """A buffer for lines that must be complete before the first is written.

    It is like tempfile's SpooledTemporaryFile, whose import takes a noticeable part of a small
    command's time. The file has no name, so nobody else can open it. If no folder is writable, as
    in a read-only container, all lines stay in memory.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._characters = 0
        self._most: float = SPOOL_CHARACTERS
        self._file: IO[str] | None = None

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def fill(self, lines: Iterable[str]) -> None:
        """Add all lines."""
        for line in lines:
            self._lines.append(line)
            self._characters += len(line) + 1
            if self._characters >= self._most:
                self._to_file()

    def _to_file(self) -> None:
        if self._file is None:
            from tempfile import TemporaryFile

            try:
                self._file = TemporaryFile(  # noqa: SIM115 - closed by __exit__
                    "w+", encoding="utf-8", errors="surrogatepass", newline=""
                )
            except FileNotFoundError:  # no folder is writable
                self._most = math.inf
                return
        self._lines.append("")
        try:
            self._file.write("\n".join(self._lines))
            self._file.flush()
        except OSError as error:
            from tempfile import gettempdir

            raise FailedError(
                f"cannot write a temporary file in {gettempdir()}: {error.strerror}",
                hint="set TMPDIR to a folder with free space",
            ) from None
        self._lines.clear()
        self._characters = 0

    def lines(self) -> Iterator[str]:
        """Yield the lines; no line may contain a line break."""
        if self._file is not None:
            self._file.seek(0)
            for line in self._file:
                yield line.removesuffix("\n")
            self._file.seek(0, SEEK_END)
        yield from self._lines

    def chunks(self) -> Iterator[str]:
        """Yield the text of all lines in chunks."""
        if self._file is not None:
            self._file.seek(0)
            while chunk := self._file.read(_CHUNK_CHARACTERS):
                yield chunk
            self._file.seek(0, SEEK_END)
        if self._lines:
            yield "\n".join((*self._lines, ""))
