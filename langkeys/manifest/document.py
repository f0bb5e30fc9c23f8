"""Parse the text of a manifest into nodes with positions: strict YAML 1.2, which includes JSON.

Only this module imports PyYAML, and it uses only PyYAML's events. So a document cannot create
Python objects or nest without limit, and no error quotes a line of it.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from langkeys.manifest.problems import Position, Problems

MAX_LEVELS = 16
"""The maximum nesting of maps and lists; a valid manifest has nine levels."""

TEXT, NULL, BOOLEAN, INTEGER, FLOAT, MAP, LIST = (
    "text", "null", "boolean", "integer", "float", "map", "list",
)  # fmt: skip
WORD = "word"
"""An unquoted yes, no, on, off, y or n, which YAML 1.2 reads as text, but YAML 1.1 as a boolean."""
MERGE = "merge"
"""An unquoted ``<<``, which YAML 1.2 reads as text, but YAML 1.1 as a merge key."""

KIND_NAMES = {
    TEXT: "text",
    WORD: "a word that must be quoted",
    MERGE: "a merge key (<<)",
    NULL: "nothing",
    BOOLEAN: "true or false",
    INTEGER: "a number",
    FLOAT: "a number",
    MAP: "a map",
    LIST: "a list",
}
"""The names of node kinds in messages."""

# The core schema of YAML 1.2.
_RESOLVED = (
    (NULL, re.compile(r"|~|null|Null|NULL")),
    (BOOLEAN, re.compile(r"true|True|TRUE|false|False|FALSE")),
    (INTEGER, re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")),
    (
        FLOAT,
        re.compile(
            r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
    ),
    (WORD, re.compile("yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|y|Y|n|N")),
    (MERGE, re.compile("<<")),
)
_MAY_BE_RESOLVED = frozenset("~nNtTfF-+.0123456789yYoO<")

# Phrases in PyYAML's messages, and their meaning for the author of the document.
_SYNTAX = (
    ("mapping values are not allowed", "a colon that cannot stand here; quote text that has one"),
    ("cannot start any token", "a character that cannot start a value; quote the text"),
    ("unexpected end of stream", "a quote that is not closed"),
    ("document separator", "a quote that is not closed"),
    ("escape", "an escape that double quotes do not have; use single quotes"),
    ("block end", "the indentation does not match that of the lines before"),
    ("expected key", "the indentation does not match that of the lines before"),
    ("expected ':'", "a colon is missing after a name"),
    ("expected node content", "a value is missing, or a bracket is not closed"),
    ("expected the node content", "a value is missing, or a bracket is not closed"),
    ("expected ',' or", "a comma or a closing bracket is missing"),
    ("depth", "nested too deeply"),
    ("directive", "a directive that is not supported"),
)

# Characters that YAML does not allow, and characters that are line breaks only in YAML 1.1.
_NOT_YAML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_NOT_A_BREAK = re.compile("[\x85\u2028\u2029]")
_PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


class Node(NamedTuple):
    """A part of a document: a scalar's text, the pairs of a map, or the items of a list."""

    kind: str
    position: Position
    text: str = ""
    pairs: "tuple[tuple[Node, Node], ...]" = ()
    items: "tuple[Node, ...]" = ()

    def __repr__(self) -> str:
        return f"Node({self.kind}, {self.position})"  # it may contain a secret


class _RefusedError(Exception):
    """The rest of the document cannot be read; the problem has already been added."""


def parse_document(content: bytes, file: str, problems: Problems) -> Node | None:
    """Parse a document; on failure, add to ``problems`` and return None."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        problems.add(_position_of_end(file, before), "", "not UTF-8 text")
        return None
    for pattern, what in (
        (_NOT_YAML, "is not allowed here; write it as an escape in double quotes"),
        (_NOT_A_BREAK, "is a line break for some programs; write it as an escape in double quotes"),
    ):
        if (found := pattern.search(text)) is not None:
            position = _position_of_end(file, text[: found.start()])
            problems.add(position, "", f"the character U+{ord(found[0]):04X} {what}")
            return None
    try:
        return _Composer(file, problems).compose(_as_yaml(text))
    except _RefusedError:
        return None


def _position_of_end(file: str, before: str) -> Position:
    lines = re.split("\r\n|\r|\n", before)
    return Position(file, len(lines), len(lines[-1]) + 1)


def _as_yaml(text: str) -> str:
    """Convert JSON to a form that PyYAML accepts; return any other text unchanged.

    JSON is YAML, but PyYAML refuses tabs between values and escaped surrogate pairs.
    """
    if not text.lstrip().startswith("{") or not ("\t" in text or _PAIR.search(text)):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text

    def string(found: re.Match[str]) -> str:
        # Also match escaped backslashes, so that a u after one does not count as an escape.
        return re.sub(rf"\\\\|{_PAIR.pattern}", pair, found[0])

    def pair(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        units = bytes.fromhex(found[1] + found[2])
        return units.decode("utf-16-be")

    parts, end = [], 0
    for found in _JSON_STRING.finditer(text):
        parts += [text[end : found.start()].replace("\t", " "), string(found)]
        end = found.end()
    return "".join(parts) + text[end:].replace("\t", " ")


class _Composer:
    """Builds nodes from PyYAML's events."""

    def __init__(self, file: str, problems: Problems) -> None:
        import yaml

        self._yaml = yaml
        self._file = file
        self._problems = problems

    def compose(self, text: str) -> Node:
        loader: Any = getattr(self._yaml, "CSafeLoader", self._yaml.SafeLoader)(text)
        try:
            return self._document(loader.get_event)
        except self._yaml.MarkedYAMLError as error:
            said = _syntax_problem(error.problem)
            mark = error.problem_mark
            if mark is None or said.endswith("not closed"):
                mark = error.context_mark or mark  # the start of the unclosed part
            raise self._refused(self._position(mark), said) from None
        except (self._yaml.YAMLError, RecursionError):
            raise self._refused(Position(self._file), "not valid YAML") from None
        finally:
            loader.dispose()

    def _document(self, next_event: Callable[[], Any]) -> Node:
        next_event()  # the start of the stream
        event = next_event()
        if isinstance(event, self._yaml.StreamEndEvent):
            raise self._refused(Position(self._file, 1, 1), "the file is empty")
        node = self._node(next_event(), next_event, 0)
        next_event()  # the end of the document
        event = next_event()
        if not isinstance(event, self._yaml.StreamEndEvent):
            raise self._refused(
                self._position(event.start_mark), "a second document; use a file for each"
            )
        return node

    def _node(self, event: Any, next_event: Callable[[], Any], level: int) -> Node:
        position = self._position(event.start_mark)
        if isinstance(event, self._yaml.AliasEvent) or event.anchor is not None:
            raise self._refused(
                position,
                "anchors and aliases are not supported; quote text that starts with & or *",
            )
        if event.tag is not None:
            raise self._refused(position, "tags are not supported; quote text that starts with !")
        if isinstance(event, self._yaml.ScalarEvent):
            return Node(_kind_of(event), position, event.value)
        if level >= MAX_LEVELS:
            raise self._refused(position, "nested too deeply")
        parts: list[Node] = []
        is_map = isinstance(event, self._yaml.MappingStartEvent)
        end = self._yaml.MappingEndEvent if is_map else self._yaml.SequenceEndEvent
        while not isinstance(part := next_event(), end):
            parts.append(self._node(part, next_event, level + 1))
        if not is_map:
            return Node(LIST, position, items=tuple(parts))
        return Node(MAP, position, pairs=tuple(zip(parts[::2], parts[1::2], strict=True)))

    def _position(self, mark: Any) -> Position:
        if mark is None:
            return Position(self._file)
        return Position(self._file, mark.line + 1, mark.column + 1)

    def _refused(self, position: Position, what: str) -> _RefusedError:
        self._problems.add(position, "", what)
        return _RefusedError()


def _kind_of(event: Any) -> str:
    text: str = event.value
    if event.style or (text and text[0] not in _MAY_BE_RESOLVED):
        return TEXT
    return next((kind for kind, form in _RESOLVED if form.fullmatch(text)), TEXT)


def _syntax_problem(problem: str | None) -> str:
    # PyYAML's own message may quote the document.
    known = next((said for theirs, said in _SYNTAX if theirs in (problem or "")), None)
    return f"not valid YAML: {known}" if known else "not valid YAML"
