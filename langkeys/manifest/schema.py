"""What a manifest may hold: one table, for the reader and for the JSON Schema of editors."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from langkeys.models import CREDENTIAL, GENERIC

FORM = 1
"""The version of manifests that is read."""

TEXT, BOOLEAN, SPAN, WHEN, CHOICE, CHOICES, TEXTS, OBJECT, MAP, VERSION = (
    "text", "boolean", "span", "when", "choice", "choices", "texts", "object", "map", "version",
)  # fmt: skip

PRESENT, ABSENT = "present", "absent"
ON_CREATE, ALWAYS = "on_create", "always"
BARE, DOTENV, K8S_SECRET = "bare", "dotenv", "k8s-secret"


class Field(NamedTuple):
    """A field of an object: its kind, what it is for, and what it may hold."""

    kind: str
    about: str
    choices: tuple[str, ...] = ()
    part: str = ""
    """The object that the field, or each entry of the map, is."""


class Form(NamedTuple):
    """An object: its fields, which of them cannot stand together, and which need others.

    ``needed`` are fields one of which must be there. With ``unless_absent`` only the field
    ``state`` counts where it is ``absent``: an overlay can remove a thing by that one line.
    """

    fields: Mapping[str, Field]
    exclusive: tuple[tuple[str, ...], ...] = ()
    requires: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """A field, and those of which each must stand beside it."""
    needed: tuple[str, ...] = ()
    unless_absent: bool = False


_STATE = Field(CHOICE, "absent removes it.", (PRESENT, ABSENT))
_VARIABLES = Field(MAP, "Variables by name.", part="variable")

FORMS: Mapping[str, Form] = {
    "manifest": Form(
        {
            "version": Field(VERSION, "The version of this format: 1."),
            "name": Field(TEXT, "The name of the deployment, for the audit trail."),
            "every_user": Field(
                OBJECT, "What every active user has; a user's own entry wins.", part="every_user"
            ),
            "users": Field(MAP, "Users by name.", part="user"),
            "complete": Field(
                CHOICES, "With --prune, users that are not listed are deactivated.", ("users",)
            ),
        },
        needed=("version",),
    ),
    "every_user": Form({"variables": _VARIABLES}),
    "user": Form(
        {
            "is_active": Field(BOOLEAN, "Whether the user can log in. A new one: true."),
            "is_superuser": Field(BOOLEAN, "Whether the user is a superuser. A new one: false."),
            "password_from": Field(OBJECT, "Where the password comes from.", part="source"),
            "password_to": Field(
                OBJECT, "Where a generated password is written.", part="password_file"
            ),
            "set_password": Field(
                CHOICE,
                "on_create: only a new user gets the password (default). always: the user has it.",
                (ON_CREATE, ALWAYS),
            ),
            "revoke_keys": Field(BOOLEAN, "true revokes all API keys of the user."),
            "api_keys": Field(MAP, "API keys by name.", part="api_key"),
            "variables": _VARIABLES,
            "complete": Field(
                CHOICES,
                "With --prune, what is not listed is removed.",
                ("api_keys", "variables"),
            ),
        },
        exclusive=(("password_from", "password_to"),),
    ),
    "variable": Form(
        {
            "state": _STATE,
            "type": Field(CHOICE, "A new one: Credential.", (CREDENTIAL, GENERIC)),
            "value": Field(TEXT, "The value of a Generic variable; never a secret."),
            "value_from": Field(OBJECT, "Where the value comes from.", part="source"),
            "default_fields": Field(TEXTS, 'The fields it is filled in for ("Apply to fields").'),
        },
        exclusive=(("value", "value_from"),),
        requires=(("value", ("type",)),),
        unless_absent=True,
    ),
    "api_key": Form(
        {
            "state": _STATE,
            "is_active": Field(BOOLEAN, "Whether the key works."),
            "expires": Field(SPAN, "How long the key lives from its creation, such as 90d."),
            "expires_at": Field(WHEN, "When the key expires: a time (ISO 8601), or never."),
            "renew_before": Field(SPAN, "Replace the key this long before it expires."),
            "renew_after": Field(SPAN, "Replace the key when it is this old."),
            "grace": Field(SPAN, "How long a replaced key works on."),
            "value_from": Field(OBJECT, "Where the key itself comes from.", part="source"),
            "write_to": Field(OBJECT, "Where a generated key is written.", part="key_file"),
        },
        exclusive=(("value_from", "write_to"), ("expires", "expires_at")),
        requires=(("renew_before", ("expires", "write_to")), ("renew_after", ("write_to",))),
        unless_absent=True,
    ),
    "source": Form(
        {
            "file": Field(TEXT, "A file, relative to the manifest."),
            "env": Field(TEXT, "An environment variable of langkeys' own process."),
            "optional": Field(BOOLEAN, "true: where it is missing or empty, leave it alone."),
        },
        exclusive=(("file", "env"),),
        needed=("file", "env"),
    ),
    "password_file": Form(
        {"file": Field(TEXT, "A file, relative to the manifest; it is made 0600.")},
        needed=("file",),
    ),
    "key_file": Form(
        {
            "file": Field(TEXT, "A file, relative to the manifest; it is made 0600."),
            "format": Field(CHOICE, "Default: bare.", (BARE, DOTENV, K8S_SECRET)),
            "variable": Field(TEXT, "dotenv: the variable. Default: LANGFLOW_API_KEY."),
            "secret": Field(OBJECT, "k8s-secret: what the Secret is called.", part="secret"),
        },
        requires=(("variable", ("format",)), ("secret", ("format",))),
        needed=("file",),
    ),
    "secret": Form(
        {
            "name": Field(TEXT, "The Secret's name. Default: langflow-api-key."),
            "namespace": Field(TEXT, "The Secret's namespace."),
            "key": Field(TEXT, "The Secret's data key. Default: api-key."),
        }
    ),
}

SPAN_FORM = "[0-9]{1,9}[smhdw]"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of manifests, for editors: draft 7, as they know it best."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "langkeys manifest",
        "description": "Users, API keys and variables of a Langflow, for langkeys apply.",
        **_described_form(FORMS["manifest"]),
        "definitions": {
            name: _described_form(form) for name, form in FORMS.items() if name != "manifest"
        },
    }


def _described_form(form: Form) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _described(field) for name, field in form.fields.items()},
    }
    if len(form.needed) == 1:
        described["required"] = list(form.needed)
    rules: list[dict[str, Any]] = [{"not": {"required": list(fields)}} for fields in form.exclusive]
    if len(form.needed) > 1:
        rules.append({"anyOf": [{"required": [name]} for name in form.needed]})
    rules += [
        {"if": {"required": [name]}, "then": {"required": list(others)}}
        for name, others in form.requires
    ]
    if form.unless_absent:
        absent = {"required": ["state"], "properties": {"state": {"const": ABSENT}}}
        rules = [{"anyOf": [absent, rule]} for rule in rules]
    if rules:
        described["allOf"] = rules
    return described


def _described(field: Field) -> dict[str, Any]:
    part = {"$ref": f"#/definitions/{field.part}"}
    kinds: dict[str, dict[str, Any]] = {
        TEXT: {"type": "string", "minLength": 1},
        BOOLEAN: {"type": "boolean"},
        SPAN: {"type": "string", "pattern": f"^{SPAN_FORM}$"},
        WHEN: {"type": "string", "minLength": 1},
        CHOICE: {"enum": list(field.choices)},
        CHOICES: {"type": "array", "items": {"enum": list(field.choices)}},
        TEXTS: {"type": "array", "items": {"type": "string", "minLength": 1}},
        VERSION: {"const": FORM},
        MAP: {"type": "object", "propertyNames": {"minLength": 1}, "additionalProperties": part},
        # What stands beside a $ref is ignored in this draft.
        OBJECT: {"allOf": [part]},
    }
    return {"description": field.about, **kinds[field.kind]}
