"""The JSON Schema of manifests is generated from the reader's table, and agrees with the reader."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from langkeys.errors import LangkeysError
from langkeys.manifest import schema
from langkeys.manifest.reader import read_manifests

from ..support.sites import Site
from .test_reader import WRONG_FIELDS

DOCS = Path(__file__).parents[2] / "docs"


def example() -> str:
    """The manifest in docs/manifest.md."""
    page = (DOCS / "manifest.md").read_text(encoding="utf-8")
    return re.findall(r"```yaml\n(version: 1\nname.*?)```", page, re.DOTALL)[0]  # type: ignore[no-any-return]


def is_valid(text: str) -> bool:
    jsonschema: Any = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft7Validator(schema.json_schema())
    jsonschema.Draft7Validator.check_schema(schema.json_schema())
    return bool(validator.is_valid(yaml.load(text, _Loader)))


class _Loader(yaml.SafeLoader):
    """Loads times as text, as YAML 1.2 does."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if not tag.endswith("timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def test_the_schema_in_the_repository_is_up_to_date(site: Site) -> None:
    printed = site.call("apply", "--schema").done().stdout
    assert printed == (DOCS / "manifest.schema.json").read_text(encoding="utf-8")
    assert json.loads(printed) == schema.json_schema()


def test_the_example_in_the_documents_is_valid_and_can_be_read() -> None:
    assert is_valid(example())
    with pytest.raises(LangkeysError) as caught:
        read_manifests(["-"], environ={}, read_stdin=lambda: example().encode())
    # The only problems are the secret files, which are not on this machine.
    assert all("value_from" in line or "_from" in line for line in caught.value.candidates)
    assert len(caught.value.candidates) == 4


SHAPES = [
    name
    for name in WRONG_FIELDS
    # Rules that a JSON Schema cannot express, and syntax that JSON does not have.
    if name not in (
        "a word where text is due", "a bad time", "a value that is an API key", "stdout",
        "a value that is encrypted", "a renewal at every run", "a Secret of another format",
        "a bad name of a Secret", "one file for two", "a name that is a secret",
        "a file that is a secret", "names that differ in case", "a variable's name with =",
        "a value of a Credential", "a grace of nothing", "keys of one who shall have none",
        "text where true or false is due", "no time at all",
    )
]  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_what_the_reader_refuses_the_schema_refuses(name: str) -> None:
    assert not is_valid(f"version: 1\n{WRONG_FIELDS[name][0]}\n")


def test_an_overlay_may_remove_a_key_with_one_line() -> None:
    assert is_valid("version: 1\nusers: {a: {api_keys: {k: {state: absent, renew_after: 1d}}}}")
    assert not is_valid("version: 1\nusers: {a: {api_keys: {k: {renew_after: 1d}}}}")
