"""Export the database as a manifest without secrets.

A plan made with it immediately afterwards contains no changes.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from langkeys.api_keys.lifetimes import Replacements
from langkeys.manifest import schema
from langkeys.manifest.context import Context
from langkeys.manifest.plan_keys import is_servers_own
from langkeys.manifest.problems import is_secret_value, looks_secret
from langkeys.models import CREDENTIAL, GENERIC, ApiKey, User, Variable
from langkeys.store.records import KeyFilter
from langkeys.text import MAX_NAME_LENGTH, is_utf8
from langkeys.times import iso
from langkeys.variables.environment_names import is_credential
from langkeys.variables.lifecycle import is_touched

_ENVIRONMENT_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_NOT_IN_FILE_NAMES = re.compile("[^A-Za-z0-9_.-]")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WORDS = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n", "inf", "nan"))

Users = Mapping[str, Mapping[str, Any]]


class Exporter:
    """Describes users in the form of a manifest.

    ``reveal`` includes the values of Generic variables. ``left_out`` gets a sentence about each
    entry that a manifest cannot contain.
    """

    def __init__(self, context: Context, *, reveal: bool, left_out: Callable[[str], None]) -> None:
        self._context = context
        self._reveal = reveal
        self._left_out = left_out

    def describe(self, users: Iterable[User], moment: datetime) -> Iterator[tuple[str, Any]]:
        """Yield user names and their entries, as they are at the time ``moment``."""
        for user in users:
            if not self._check_name("user", user.username, ""):
                continue
            found: dict[str, Any] = {
                "is_active": user.is_active,
                "is_superuser": user.is_superuser,
            }
            if keys := self._keys(user, moment):
                found["api_keys"] = keys
            if variables := self._variables(user):
                found["variables"] = variables
            yield user.username, found

    def _check_name(self, kind: str, name: str, owner: str) -> bool:
        """Tell whether a manifest can contain a name; if not, report that to ``left_out``."""
        of = f" of {owner}" if owner else ""
        if looks_secret(name):
            self._left_out(f"a {kind}{of} whose name looks like a secret is left out")
        elif not name or len(name) > MAX_NAME_LENGTH:
            self._left_out(f"a {kind}{of} with an empty or very long name is left out")
        else:
            return True
        return False

    def _keys(self, user: User, moment: datetime) -> dict[str, Any]:
        by_name: dict[str, list[ApiKey]] = {}
        for row in self._context.store.api_keys(KeyFilter(now=moment, user_id=user.id)):
            if not is_servers_own(row.name) and row.name is not None:
                by_name.setdefault(row.name, []).append(row)
        return {
            name: self._key(rows, moment)
            for name, rows in by_name.items()
            if self._check_name("key", name, user.username)
        }

    def _key(self, rows: list[ApiKey], moment: datetime) -> dict[str, Any]:
        generation = self._context.generation
        rows.sort(key=lambda row: (row.created_at, row.id))
        replaced = Replacements(rows)
        lasting = [row for row in rows if replaced.find_newer(row) is None]
        working = [row for row in lasting if row.status(moment) == "active"]
        # This is the row that a plan compares with the manifest.
        counts = (working or lasting or rows)[-1]
        found: dict[str, Any] = {}
        if generation.has_key_expiry:
            ends = counts.expires_at
            found["expires_at"] = "never" if ends is None else iso(ends)
        if generation.honours_key_state and not counts.is_active:
            found["is_active"] = False
        return found

    def _variables(self, user: User) -> dict[str, Any]:
        by_name: dict[str, list[Variable]] = {}
        for row in self._context.store.variables(user.id):
            by_name.setdefault(row.name, []).append(row)
        return {
            name: self._variable(name, rows)
            for name, rows in by_name.items()
            if self._check_name("variable", name, user.username)
        }

    def _variable(self, name: str, rows: Sequence[Variable]) -> dict[str, Any]:
        first = rows[0]
        found: dict[str, Any] = {}
        if first.type in (CREDENTIAL, GENERIC) and _is_same(row.type for row in rows):
            found["type"] = first.type
        if first.type == GENERIC:
            is_generic = "type" in found  # only if all rows have this type
            value = self._value(rows) if self._reveal and is_generic else None
            if value is not None:
                found["value"] = value
        else:
            found["value_from"] = {**self._source(name), "optional": True}
        names = first.default_fields or ()
        if names and _is_same(row.default_fields for row in rows) and _can_be_declared(names):
            found["default_fields"] = list(names)
        return found

    def _source(self, name: str) -> dict[str, str]:
        """Return the source of a Credential's value: an environment variable, or else a file.

        Names such as PATH or HOME belong to other variables, so their source is a file.
        """
        is_taken = name in self._context.settings.environ and not is_credential(name)
        if _ENVIRONMENT_NAME.fullmatch(name) and not is_taken:
            return {"env": name}
        file = _NOT_IN_FILE_NAMES.sub("_", name)
        # The names . and .. mean folders.
        return {"file": f"secrets/{file if file.strip('.') else '_' * len(file)}"}

    def _value(self, rows: Sequence[Variable]) -> str | None:
        """Return the value of a Generic variable, or None if the manifest must not declare it."""
        context = self._context
        values = {context.find_value(row) for row in rows}
        if len(values) != 1:
            return None
        (value,) = values
        if not value or is_secret_value(value):
            return None
        if all(row.is_environment_managed is False or is_touched(row) for row in rows):
            return value
        # If the server's environment sets the value, declaring it would be a change.
        return None if rows[0].name in context.imported else value


def _can_be_declared(names: Sequence[str]) -> bool:
    """Tell whether a manifest accepts these field names: non-empty, valid text, no duplicates."""
    is_text = all(name.strip() and is_utf8(name) for name in names)
    return is_text and len(set(names)) == len(names)


def _is_same(values: Iterable[Any]) -> bool:
    return len(set(values)) == 1


def yaml_lines(name: str | None, users: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """Yield a manifest as YAML."""
    yield f"version: {schema.FORMAT_VERSION}"
    if name is not None:
        yield f"name: {_text(name)}"
    first = True
    for username, user in users:
        if first:
            yield "users:"
            first = False
        yield f"  {_text(username)}:"
        for field, value in user.items():
            if not isinstance(value, Mapping):
                yield f"    {field}: {_flow(value)}"
                continue
            yield f"    {field}:"
            for entry, content in value.items():
                yield f"      {_text(entry)}: {_flow(content)}"
    if first:
        yield "users: {}"


def _text(text: str) -> str:
    """Return text unquoted if every YAML parser reads it as text, else as a JSON string."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    from langkeys.text import json_visible

    quoted = json.dumps(text, ensure_ascii=False)
    return json_visible(quoted).replace("\x7f", "\\u007f") if _is_bmp(text) else _escaped(quoted)


def _is_bmp(text: str) -> bool:
    return all(character <= "\uffff" for character in text)


def _escaped(quoted: str) -> str:
    # YAML has a single escape for a character that JSON writes as a surrogate pair.
    from langkeys.text import visible

    return "".join(
        character
        if visible(character) == character
        else (f"\\U{ord(character):08X}" if character > "\uffff" else f"\\u{ord(character):04x}")
        for character in quoted
    )


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(str(value))
