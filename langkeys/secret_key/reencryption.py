"""Find and re-encrypt Fernet tokens in any text column.

A token is found anywhere in a text: in JSON, in a chat message, without padding, or with escaped
padding. A re-encrypted token has the same length, so it is replaced in place, and no byte around it
changes.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from langkeys import failpoints
from langkeys.errors import FailedError
from langkeys.models import FERNET_PREFIX, dashed
from langkeys.store.protocol import Cell, Store

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

_PREFIX = FERNET_PREFIX.encode()
_TOKEN = re.compile(_PREFIX + rb"[A-Za-z0-9_-]*")
_WHOLE = re.compile(rb"(" + _TOKEN.pattern + rb")(=*)")
_DECRYPTED = b"\0<%d:%b>"
"""The form of a decrypted token in a view; the marks distinguish it from ordinary text."""
# Version, time, IV and HMAC; then at least one block of 16 bytes.
_FRAME_BYTES = 1 + 8 + 16 + 32
_BLOCK_BYTES = 16
MAX_ENDS = 48
MAX_RUN = 16 << 10
MAX_TRIES = 8
"""Limits for finding a token within a longer run of token characters.

They limit the number of ends tried, the length of the run, and the number of starts tried. Users
write these texts and may be hostile.
"""
MAX_NAMED = 1000
"""The maximum number of undecryptable values that are named; the others are only counted."""
MAX_NESTING = 3
"""How many times a value may be encrypted within itself; bugs in Langflow did this."""


@dataclass(frozen=True)
class UndecryptedToken:
    """A token that no key decrypts, and its cell."""

    cell: Cell
    """The cell without its ``text``, because there may be many cells."""
    is_expected: bool
    """Whether Langflow encrypts values in this column."""


@dataclass
class ScanResult:
    """The result of a scan of the whole database.

    ``decrypted`` counts decrypted tokens by table and column, ``by_key`` by the number of the key.
    ``digest`` covers all texts in their decrypted form: if a rotation changes it, something was
    lost. ``samples`` are a few changed cells with their new texts.
    """

    decrypted: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_key: Counter[int] = field(default_factory=Counter)
    undecrypted: list[UndecryptedToken] = field(default_factory=list)
    undecrypted_expected: int = 0
    undecrypted_unexpected: int = 0
    digest: str = ""
    rewritten: Counter[tuple[str, str]] = field(default_factory=Counter)
    samples: list[tuple[Cell, bytes]] = field(default_factory=list)

    def fail(self, cell: Cell, count: int) -> None:
        """Count undecryptable tokens of a cell, and record the cell if few have been recorded.

        In a column that Langflow encrypts, such a token stops a rotation. In other columns it may
        be anything, such as another program's token in a chat message.
        """
        is_expected = cell.kind != "other"
        before = self.undecrypted_expected if is_expected else self.undecrypted_unexpected
        if is_expected:
            self.undecrypted_expected += count
        else:
            self.undecrypted_unexpected += count
        if before < MAX_NAMED:
            bare = Cell(cell.table, cell.column, cell.row, cell.name, cell.kind, cell.position, b"")
            self.undecrypted.append(UndecryptedToken(bare, is_expected))

    def named(self, *, is_expected: bool) -> list[str]:
        """Return table, row and name of each cell with undecryptable tokens."""
        said = [
            f"{item.cell.table}.{item.cell.column} of row {dashed(item.cell.row)}"
            + (f" ({item.cell.name})" if item.cell.name else "")
            for item in self.undecrypted
            if item.is_expected == is_expected
        ]
        return list(dict.fromkeys(said))


class Reader:
    """Decrypts the tokens in a text, each with the first key that can.

    With ``new``, it also re-encrypts, with that key, every token that another key decrypts.
    """

    def __init__(self, keys: Sequence["Cipher"], *, new: "Cipher | None" = None) -> None:
        self._keys = keys
        self._new = new
        self.decrypted_by: list[int] = []
        self.failed = 0

    def read(self, cell: Cell) -> tuple[bytes, bytes]:
        """Return a cell's new text, and its text with the tokens decrypted.

        Afterwards ``decrypted_by`` contains the number of the key for each decrypted token, and
        ``failed`` is the number of tokens that no key decrypts.
        """
        self.decrypted_by, self.failed = [], 0
        if cell.kind == "envelope":
            return self._envelope(cell.text)
        return self._text(cell.text, is_expected=cell.kind != "other")

    def _envelope(self, text: bytes) -> tuple[bytes, bytes]:
        envelope = text.decode("utf-8", "replace")
        for number, key in enumerate(self._keys):
            content = key.find_unsealed(envelope)
            if content is not None:
                self.decrypted_by.append(number)
                if self._new is None or key is self._new:
                    return text, content.encode()
                return self._new.seal(content).encode(), content.encode()
        self.failed += 1
        return text, text

    def _text(self, text: bytes, *, is_expected: bool, depth: int = 0) -> tuple[bytes, bytes]:
        whole = _WHOLE.fullmatch(text)
        if whole is not None:
            # The usual case: the column contains exactly one token.
            whole_token = self._decrypt(text if len(text) % 4 == 0 else _padded(whole[1]))
            if whole_token is not None and _PREFIX not in whole_token[1]:
                number, content = whole_token
                self.decrypted_by.append(number)
                view = _DECRYPTED % (len(content), content) + whole[2]
                if self._new is None or self._keys[number] is self._new:
                    return text, view
                return self._token(whole[1], number, content, content) + whole[2], view
        written: list[bytes] = []
        decrypted: list[bytes] = []
        position = start = 0
        tries_in_run = 0
        while match := _TOKEN.search(text, start):
            found = self._find(match[0], is_expected=is_expected)
            if found is None:
                self.failed += is_expected or _has_form(len(match[0]))
                # A token may begin later in this run of characters.
                tries_in_run += 1
                start = match.end() if tries_in_run >= MAX_TRIES else match.start() + 1
                continue
            tries_in_run = 0
            number, length, content = found
            self.decrypted_by.append(number)
            token = match[0][:length]
            inner, view = content, content
            if depth < MAX_NESTING and _PREFIX in content:
                inner, view = self._text(content, is_expected=False, depth=depth + 1)
            around = text[position : match.start()]
            written += (around, self._token(token, number, inner, content))
            decrypted += (around, _DECRYPTED % (len(view), view))
            position = start = match.start() + length
        tail = text[position:]
        return b"".join((*written, tail)), b"".join((*decrypted, tail))

    def _decrypt(self, token: bytes) -> tuple[int, bytes] | None:
        for number, key in enumerate(self._keys):
            content = key.find_content(token)
            if content is not None:
                return number, content
        return None

    def _find(self, run: bytes, *, is_expected: bool) -> tuple[int, int, bytes] | None:
        """Return the key number, length and content of the token at the start of ``run``."""
        lengths: Iterable[int] = [len(run)] if is_expected or _has_form(len(run)) else []
        if not is_expected and len(run) <= MAX_RUN:
            lengths = chain(lengths, _shorter_lengths(len(run)))
        for length in lengths:
            found = self._decrypt(_padded(run[:length]))
            if found is not None:
                return found[0], length, found[1]
        return None

    def _token(self, token: bytes, number: int, inner: bytes, content: bytes) -> bytes:
        if self._new is None or (self._keys[number] is self._new and inner == content):
            return token
        new = self._new.encrypt_content(inner, at=_time_of(token)).rstrip(b"=")
        if len(new) != len(token):
            raise FailedError("a token has changed its length; nothing was written")
        return new


def _padded(token: bytes) -> bytes:
    return token + b"=" * (-len(token) % 4)


def _has_form(length: int) -> bool:
    """Tell whether a token without padding can have this many characters."""
    content = length * 3 // 4 - _FRAME_BYTES
    return content > 0 and content % _BLOCK_BYTES == 0 and length == _length_of(content)


def _length_of(content: int) -> int:
    return -(-(_FRAME_BYTES + content) * 4 // 3)


def _shorter_lengths(length: int) -> Iterator[int]:
    longest = (length * 3 // 4 - _FRAME_BYTES) // _BLOCK_BYTES
    for blocks in range(longest, max(0, longest - MAX_ENDS), -1):
        if _length_of(blocks * _BLOCK_BYTES) < length:
            yield _length_of(blocks * _BLOCK_BYTES)


def _time_of(token: bytes) -> int:
    import base64

    # Twelve characters are nine bytes, which contain the version and the time.
    return int.from_bytes(base64.urlsafe_b64decode(token[:12])[1:9], "big")


def scan(
    store: Store,
    keys: Sequence["Cipher"],
    progress: Callable[[int], None],
    *,
    new: "Cipher | None" = None,
    samples: int = 0,
) -> ScanResult:
    """Read all texts with ``keys``; with ``new``, also re-encrypt them, within a transaction.

    ``samples`` is the number of changed cells per column to keep, with their old and new texts.
    """
    result = ScanResult()
    decrypted, by_key = result.decrypted, result.by_key
    digest = hashlib.sha256()
    reader = Reader(keys, new=new)
    for page in store.cells(progress):
        changes: list[tuple[Cell, bytes]] = []
        views: list[bytes] = []
        for cell in page:
            text, view = reader.read(cell)
            column = (cell.table, cell.column)
            for key in reader.decrypted_by:
                decrypted[column] += 1
                by_key[key] += 1
            if reader.failed:
                result.fail(cell, reader.failed)
            label = f"{cell.table}\0{cell.column}\0{cell.position}\0{len(view)}\0"
            views += (label.encode("utf-8", "surrogatepass"), view)
            if text != cell.text:
                if result.rewritten[column] < samples:
                    result.samples.append((cell, text))
                result.rewritten[column] += 1
                changes.append((cell, text))
        digest.update(b"".join(views))
        if changes:
            store.replace_cells(changes)
            failpoints.reach("rewriting")
    result.digest = digest.hexdigest()
    return result


class CheckedValue(NamedTuple):
    """A value, its cell, and the number of the first key that decrypts it; None if no key does."""

    table: str
    column: str
    row: str
    name: str | None
    is_expected: bool
    key: int | None


def check_values(
    store: Store, keys: Sequence["Cipher"], progress: Callable[[int], None]
) -> Iterator[CheckedValue]:
    """Try ``keys``, in order, on every encrypted value in the database."""
    reader = Reader(keys)
    for page in store.cells(progress):
        for cell in page:
            reader.read(cell)
            table, column, row, name, kind, _, _ = cell
            for key in reader.decrypted_by:
                yield CheckedValue(table, column, row, name, kind != "other", key)
            for _ in range(reader.failed):
                yield CheckedValue(table, column, row, name, kind != "other", None)
