"""Everything that a secret key opens, read and written anew under another one.

Tokens are found wherever they stand in a text: in JSON, in a chat message, without their padding or
with it escaped. A token's content keeps its length, and so does the token: it is replaced in place,
and not a byte around it changes.
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
_OPENED = b"\0<%d:%b>"
"""What stands in a view for an opened token: with marks, so that no other text reads the same."""
# Version, time, IV and HMAC, and at least one block of 16 bytes.
_FRAME_BYTES = 1 + 8 + 16 + 32
_BLOCK_BYTES = 16
MOST_ENDS = 48
LONGEST_RUN = 16 << 10
MOST_TRIES = 8
"""How many places a token may end at are tried where text runs on behind it, in runs of how many
characters; and at how many it may begin. Users write what is read here, and may mean harm."""
MOST_NAMED = 1000
"""Values that do not open named one by one; the rest of them are counted."""
MOST_NESTED = 3
"""How often a value may have been encrypted over and over; Langflow had bugs that did so."""


@dataclass(frozen=True)
class Unopened:
    """A token that no key opens, and where it is."""

    cell: Cell
    """With ``text`` left out: there may be many of them."""
    is_known: bool
    """Whether Langflow would try to open it: it is where tokens belong."""


@dataclass
class Survey:
    """What was found in a pass over the whole database.

    ``opened`` counts, by table and column, what the keys open; ``by_key`` by the key's place among
    those that were given. ``digest`` is one of everything as it reads when opened: it is the same
    before and after a rotation, or something was lost. ``samples`` are a few cells that change.
    """

    opened: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_key: Counter[int] = field(default_factory=Counter)
    unopened: list[Unopened] = field(default_factory=list)
    unopened_known: int = 0
    unopened_stray: int = 0
    digest: str = ""
    rewritten: Counter[tuple[str, str]] = field(default_factory=Counter)
    samples: list[tuple[Cell, bytes]] = field(default_factory=list)

    def fail(self, cell: Cell, count: int) -> None:
        """Count what does not open in a cell, and name the first of them.

        A value that is where it belongs stops a rotation. Any other may be anything: a token of
        another program in a chat message, say.
        """
        is_known = cell.kind != "other"
        before = self.unopened_known if is_known else self.unopened_stray
        if is_known:
            self.unopened_known += count
        else:
            self.unopened_stray += count
        if before < MOST_NAMED:
            bare = Cell(cell.table, cell.column, cell.row, cell.name, cell.kind, cell.position, b"")
            self.unopened.append(Unopened(bare, is_known))

    def named(self, *, is_known: bool) -> list[str]:
        """Name what does not open by table, row and name, each cell once."""
        said = [
            f"{item.cell.table}.{item.cell.column} of row {dashed(item.cell.row)}"
            + (f" ({item.cell.name})" if item.cell.name else "")
            for item in self.unopened
            if item.is_known == is_known
        ]
        return list(dict.fromkeys(said))


class Reader:
    """Opens what is in a text with the first of several keys that does.

    With ``new`` it also writes: everything that another key opens is encrypted anew under it.
    """

    def __init__(self, keys: Sequence["Cipher"], *, new: "Cipher | None" = None) -> None:
        self._keys = keys
        self._new = new
        self.opened_by: list[int] = []
        self.failed = 0

    def read(self, cell: Cell) -> tuple[bytes, bytes]:
        """Return a cell's text anew, and as it reads when opened.

        Afterwards ``opened_by`` has the place of a key for each token opened, and ``failed`` is the
        number of tokens that none opens.
        """
        self.opened_by, self.failed = [], 0
        if cell.kind == "envelope":
            return self._envelope(cell.text)
        return self._text(cell.text, is_known=cell.kind != "other")

    def _envelope(self, text: bytes) -> tuple[bytes, bytes]:
        envelope = text.decode("utf-8", "replace")
        for place, key in enumerate(self._keys):
            content = key.find_sealed(envelope)
            if content is not None:
                self.opened_by.append(place)
                if self._new is None or key is self._new:
                    return text, content.encode()
                return self._new.sealed(content).encode(), content.encode()
        self.failed += 1
        return text, text

    def _text(self, text: bytes, *, is_known: bool, depth: int = 0) -> tuple[bytes, bytes]:
        whole = _WHOLE.fullmatch(text)
        if whole is not None:
            # Nearly everything there is: a column that holds one token and nothing else.
            opened_whole = self._opened(text if len(text) % 4 == 0 else _padded(whole[1]))
            if opened_whole is not None and _PREFIX not in opened_whole[1]:
                place, content = opened_whole
                self.opened_by.append(place)
                view = _OPENED % (len(content), content) + whole[2]
                if self._new is None or self._keys[place] is self._new:
                    return text, view
                return self._token(whole[1], place, content, content) + whole[2], view
        written: list[bytes] = []
        opened: list[bytes] = []
        position = start = 0
        tries_in_run = 0
        while match := _TOKEN.search(text, start):
            found = self._find(match[0], is_known=is_known)
            if found is None:
                self.failed += is_known or _has_form(len(match[0]))
                # What only begins like a token may have one in it.
                tries_in_run += 1
                start = match.end() if tries_in_run >= MOST_TRIES else match.start() + 1
                continue
            tries_in_run = 0
            place, length, content = found
            self.opened_by.append(place)
            token = match[0][:length]
            inner, view = content, content
            if depth < MOST_NESTED and _PREFIX in content:
                inner, view = self._text(content, is_known=False, depth=depth + 1)
            around = text[position : match.start()]
            written += (around, self._token(token, place, inner, content))
            opened += (around, _OPENED % (len(view), view))
            position = start = match.start() + length
        tail = text[position:]
        return b"".join((*written, tail)), b"".join((*opened, tail))

    def _opened(self, token: bytes) -> tuple[int, bytes] | None:
        for place, key in enumerate(self._keys):
            content = key.find_content(token)
            if content is not None:
                return place, content
        return None

    def _find(self, run: bytes, *, is_known: bool) -> tuple[int, int, bytes] | None:
        """Return which key opens the token that ``run`` begins with, its length, its content."""
        lengths: Iterable[int] = [len(run)] if is_known or _has_form(len(run)) else []
        if not is_known and len(run) <= LONGEST_RUN:
            lengths = chain(lengths, _shorter_lengths(len(run)))
        for length in lengths:
            found = self._opened(_padded(run[:length]))
            if found is not None:
                return found[0], length, found[1]
        return None

    def _token(self, token: bytes, place: int, inner: bytes, content: bytes) -> bytes:
        if self._new is None or (self._keys[place] is self._new and inner == content):
            return token
        new = self._new.encrypt_content(inner, at=_time_of(token)).rstrip(b"=")
        if len(new) != len(token):
            raise FailedError("a token has changed its length; nothing was written")
        return new


def _padded(token: bytes) -> bytes:
    return token + b"=" * (-len(token) % 4)


def _has_form(length: int) -> bool:
    """Tell whether a token can have so many characters, its padding not counted."""
    content = length * 3 // 4 - _FRAME_BYTES
    return content > 0 and content % _BLOCK_BYTES == 0 and length == _length_of(content)


def _length_of(content: int) -> int:
    return -(-(_FRAME_BYTES + content) * 4 // 3)


def _shorter_lengths(length: int) -> Iterator[int]:
    longest = (length * 3 // 4 - _FRAME_BYTES) // _BLOCK_BYTES
    for blocks in range(longest, max(0, longest - MOST_ENDS), -1):
        if _length_of(blocks * _BLOCK_BYTES) < length:
            yield _length_of(blocks * _BLOCK_BYTES)


def _time_of(token: bytes) -> int:
    import base64

    # Twelve characters are nine bytes: the version and the time.
    return int.from_bytes(base64.urlsafe_b64decode(token[:12])[1:9], "big")


def surveyed(
    store: Store,
    keys: Sequence["Cipher"],
    progress: Callable[[int], None],
    *,
    new: "Cipher | None" = None,
    samples: int = 0,
) -> Survey:
    """Read everything with ``keys``; with ``new``, write it under that key, within a transaction.

    ``samples``: how many cells of a column to keep that change, as they were and as they are then.
    """
    survey = Survey()
    opened, by_key = survey.opened, survey.by_key
    digest = hashlib.sha256()
    reader = Reader(keys, new=new)
    for page in store.cells(progress):
        changes: list[tuple[Cell, bytes]] = []
        views: list[bytes] = []
        for cell in page:
            text, view = reader.read(cell)
            place = (cell.table, cell.column)
            for key in reader.opened_by:
                opened[place] += 1
                by_key[key] += 1
            if reader.failed:
                survey.fail(cell, reader.failed)
            label = f"{cell.table}\0{cell.column}\0{cell.position}\0{len(view)}\0"
            views += (label.encode("utf-8", "surrogatepass"), view)
            if text != cell.text:
                if survey.rewritten[place] < samples:
                    survey.samples.append((cell, text))
                survey.rewritten[place] += 1
                changes.append((cell, text))
        digest.update(b"".join(views))
        if changes:
            store.replace_cells(changes)
            failpoints.reach("rewriting")
    survey.digest = digest.hexdigest()
    return survey


class Checked(NamedTuple):
    """One value, where it is, and which of the keys that were tried opens it, None if none."""

    table: str
    column: str
    row: str
    name: str | None
    is_known: bool
    key: int | None


def checked_values(
    store: Store, keys: Sequence["Cipher"], progress: Callable[[int], None]
) -> Iterator[Checked]:
    """Try every value in the database with ``keys``, the first of them that opens it counts."""
    reader = Reader(keys)
    for page in store.cells(progress):
        for cell in page:
            reader.read(cell)
            table, column, row, name, kind, _, _ = cell
            for key in reader.opened_by:
                yield Checked(table, column, row, name, kind != "other", key)
            for _ in range(reader.failed):
                yield Checked(table, column, row, name, kind != "other", None)
