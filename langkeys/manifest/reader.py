"""Read manifests from files, merge them, and read the secrets that they refer to.

A single run finds all problems: invalid form, contradictions, and missing secrets.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os.path import realpath
from pathlib import Path
from typing import Any, TypeVar

from langkeys.api_keys.ensure import is_api_key
from langkeys.crypto import password_rules
from langkeys.errors import LangkeysError
from langkeys.files.reading import read_bytes
from langkeys.manifest import schema
from langkeys.manifest.declared import (
    DeclaredKey,
    DeclaredUser,
    DeclaredVariable,
    Entry,
    Manifest,
    OutputFile,
    Source,
)
from langkeys.manifest.document import MAP, Node, parse_document
from langkeys.manifest.problems import Position, Problems, is_secret_value
from langkeys.manifest.secret_sources import SecretReader
from langkeys.manifest.walker import Object, Value, Walker
from langkeys.models import GENERIC
from langkeys.variables.formats import (
    check_kubernetes_key,
    check_kubernetes_names,
    dotenv,
)

STDIN = "-"
SUFFIXES = (".yaml", ".yml", ".json")

Some = TypeVar("Some", bound=Entry)


def read_manifests(
    paths: Sequence[str], *, environ: Mapping[str, str], read_stdin: Callable[[], bytes]
) -> Manifest:
    """Read and merge manifests; a folder means all manifests in it, ``-`` means stdin.

    Raises one error that lists all problems. Writes nothing, and reads only files, stdin and
    ``environ``.
    """
    problems = Problems()
    reader = _Reader(problems, SecretReader(environ, problems))
    for label, folder, content in _contents(paths, read_stdin, problems):
        reader.read(content, label, folder)
    found = reader.merged()
    problems.require_none()
    return found


def _contents(
    paths: Sequence[str], read_stdin: Callable[[], bytes], problems: Problems
) -> "list[tuple[str, Path, bytes]]":
    found = []
    seen: set[Path] = set()
    for text in paths:
        if text == STDIN:
            if Path(STDIN) in seen:
                problems.add(Position("stdin"), "", "stdin can only be read once")
                continue
            seen.add(Path(STDIN))
            found.append(("stdin", Path.cwd(), read_stdin()))
            continue
        if not text:
            # Probably a shell variable that is not set; Path would treat it as the current folder.
            problems.add(Position("-f"), "", "the name of a manifest is empty")
            continue
        for path in _files_at(Path(text), problems):
            try:
                if path.resolve() in seen:
                    problems.add(Position(str(path)), "", "the file is given twice")
                    continue
                seen.add(path.resolve())
                content = read_bytes(path, "a manifest")
            except (LangkeysError, OSError, RuntimeError) as error:
                said = error.message if isinstance(error, LangkeysError) else str(error)
                problems.add(Position(str(path)), "", said)
            else:
                found.append((str(path), path.absolute().parent, content))
    return found


def _files_at(path: Path, problems: Problems) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        inside = sorted(
            found
            for found in path.iterdir()
            # Mounted ConfigMaps contain hidden folders and links.
            if found.suffix in SUFFIXES and not found.name.startswith(".")
        )
    except (OSError, ValueError) as error:
        problems.add(Position(str(path)), "", f"cannot be read: {error}")
        return []
    if not inside:
        problems.add(Position(str(path)), "", f"no manifest in this folder ({', '.join(SUFFIXES)})")
    return inside


class _Reader:
    def __init__(self, problems: Problems, secrets: SecretReader) -> None:
        self._problems = problems
        self._secrets = secrets
        self._walker = Walker(problems)
        self._folder = Path()
        self._files: list[str] = []
        self._name: Value | None = None
        self._complete: Value | None = None
        self._every_user: dict[str, DeclaredVariable] = {}
        self._users: dict[str, DeclaredUser] = {}

    def _add(self, position: Position, path: str, what: str) -> None:
        self._problems.add(position, path, what)

    def read(self, content: bytes, label: str, folder: Path) -> None:
        """Read one file, and merge it with the previous ones."""
        self._folder = folder
        self._files.append(label)
        node = parse_document(content, label, self._problems)
        if node is None or not self._is_manifest(node):
            return
        found = self._walker.object(node, "manifest", "")
        if found is None:
            return
        self._name = self._once(self._name, found.get("name"))
        self._complete = self._once(self._complete, found.get("complete"))
        every = _part(found, "every_user").get("variables")
        if every is not None:
            self._merge(self._every_user, self._variables(every.value))
        for name, value in _part(found, "users").items():
            self._merge(self._users, {name: self._user(name, value)})

    def _is_manifest(self, node: Node) -> bool:
        known = schema.OBJECT_TYPES["manifest"].fields
        if node.kind != MAP or not any(key.text in known for key, _ in node.pairs):
            self._add(
                node.position, "", f"not a manifest of langkeys: it has none of {', '.join(known)}"
            )
            return False
        return True

    def _once(self, before: Value | None, found: Value | None) -> Value | None:
        if before is not None and found is not None:
            self._add(found.position, found.path, f"is in {before.position} already")
        return found or before

    def _merge(self, all_: dict[str, Some], found: Mapping[str, Some]) -> None:
        for name, entry in found.items():
            if name in all_:
                self._add(entry.position, entry.path, f"is in {all_[name].position} already")
            else:
                all_[name] = entry

    def merged(self) -> Manifest:
        """Check rules that concern several files, and return all files as one manifest."""
        self._check_outputs()
        self._check_values()
        return Manifest(
            name=None if self._name is None else self._name.value,
            every_user=self._every_user,
            users=self._users,
            is_complete=self._complete is not None and "users" in self._complete.value,
            files=tuple(self._files),
        )

    def _check_outputs(self) -> None:
        # Two entries for the same file would overwrite each other; links and ".." are resolved.
        first: dict[str, OutputFile] = {}
        for user in self._users.values():
            outputs = [user.output, *(key.output for key in user.api_keys.values())]
            for output in filter(None, outputs):
                other = first.setdefault(realpath(output.file), output)
                if other is not output:
                    what = f"the same file as {other.path} in {other.position}"
                    self._add(output.position, output.path, what)
        for source in self._secrets.asked:
            read_here = None if source.file is None else first.get(realpath(source.file))
            if read_here is not None:
                what = f"the same file as {source.path} in {source.position}, which is read"
                self._add(read_here.position, read_here.path, what)

    def _check_values(self) -> None:
        """Add a problem if two entries have the same API key: servers refuse a duplicate."""
        first: dict[str, DeclaredKey] = {}
        for key in (key for user in self._users.values() for key in user.api_keys.values()):
            if key.value is not None and (other := first.setdefault(key.value, key)) is not key:
                what = f"the same API key as {other.path} in {other.position}"
                self._add(key.field_positions["value_from"], f"{key.path}.value_from", what)

    def _user(self, name: str, value: Value) -> DeclaredUser:
        fields: Object = value.value
        source, password = self._secret(fields, "password_from")
        if password is not None:
            refusal = password_rules.refusal(password)
            if refusal is not None:
                self._add(fields["password_from"].position, f"{value.path}.password_from", refusal)
        keys = {key: self._api_key(key, found) for key, found in _part(fields, "api_keys").items()}
        revoke_keys = bool(_value(fields, "revoke_keys"))
        if revoke_keys and not all(key.is_absent for key in keys.values()):
            what = "revokes all API keys of the user, and there are api_keys"
            self._add(fields["revoke_keys"].position, fields["revoke_keys"].path, what)
        return DeclaredUser(
            name,
            value.position,
            value.path,
            is_active=_value(fields, "is_active"),
            is_superuser=_value(fields, "is_superuser"),
            source=source,
            password=password,
            output=self._output(fields, "password_to"),
            sets_password=_value(fields, "set_password") == schema.ALWAYS,
            revoke_keys=revoke_keys,
            api_keys=keys,
            variables=self._variables(_part(fields, "variables")),
            complete=frozenset(_value(fields, "complete") or ()),
        )

    def _variables(self, found: Mapping[str, Value]) -> dict[str, DeclaredVariable]:
        return {name: self._variable(name, value) for name, value in found.items()}

    def _variable(self, name: str, value: Value) -> DeclaredVariable:
        fields: Object = value.value
        variable = DeclaredVariable(
            name,
            value.position,
            value.path,
            type=_value(fields, "type"),
            default_fields=_value(fields, "default_fields"),
        )
        if _value(fields, "state") == schema.ABSENT:
            return replace(variable, is_absent=True)
        source, text = self._secret(fields, "value_from")
        if "value" in fields:
            text = fields["value"].value
            position, path = fields["value"].position, fields["value"].path
            if variable.type is not None and variable.type != GENERIC:
                self._add(
                    position, path, f"requires type {GENERIC}: use value_from for a Credential"
                )
            elif is_secret_value(text):
                self._add(position, path, "looks like a secret: use value_from and type Credential")
        for name_ in variable.default_fields or ():
            if not name_.strip():
                self._add(
                    value.position, f"{value.path}.default_fields", "has a field without a name"
                )
        return replace(variable, source=source, value=text)

    def _api_key(self, name: str, value: Value) -> DeclaredKey:
        fields: Object = value.value
        if _value(fields, "state") == schema.ABSENT:
            return DeclaredKey(name, value.position, value.path, is_absent=True)
        source, text = self._secret(fields, "value_from")
        if text is not None and not is_api_key(text):
            what = "is not an API key: sk- and at least 32 more characters, on one line"
            self._add(fields["value_from"].position, fields["value_from"].path, what)
        key = DeclaredKey(
            name,
            value.position,
            value.path,
            is_active=_value(fields, "is_active"),
            expires=_value(fields, "expires"),
            expires_at=_value(fields, "expires_at"),
            renew_before=_value(fields, "renew_before"),
            renew_after=_value(fields, "renew_after"),
            grace=_value(fields, "grace"),
            source=source,
            value=text,
            output=self._output(fields, "write_to"),
            field_positions={field: found.position for field, found in fields.items()},
        )
        if key.expires and key.renew_before and key.renew_before >= key.expires:
            what = "must be less than expires: otherwise every run would renew the key"
            self._add(fields["renew_before"].position, fields["renew_before"].path, what)
        if key.grace is not None and "value_from" not in fields and "write_to" not in fields:
            what = "requires write_to or value_from: otherwise no key is replaced"
            self._add(fields["grace"].position, fields["grace"].path, what)
        return key

    def _secret(self, fields: Object, name: str) -> tuple[Source | None, str | None]:
        if name not in fields:
            return None, None
        found: Object = fields[name].value
        file, env = _value(found, "file"), _value(found, "env")
        if (file is None) == (env is None):
            return None, None  # this is already reported as a problem
        if file is not None and "\0" in file:
            self._add(fields[name].position, fields[name].path, "is not the name of a file")
            return None, None
        source = Source(
            fields[name].position,
            fields[name].path,
            file=None if file is None else self._path(file),
            env=env,
            optional=bool(_value(found, "optional")),
        )
        return source, self._secrets.find(source)

    def _path(self, text: str) -> Path:
        # Do not normalize the path: .. may follow a link.
        return self._folder / text

    def _output(self, fields: Object, name: str) -> OutputFile | None:
        if name not in fields:
            return None
        position, path, found = fields[name].position, fields[name].path, fields[name].value
        file = _value(found, "file")
        if file is None:
            return None
        if "\0" in file or file.endswith("/") or file == STDIN:
            self._add(position, path, "is not the name of a file")
            return None
        format_ = _value(found, "format") or schema.BARE
        secret: Object = _part(found, "secret")
        for field, wanted in (("variable", schema.DOTENV), ("secret", schema.K8S_SECRET)):
            if field in found and format_ != wanted:
                self._add(found[field].position, found[field].path, f"requires format: {wanted}")
        output = OutputFile(
            position,
            path,
            self._path(file),
            format_,
            **({"variable": found["variable"].value} if "variable" in found else {}),
            secret_name=_value(secret, "name"),
            secret_namespace=_value(secret, "namespace"),
            secret_key=_value(secret, "key"),
        )
        self._check_names(output)
        return output

    def _check_names(self, output: OutputFile) -> None:
        try:
            list(dotenv([(output.variable, "")]))
            check_kubernetes_names(output.secret_name or "name", output.secret_namespace)
            if output.secret_key is not None:
                check_kubernetes_key(output.secret_key)
        except LangkeysError as error:
            self._add(output.position, output.path, error.message)


def _value(fields: Object, name: str) -> Any:
    return fields[name].value if name in fields else None


def _part(fields: Object, name: str) -> Mapping[str, Value]:
    found: Mapping[str, Value] = _value(fields, name) or {}
    return found
