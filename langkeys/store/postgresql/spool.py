"""A list of rows that moves to an unnamed temporary file when it becomes large."""

import io
import marshal
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

from langkeys.batches import in_batches
from langkeys.errors import StoreError

IN_MEMORY = 1 << 20
"""The size in bytes above which the rows move to a file."""
_BLOCK_ROWS = 500

Row = tuple[Any, ...]


class Spool:
    """Rows of texts, numbers, booleans and None, in the order in which they were added."""

    def __init__(self) -> None:
        self._file: IO[bytes] = io.BytesIO()
        self._blocks: list[tuple[int, int]] = []
        self._end = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows; raise StoreError if the temporary file cannot be written."""
        try:
            for block in in_batches(rows, _BLOCK_ROWS):
                data = marshal.dumps(block)
                if self._end + len(data) > IN_MEMORY and isinstance(self._file, io.BytesIO):
                    in_memory = self._file.getvalue()
                    self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
                    self._file.write(in_memory)
                self._file.seek(self._end)
                self._file.write(data)
                self._blocks.append((self._end, len(data)))
                self._end += len(data)
                self._count += len(block)
        except OSError as error:
            raise StoreError(
                f"cannot keep so many rows in a temporary file: {error.strerror}; nothing was done",
                hint="set TMPDIR to a writable folder with free space",
            ) from None

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows added so far; several iterations may run at the same time."""
        for start, size in tuple(self._blocks):
            self._file.seek(start)
            yield from marshal.loads(self._file.read(size))  # noqa: S302 - written by this process

    def close(self) -> None:
        """Delete the temporary file."""
        self._file.close()
