"""The schema of manifests: one table for the reader and for the JSON Schema of editors."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from langkeys.models import CREDENTIAL, GENERIC

FORMAT_VERSION = 1
"""The supported version of the format."""

TEXT, BOOLEAN, SPAN, WHEN, CHOICE, CHOICES, TEXTS, OBJECT, MAP, VERSION = (
    "text", "boolean", "span", "when", "choice", "choices", "texts", "object", "map", "version",
)  # fmt: skip

PRESENT, ABSENT = "present", "absent"
ON_CREATE, ALWAYS = "on_create", "always"
BARE, DOTENV, K8S_SECRET = "bare", "dotenv", "k8s-secret"


class Field(NamedTuple):
    """A field of an object: its kind, its description, and its permitted values."""

    kind: str
    about: str
    choices: tuple[str, ...] = ()
    type_name: str = ""
    """The object type of the field, or of each value in the map."""


class ObjectType(NamedTuple):
    """A type of object: its fields, which fields exclude each other, and which require others.

    An object must have at least one of the fields in ``needed``. With ``unless_absent``, no rule
    applies if the field ``state`` is ``absent``, so that an overlay can remove an entry with one
    line.
    """

    fields: Mapping[str, Field]
    exclusive: tuple[tuple[str, ...], ...] = ()
    requires: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Pairs of a field and the fields that it requires."""
    needed: tuple[str, ...] = ()
    unless_absent: bool = False


_STATE = Field(CHOICE, "absent removes it.", (PRESENT, ABSENT))
_VARIABLES = Field(MAP, "Variables by name.", type_name="variable")

OBJECT_TYPES: Mapping[str, ObjectType] = {
    "manifest": ObjectType(
        {
            "version": Field(VERSION, "The version of this format: 1."),
            "name": Field(TEXT, "The name of the deployment, for the audit trail."),
            "every_user": Field(
                OBJECT,
                "What every active user gets; a user's own entry takes precedence.",
                type_name="every_user",
            ),
            "users": Field(MAP, "Users by name.", type_name="user"),
            "complete": Field(
                CHOICES, "With --prune, users that are not listed are deactivated.", ("users",)
            ),
        },
        needed=("version",),
    ),
    "every_user": ObjectType({"variables": _VARIABLES}),
    "user": ObjectType(
        {
            "is_active": Field(BOOLEAN, "Whether the user can log in. Default: true."),
            "is_superuser": Field(BOOLEAN, "Whether the user is a superuser. Default: false."),
            "password_from": Field(OBJECT, "Where the password comes from.", type_name="source"),
            "password_to": Field(
                OBJECT, "Where a generated password is written.", type_name="password_file"
            ),
            "set_password": Field(
                CHOICE,
                "on_create (default): only a new user gets the password. always: an existing user"
                " gets it, too.",
                (ON_CREATE, ALWAYS),
            ),
            "revoke_keys": Field(BOOLEAN, "true revokes all API keys of the user."),
            "api_keys": Field(MAP, "API keys by name.", type_name="api_key"),
            "variables": _VARIABLES,
            "complete": Field(
                CHOICES,
                "With --prune, what is not listed is removed.",
                ("api_keys", "variables"),
            ),
        },
        exclusive=(("password_from", "password_to"),),
    ),
    "variable": ObjectType(
        {
            "state": _STATE,
            "type": Field(CHOICE, "Default for a new variable: Credential.", (CREDENTIAL, GENERIC)),
            "value": Field(TEXT, "The value of a Generic variable; never a secret."),
            "value_from": Field(OBJECT, "Where the value comes from.", type_name="source"),
            "default_fields": Field(TEXTS, 'The fields it is filled in for ("Apply to fields").'),
        },
        exclusive=(("value", "value_from"),),
        requires=(("value", ("type",)),),
        unless_absent=True,
    ),
    "api_key": ObjectType(
        {
            "state": _STATE,
            "is_active": Field(BOOLEAN, "Whether the key works."),
            "expires": Field(SPAN, "How long the key lives from its creation, such as 90d."),
            "expires_at": Field(WHEN, "When the key expires: a time (ISO 8601), or never."),
            "renew_before": Field(SPAN, "Replace the key this long before it expires."),
            "renew_after": Field(SPAN, "Replace the key when it is this old."),
            "grace": Field(SPAN, "How long a replaced key keeps working."),
            "value_from": Field(OBJECT, "Where the key itself comes from.", type_name="source"),
            "write_to": Field(OBJECT, "Where a generated key is written.", type_name="key_file"),
        },
        exclusive=(("value_from", "write_to"), ("expires", "expires_at")),
        requires=(("renew_before", ("expires", "write_to")), ("renew_after", ("write_to",))),
        unless_absent=True,
    ),
    "source": ObjectType(
        {
            "file": Field(TEXT, "A file, relative to the manifest."),
            "env": Field(TEXT, "An environment variable of langkeys' own process."),
            "optional": Field(BOOLEAN, "true: if it is missing or empty, nothing is changed."),
        },
        exclusive=(("file", "env"),),
        needed=("file", "env"),
    ),
    "password_file": ObjectType(
        {"file": Field(TEXT, "A file, relative to the manifest; created with mode 0600.")},
        needed=("file",),
    ),
    "key_file": ObjectType(
        {
            "file": Field(TEXT, "A file, relative to the manifest; created with mode 0600."),
            "format": Field(CHOICE, "Default: bare.", (BARE, DOTENV, K8S_SECRET)),
            "variable": Field(TEXT, "dotenv: the variable. Default: LANGFLOW_API_KEY."),
            "secret": Field(OBJECT, "k8s-secret: the names in the Secret.", type_name="secret"),
        },
        requires=(("variable", ("format",)), ("secret", ("format",))),
        needed=("file",),
    ),
    "secret": ObjectType(
        {
            "name": Field(TEXT, "The Secret's name. Default: langflow-api-key."),
            "namespace": Field(TEXT, "The Secret's namespace."),
            "key": Field(TEXT, "The Secret's data key. Default: api-key."),
        }
    ),
}

SPAN_PATTERN = "[0-9]{1,9}[smhdw]"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of manifests for editors, in draft 7, which most editors support."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "langkeys manifest",
        "description": "Users, API keys and variables of a Langflow, for langkeys apply.",
        **_object_schema(OBJECT_TYPES["manifest"]),
        "definitions": {
            name: _object_schema(kind) for name, kind in OBJECT_TYPES.items() if name != "manifest"
        },
    }


def _object_schema(object_type: ObjectType) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _field_schema(field) for name, field in object_type.fields.items()},
    }
    if len(object_type.needed) == 1:
        described["required"] = list(object_type.needed)
    rules: list[dict[str, Any]] = [
        {"not": {"required": list(fields)}} for fields in object_type.exclusive
    ]
    if len(object_type.needed) > 1:
        rules.append({"anyOf": [{"required": [name]} for name in object_type.needed]})
    rules += [
        {"if": {"required": [name]}, "then": {"required": list(others)}}
        for name, others in object_type.requires
    ]
    if object_type.unless_absent:
        absent = {"required": ["state"], "properties": {"state": {"const": ABSENT}}}
        rules = [{"anyOf": [absent, rule]} for rule in rules]
    if rules:
        described["allOf"] = rules
    return described


def _field_schema(field: Field) -> dict[str, Any]:
    reference = {"$ref": f"#/definitions/{field.type_name}"}
    kinds: dict[str, dict[str, Any]] = {
        TEXT: {"type": "string", "minLength": 1},
        BOOLEAN: {"type": "boolean"},
        SPAN: {"type": "string", "pattern": f"^{SPAN_PATTERN}$"},
        WHEN: {"type": "string", "minLength": 1},
        CHOICE: {"enum": list(field.choices)},
        CHOICES: {"type": "array", "items": {"enum": list(field.choices)}},
        TEXTS: {"type": "array", "items": {"type": "string", "minLength": 1}},
        VERSION: {"const": FORMAT_VERSION},
        MAP: {
            "type": "object",
            "propertyNames": {"minLength": 1},
            "additionalProperties": reference,
        },
        # In this draft, keywords next to a $ref are ignored.
        OBJECT: {"allOf": [reference]},
    }
    return {"description": field.about, **kinds[field.kind]}
