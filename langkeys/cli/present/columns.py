"""Columns: how a value is shown in a pipe, in JSON, in a table, in a card and in the help.

Each kind of object declares its columns once, in a ``Listing``. The commands that show it, their
``--help`` and docs/formats.md use that declaration.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar

from langkeys.cli.output import Head, Output
from langkeys.errors import UsageError
from langkeys.text import counted
from langkeys.times import iso_or_none, person_iso, relative, short_relative

Item = TypeVar("Item")
Row = TypeVar("Row")

NOTHING = "-"
"""The text that is shown for an empty value on a terminal."""


class Kind(Enum):
    """How a value is formatted; see ``Column``."""

    TEXT = "text"
    ID = "an id; a table shows its first 8 digits, which are enough as a reference"
    FLAG = "true or false; yes or no for a person"
    NUMBER = "a number"
    TIME = "a time: ISO 8601, and relative for a person"
    TEXTS = "several texts, joined by commas except in JSON"


class Column(Generic[Item]):
    """One column, with its name in JSON and for ``--fields``.

    ``value`` returns the content: a str, int, bool, datetime, sequence of str, or None. ``kind``
    says how to format the content. ``piped`` is the column's position in a line, from 1, or None if
    lines do not contain it. ``head`` is its title in a table, with minimum width and rank; without
    one, a table shows the column only if ``--fields`` names it. ``person``, ``cell`` and ``plain``
    replace the formatting by ``kind`` in cards, tables and lines. ``unit`` is the noun after a
    number. With ``is_optional``, JSON omits the column if it is empty.
    """

    def __init__(
        self,
        name: str,
        value: Callable[[Item], Any],
        help: str,
        *,
        kind: Kind = Kind.TEXT,
        piped: int | None = None,
        head: Head | None = None,
        person: Callable[[Item], str] | None = None,
        cell: Callable[[Item], str] | None = None,
        plain: Callable[[Item], object] | None = None,
        unit: str | None = None,
        is_optional: bool = False,
    ) -> None:
        self.name = name
        self.value = value
        self.help = help
        self.kind = kind
        self.piped = piped
        self.head = head
        self.unit = unit
        self.is_optional = is_optional
        self.plain = plain or self._plain_by_kind()
        self._person = person
        self._cell = cell or person

    def json_value(self, item: Item) -> Any:
        """Return the content for JSON."""
        content = self.value(item)
        return iso_or_none(content) if self.kind is Kind.TIME else content

    def _plain_by_kind(self) -> Callable[[Item], object]:
        value = self.value
        if self.kind is Kind.TIME:
            return lambda item: iso_or_none(value(item))
        if self.kind is Kind.FLAG:
            return lambda item: _flag_text(value(item))
        if self.kind is Kind.TEXTS:
            return lambda item: ",".join(value(item) or ())
        return value

    def person(self, item: Item, moment: datetime) -> str:
        """Return the content for a card."""
        if self._person is not None:
            return self._person(item)
        content = self.value(item)
        if self.kind is Kind.TIME and content is not None:
            return f"{person_iso(content)} ({relative(content, moment)})"
        if self.unit is not None and content is not None:
            return counted(int(content), self.unit)
        return _person_text(content)

    def cell(self, item: Item, moment: datetime) -> str:
        """Return the content for a table."""
        if self._cell is not None:
            return self._cell(item)
        content = self.value(item)
        if self.kind is Kind.TIME and content is not None:
            return short_relative(content, moment)
        if self.kind is Kind.ID and content is not None:
            return str(content)[:8]
        return _person_text(content)


def _flag_text(flag: bool | None) -> str | None:
    return None if flag is None else "true" if flag else "false"


def _person_text(content: Any) -> str:
    if content is None or content == "" or content == ():
        return NOTHING
    if isinstance(content, bool):
        return "yes" if content else "no"
    if isinstance(content, list | tuple):
        return ", ".join(map(str, content)) or NOTHING
    return str(content)


class Listing(Generic[Item]):
    """The columns of one kind of object, in JSON's order, and the methods that show objects.

    ``nothing`` is the note if there are no objects. ``document`` returns an object's JSON if that
    has more fields than there are columns.
    """

    def __init__(
        self,
        *columns: Column[Item],
        nothing: str,
        document: Callable[[Item], Mapping[str, Any]] | None = None,
    ) -> None:
        self.columns = columns
        self.by_name = {column.name: column for column in columns}
        self._nothing = nothing
        self._document = document

    @property
    def piped(self) -> list[Column[Item]]:
        """The columns of a line, in the order of lines and tables."""
        found = (column for column in self.columns if column.piped is not None)
        return sorted(found, key=lambda column: column.piped or 0)

    def fields(self, text: str) -> tuple[str, ...]:
        """Parse the text of ``--fields``; raise UsageError for an unknown or repeated name."""
        names = tuple(name.strip() for name in text.split(","))
        hint = f"the fields are {', '.join(self.by_name)}"
        for name in names:
            if name not in self.by_name:
                raise UsageError(f"--fields has no field {name!r}", hint=hint)
        if len(set(names)) < len(names):
            raise UsageError("--fields names a field twice", hint=hint)
        return names

    def document(self, item: Item, fields: Sequence[str] | None = None) -> dict[str, Any]:
        """Return an item as a JSON object; ``fields`` selects and orders its columns."""
        if fields is not None:
            return {name: self.by_name[name].json_value(item) for name in fields}
        if self._document is not None:
            return dict(self._document(item))
        described = {}
        for column in self.columns:
            content = column.json_value(item)
            if content is not None or not column.is_optional:
                described[column.name] = content
        return described

    def show(
        self,
        out: Output,
        items: Iterable[Item],
        moment: datetime,
        *,
        as_array: bool = True,
        untitled: Collection[str] = (),
        nothing: Callable[[], str] | None = None,
    ) -> None:
        """Show items in the format that the user has chosen.

        If ``as_array`` is false, JSON is the object of the only item instead of an array.
        ``untitled`` are columns that tables on a terminal omit. ``nothing`` returns a more precise
        note if there are no items.
        """
        fields = out.fields
        if out.as_json:
            objects = (self.document(item, fields) for item in items)
            if as_array:
                out.array(objects)
            else:
                out.document(next(objects))
            return
        columns = self.piped if fields is None else [self.by_name[name] for name in fields]
        if out.is_terminal:
            columns = [column for column in columns if column.name not in untitled]
            is_shown = self._show_table(out, columns, items, moment)
        else:
            is_shown = self._write_lines(out, columns, items)
        if not is_shown:
            out.note(self._nothing if nothing is None else nothing())

    def ask_about(self, out: Output, items: Sequence[Item], count: int, moment: datetime) -> None:
        """Show the first items on stderr, above a question; ``count`` is how many there are."""
        columns = [column for column in self.piped if column.head is not None]
        heads = [column.head for column in columns if column.head is not None]
        rows = ([column.cell(item, moment) for column in columns] for item in items)
        out.ask_about(heads, rows, count - len(items))

    def _show_table(
        self, out: Output, columns: Sequence[Column[Item]], items: Iterable[Item], moment: datetime
    ) -> bool:
        if out.fields is None:
            columns = [column for column in columns if column.head is not None]
            heads = [column.head for column in columns if column.head is not None]
        else:  # columns in --fields are never omitted
            heads = [_kept_head(column) for column in columns]
        rows = ([column.cell(item, moment) for column in columns] for item in items)
        return out.table(heads, rows, whole="--json shows everything")

    def _write_lines(
        self, out: Output, columns: Sequence[Column[Item]], items: Iterable[Item]
    ) -> bool:
        plain = [column.plain for column in columns]
        count = 0

        def rows() -> Iterator[Sequence[object]]:
            nonlocal count
            if out.has_header:
                yield [column.name for column in columns]
            for item in items:
                count += 1
                yield [write(item) for write in plain]

        out.rows(rows())
        return count > 0

    def show_card(self, out: Output, item: Item, moment: datetime) -> None:
        """Show all fields of one item."""
        if not out.is_sentences:
            self.show(out, [item], moment, as_array=False)
            return
        chosen = self.columns if out.fields is None else [self.by_name[n] for n in out.fields]
        out.card(
            {
                column.name: column.person(item, moment)
                for column in chosen
                if out.fields is not None
                or not column.is_optional
                or column.value(item) is not None
            }
        )


def _kept_head(column: Column[Any]) -> Head:
    if column.head is None:
        title = column.name.replace("_", " ").upper()
        return Head(title, least=8 if column.kind is Kind.TEXT else 0, is_kept=True)
    return column.head._replace(is_kept=True, rank=0)


def shows(
    listing: Listing[Any], *, has_fields: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a command that shows a listing: it gets ``--fields`` and ``--header``.

    In its docstring, ``{columns}`` is replaced with a sentence that lists the piped columns.
    """

    def declared(command: Callable[..., None]) -> Callable[..., None]:
        command.__doc__ = (command.__doc__ or "").replace("{columns}", piped_columns(listing))
        if has_fields:
            command.listing = listing  # type: ignore[attr-defined]
        return command

    return declared


def piped_columns(listing: Listing[Any]) -> str:
    """Return a sentence that lists the piped columns."""
    return f"Piped columns: {', '.join(column.name for column in listing.piped)}."


def markdown(listing: Listing[Any]) -> str:
    """Return the Markdown table of a listing's columns in docs/formats.md."""
    lines = ["| Field | Title | Piped | Meaning |", "|---|---|---|---|"]
    for column in listing.columns:
        title = "" if column.head is None else column.head.title
        piped = "" if column.piped is None else column.piped
        lines.append(f"| `{column.name}` | {title} | {piped} | {column.help} |")
    return "".join(f"{line}\n" for line in lines)
