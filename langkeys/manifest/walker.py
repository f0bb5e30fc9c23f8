"""Convert nodes to values, strictly by the object types of ``langkeys.manifest.schema``.

A problem is reported with its position but without the value, because a value in the wrong field
may be a secret.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from langkeys.errors import LangkeysError
from langkeys.manifest import document, schema
from langkeys.manifest.document import Node
from langkeys.manifest.problems import Position, Problems, looks_secret, subpath
from langkeys.manifest.schema import OBJECT_TYPES, Field, ObjectType
from langkeys.text import MAX_NAME_LENGTH, is_utf8, joined
from langkeys.times import NEVER, parsed_iso, parsed_span

_TRUE = ("true", "True", "TRUE")
_SPAN = re.compile(schema.SPAN_PATTERN)


class Value(NamedTuple):
    """A field's value, the position of the field's name, and the field's path."""

    value: Any
    position: Position
    path: str

    def __repr__(self) -> str:
        return f"Value({self.path})"


Object = Mapping[str, Value]
"""The valid fields of an object by name."""


class Walker:
    """Converts nodes to objects; adds everything that is wrong to ``problems``."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._kinds: dict[str, Callable[[Node, str, Field], Any]] = {
            schema.TEXT: self._text,
            schema.BOOLEAN: self._boolean,
            schema.SPAN: self._span,
            schema.WHEN: self._when,
            schema.CHOICE: self._choice,
            schema.CHOICES: self._choices,
            schema.TEXTS: self._texts,
            schema.OBJECT: lambda node, path, field: self.object(node, field.type_name, path),
            schema.MAP: self._map,
            schema.VERSION: self._version,
        }

    def add(self, position: Position, path: str, what: str) -> None:
        """Add a problem."""
        self._problems.add(position, path, what)

    def object(self, node: Node, type_name: str, path: str) -> Object | None:
        """Convert a node to an object of this type; None if it is not a map."""
        object_type = OBJECT_TYPES[type_name]
        if node.kind != document.MAP:
            self.add(node.position, path, f"expected a map, not {document.KIND_NAMES[node.kind]}")
            return None
        found: dict[str, Value] = {}
        names: set[str] = set()
        for name, key, value in self._entries(node, path):
            names.add(name)
            where = subpath(path, name)
            field = object_type.fields.get(name)
            if field is None:
                self.add(
                    key.position, where, f"unknown field{did_you_mean(name, object_type.fields)}"
                )
                continue
            read = self._kinds[field.kind](value, where, field)
            if read is not None:
                found[name] = Value(read, key.position, where)
        self._check(object_type, node, path, names, found)
        return found

    def _check(
        self,
        object_type: ObjectType,
        node: Node,
        path: str,
        names: set[str],
        found: Mapping[str, Value],
    ) -> None:
        is_absent = "state" in found and found["state"].value == schema.ABSENT
        if object_type.unless_absent and is_absent:
            return
        for fields in object_type.exclusive:
            if names.issuperset(fields):
                position = found[fields[-1]].position if fields[-1] in found else node.position
                self.add(position, path, f"{joined(fields)} cannot be used together")
        for name, others in object_type.requires:
            missing = [other for other in others if other not in names]
            if name in names and missing:
                position = found[name].position if name in found else node.position
                self.add(position, subpath(path, name), f"requires {joined(missing)}")
        if object_type.needed and not names.intersection(object_type.needed):
            self.add(node.position, path, f"{joined(object_type.needed, 'or')} is missing")

    def _entries(self, node: Node, path: str) -> Iterator[tuple[str, Node, Node]]:
        """Yield the names in a map, each once, with the nodes of the name and the value."""
        first: dict[str, Position] = {}
        for key, value in node.pairs:
            if key.kind == document.WORD:
                self.add(
                    key.position,
                    subpath(path, key.text),
                    f'write "{key.text}" in quotes: without them, other programs read it as'
                    " true or false",
                )
            elif key.kind == document.MERGE:
                self.add(key.position, path, "merge keys (<<) are not supported; quote a name")
                continue
            elif key.kind != document.TEXT:
                what = f"a name must be text, not {document.KIND_NAMES[key.kind]}: quote it"
                self.add(key.position, path, what)
                continue
            elif looks_secret(key.text):
                self.add(key.position, path, "a name looks like a secret, which must not be here")
                continue
            elif not key.text or len(key.text) > MAX_NAME_LENGTH or not is_utf8(key.text):
                what = f"a name must have 1 to {MAX_NAME_LENGTH} characters of Unicode"
                self.add(key.position, path, what)
                continue
            if key.text in first:
                before = first[key.text]
                what = f"is there twice, first in line {before.line}, column {before.column}"
                self.add(key.position, subpath(path, key.text), what)
                continue
            first[key.text] = key.position
            yield key.text, key, value

    def _map(self, node: Node, path: str, field: Field) -> dict[str, Value] | None:
        if node.kind != document.MAP:
            self.add(node.position, path, f"expected a map, not {document.KIND_NAMES[node.kind]}")
            return None
        found = {}
        for name, key, value in self._entries(node, path):
            where = subpath(path, name)
            read = self.object(value, field.type_name, where)
            if read is not None:
                found[name] = Value(read, key.position, where)
        return found

    def _text(self, node: Node, path: str, _: Field | None = None) -> str | None:
        if node.kind == document.WORD:
            self.add(node.position, path, "yes, no, on, off, y and n must be quoted to be text")
        elif node.kind in (document.MAP, document.LIST):
            self.add(node.position, path, f"expected text, not {document.KIND_NAMES[node.kind]}")
        elif node.kind != document.TEXT:
            self.add(
                node.position,
                path,
                f"expected text, not {document.KIND_NAMES[node.kind]}: quote it",
            )
        elif not node.text:
            self.add(node.position, path, "is empty")
        elif not is_utf8(node.text):
            self.add(node.position, path, "has an escape of half a character (\\uD800 to \\uDFFF)")
        else:
            return node.text
        return None

    def _boolean(self, node: Node, path: str, _: Field) -> bool | None:
        if node.kind != document.BOOLEAN:
            self.add(node.position, path, "expected true or false, without quotes")
            return None
        return node.text in _TRUE

    def _span(self, node: Node, path: str, _: Field) -> timedelta | None:
        text = self._text(node, path)
        if text is None:
            return None
        try:
            if _SPAN.fullmatch(text):
                return parsed_span(text, path)
        except LangkeysError:
            pass
        self.add(
            node.position,
            path,
            "not a span: write a number and a unit, such as 45s, 30m, 12h, 90d or 2w",
        )
        return None

    def _when(self, node: Node, path: str, _: Field) -> datetime | Literal["never"] | None:
        text = self._text(node, path)
        if text is None:
            return None
        if text.lower() == NEVER:
            return "never"
        try:
            return parsed_iso(text)
        except (ValueError, OverflowError):
            self.add(
                node.position,
                path,
                "not a time: write never, or a time as ISO 8601, such as 2027-01-31T18:00:00Z",
            )
        return None

    def _choice(self, node: Node, path: str, field: Field) -> str | None:
        text = self._text(node, path)
        if text is None:
            return None
        if text not in field.choices:
            what = f"expected {joined(field.choices, 'or')}{did_you_mean(text, field.choices)}"
            self.add(node.position, path, what)
            return None
        return text

    def _choices(self, node: Node, path: str, field: Field) -> tuple[str, ...] | None:
        return self._list(node, path, lambda item: self._choice(item, path, field))

    def _texts(self, node: Node, path: str, _: Field) -> tuple[str, ...] | None:
        return self._list(node, path, lambda item: self._text(item, path))

    def _list(
        self, node: Node, path: str, read: Callable[[Node], str | None]
    ) -> tuple[str, ...] | None:
        if node.kind != document.LIST:
            self.add(node.position, path, f"expected a list, not {document.KIND_NAMES[node.kind]}")
            return None
        found = [(read(item), item.position) for item in node.items]
        texts: list[str] = []
        for text, position in found:
            if text is not None and text in texts:
                self.add(position, path, "has the same twice")
            elif text is not None:
                texts.append(text)
        return tuple(texts)

    def _version(self, node: Node, path: str, _: Field) -> int | None:
        # Compare texts, because the number may be too large to convert.
        if node.kind != document.INTEGER or node.text != str(schema.FORMAT_VERSION):
            self.add(
                node.position, path, f"expected the number {schema.FORMAT_VERSION}, without quotes"
            )
            return None
        return schema.FORMAT_VERSION


def did_you_mean(name: str, known: Mapping[str, object] | Sequence[str]) -> str:
    """Return the end of a sentence that suggests the nearest known name, or an empty text.

    The result never contains ``name`` itself.
    """
    from difflib import get_close_matches

    near = get_close_matches(name[:MAX_NAME_LENGTH].lower(), {k.lower(): k for k in known}, 1, 0.65)
    if not near:
        return ""
    return f"; did you mean {next(k for k in known if k.lower() == near[0])}?"
