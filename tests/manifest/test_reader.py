"""Manifests are read strictly: one run reports all problems, with positions, never a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from langkeys.errors import LangkeysError, UsageError
from langkeys.manifest.declared import Manifest
from langkeys.manifest.reader import read_manifests

from ..support.samples import CREDENTIAL, new_api_key

HIDDEN = "a-value-that-nobody-may-see"


def read(
    text: str | bytes, tmp_path: Path, *, environ: Mapping[str, str] | None = None
) -> Manifest:
    path = tmp_path / "m.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_manifests(["m.yaml"], environ=environ or {}, read_stdin=lambda: b"")


def problems(text: str | bytes, tmp_path: Path, **options: Mapping[str, str]) -> list[str]:
    with pytest.raises(UsageError) as caught:
        read(text, tmp_path, **options)
    shown = f"{caught.value.message} {caught.value.hint} {caught.value.candidates}"
    assert HIDDEN not in shown
    return list(caught.value.candidates)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_each_problem_has_a_line_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    found = problems(
        "version: 1\n"
        "users:\n"
        "  no:\n"
        "    is_active: true\n"
        "  ci:\n"
        "    is_activ: true\n"
        "    is_active: true\n"
        "    is_active: false\n"
        "    variables:\n"
        "      A: {type: Generic, value: [x]}\n"
        "      B: {value_from: {env: NOT_SET}}\n"
        "      C: {value_from: {file: missing}}\n"
        "      D: {value_from: {file: there}}\n",
        tmp_path,
    )
    missing = tmp_path / "missing"
    assert found == [
        'm.yaml:3:3: users.no: write "no" in quotes: without them, other programs read it as true'
        " or false",
        "m.yaml:6:5: users.ci.is_activ: unknown field; did you mean is_active?",
        "m.yaml:8:5: users.ci.is_active: is there twice, first in line 7, column 5",
        "m.yaml:10:33: users.ci.variables.A.value: expected text, not a list",
        "m.yaml:11:11: users.ci.variables.B.value_from: the environment variable NOT_SET is not"
        " set",
        f"m.yaml:12:11: users.ci.variables.C.value_from: the file {missing} does not exist",
    ]


WRONG_DOCUMENTS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "m.yaml:1:1: the file is empty"),
    "only a comment": ("# nothing\n", "the file is empty"),
    "no UTF-8": (b"version: 1\nname: \xff", "m.yaml:2:7: not UTF-8 text"),
    "a NUL": (b"version: 1\nname: a\x00b", "m.yaml:2:8: the character U+0000"),
    "a line separator": ("version: 1\nname: a\u2028b", "m.yaml:2:8: the character U+2028"),
    "900 brackets": ("version: " + "[" * 900, "nested too deeply"),
    "a million brackets": ("[" * 1_000_000, "nested too deeply"),
    "900 maps": ("a: {" * 900, "nested too deeply"),
    "a number of 5,000 digits": ("version: " + "1" * 5000, "version: expected the number 1"),
    "a key that is a list": ("? [a]\n: b\nversion: 1", "m.yaml:1:3: a name must be text, not"),
    "a key that is a number": ("version: 1\nusers: {1: {}}", "users: a name must be"),
    "an anchor": ("version: 1\nusers: &a {}", "m.yaml:2:8: anchors and aliases"),
    "an alias": (f"version: 1\nname: *{HIDDEN}", "m.yaml:2:7: anchors and aliases"),
    "a tag": ("version: 1\nname: !!str x", "m.yaml:2:7: tags are not supported"),
    "a python object": ("version: 1\nname: !!python/object:os.system x", "tags are not supported"),
    "a merge key": ("version: 1\nusers: {<<: {}}", "users: merge keys"),
    "two documents": ("version: 1\n---\nversion: 1", "m.yaml:2:1: a second document"),
    "an open quote": (f'version: 1\nname: "{HIDDEN}\n', "m.yaml:2:7: not valid YAML: a quote that"),
    "an open bracket": ("version: 1\nusers: {", "not valid YAML: "),
    "a colon too many": (f"version: 1\nname: {HIDDEN}: b", "not valid YAML: a colon"),
    "an unknown escape": (f'version: 1\nname: "\\q{HIDDEN}"', "not valid YAML: an escape"),
    "half a character": ('{"version": 1, "name": "\\ud83d"}', "m.yaml:1:"),
    "wrong indentation": ("version: 1\nusers:\n   a: {}\n  b: {}", "YAML: the indentation"),
    "an undefined alias": (f"version: *{HIDDEN}", "anchors and aliases"),
    "a list": ("- a\n- b", "not a manifest of langkeys"),
    "text": (HIDDEN, "not a manifest of langkeys"),
    "a Kubernetes object": ("apiVersion: v1\nkind: Secret", "not a manifest of langkeys"),
    "a Compose file": ('version: "3"\nservices: {}', "expected the number 1, without quotes"),
    "a Helm template": ("version: 1\nusers: {{ .Values.x }}", "a name must be text, not a map"),
    "a GitHub workflow": ("name: CI\non: [push]", "version is missing"),
    "an .env file": (f"KEY={HIDDEN}\nOTHER=1", "not a manifest of langkeys"),
    "another version": ("version: 2", "version: expected the number 1"),
    "a version in quotes": ('version: "1"', "version: expected the number 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_DOCUMENTS)
@pytest.mark.parametrize("is_fast", [True, False], ids=["libyaml", "python"])
def test_an_invalid_document_is_refused_with_the_position(
    name: str, is_fast: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_fast:
        monkeypatch.delattr("yaml.CSafeLoader")
    text, said = WRONG_DOCUMENTS[name]
    found = problems(text, tmp_path)
    assert any(said in line for line in found), found


WRONG_FIELDS = {
    "text where true or false is due": ("users: {a: {is_active: yes}}", "expected true or false"),
    "a word where text is due": ("name: off", "name: yes, no, on, off, y and n must be quoted"),
    "a number where text is due": ("name: 5", "name: expected text, not a number: quote it"),
    "null where text is due": ("name:", "name: expected text, not nothing"),
    "text where a list is due": ("complete: users", "complete: expected a list, not text"),
    "null where a map is due": ("users:", "users: expected a map, not nothing"),
    "a bad span": ("users: {a: {api_keys: {k: {expires: 90}}}}", "expires: expected text, not a"),
    "a span without unit": ('users: {a: {api_keys: {k: {expires: "90"}}}}', "expires: not a span"),
    "no time at all": ("users: {a: {api_keys: {k: {expires: 0d}}}}", "expires: not a span"),
    "a bad time": ("users: {a: {api_keys: {k: {expires_at: soon}}}}", "expires_at: not a time"),
    "a misspelled type": (
        "users: {a: {variables: {V: {type: Credntial}}}}",
        "expected Credential or Generic; did you mean Credential?",
    ),
    "a misspelled state": ("users: {a: {api_keys: {k: {state: abset}}}}", "did you mean absent?"),
    "both expiries": (
        "users: {a: {api_keys: {k: {expires: 1d, expires_at: never}}}}",
        "expires and expires_at cannot be used together",
    ),
    "both sources of a key": (
        "users: {a: {api_keys: {k: {value_from: {env: K}, write_to: {file: f}}}}}",
        "value_from and write_to cannot be used together",
    ),
    "both sources of a value": (
        "users: {a: {variables: {V: {type: Generic, value: x, value_from: {env: K}}}}}",
        "value and value_from cannot be used together",
    ),
    "a value without type": ("users: {a: {variables: {V: {value: x}}}}", "value: requires type"),
    "a value of a Credential": (
        f"users: {{a: {{variables: {{V: {{type: Credential, value: {HIDDEN}}}}}}}}}",
        "value: requires type Generic",
    ),
    "a value that is an API key": (
        f"users: {{a: {{variables: {{V: {{type: Generic, value: sk-{HIDDEN}}}}}}}}}",
        "value: looks like a secret",
    ),
    "a value that is encrypted": (
        f"users: {{a: {{variables: {{V: {{type: Generic, value: gAAAAA{HIDDEN}}}}}}}}}",
        "value: looks like a secret",
    ),
    "a source that is neither": (
        "users: {a: {password_from: {}}}",
        "password_from: file or env is missing",
    ),
    "a source that is both": (
        "users: {a: {password_from: {file: x, env: X}}}",
        "file and env cannot be used together",
    ),
    "both passwords": (
        "users: {a: {password_from: {env: K}, password_to: {file: x}}}",
        "password_from and password_to cannot be used together",
    ),
    "a password itself": (
        f"users: {{a: {{password: {HIDDEN}}}}}",
        "users.a.password: unknown field; did you mean password_to?",
    ),
    "a renewal without expiry": (
        "users: {a: {api_keys: {k: {renew_before: 1d, write_to: {file: x}}}}}",
        "renew_before: requires expires",
    ),
    "a renewal at every run": (
        "users: {a: {api_keys: {k: {expires: 7d, renew_before: 1w, write_to: {file: x}}}}}",
        "renew_before: must be less than expires",
    ),
    "a renewal without file": (
        "users: {a: {api_keys: {k: {renew_after: 1d}}}}",
        "renew_after: requires write_to",
    ),
    "a grace of nothing": ("users: {a: {api_keys: {k: {grace: 1d}}}}", "grace: requires write_to"),
    "a file for nobody": ("users: {a: {password_to: {}}}", "password_to: file is missing"),
    "stdout": ("users: {a: {password_to: {file: '-'}}}", "password_to: is not the name of a file"),
    "a variable without format": (
        "users: {a: {api_keys: {k: {write_to: {file: x, variable: Y}}}}}",
        "variable: requires format",
    ),
    "a Secret of another format": (
        "users: {a: {api_keys: {k: {write_to: {file: x, format: bare, secret: {name: y}}}}}}",
        "secret: requires format: k8s-secret",
    ),
    "a bad name of a Secret": (
        "users: {a: {api_keys: {k: {write_to: {file: x, format: k8s-secret,"
        " secret: {name: A_B}}}}}}",
        "is not a valid name for a Kubernetes object",
    ),
    "one file for two": (
        "users: {a: {api_keys: {k: {write_to: {file: x}}, l: {write_to: {file: x}}}}}",
        "the same file as users.a.api_keys.k.write_to",
    ),
    "a name that is a secret": (
        f"users: {{a: {{api_keys: {{sk-{'A' * 43}: {{}}}}}}}}",
        "a name looks like a secret",
    ),
    "a file that is a secret": (
        f"users: {{a: {{password_from: {{file: sk-{'A' * 43}}}}}}}",
        "the name of the file looks like a secret",
    ),
    "an unknown list": ("complete: [user]", "complete: expected users; did you mean users?"),
    "keys of one who shall have none": (
        "users: {a: {revoke_keys: true, api_keys: {k: {}}}}",
        "revoke_keys: revokes all API keys of the user, and there are api_keys",
    ),
}


@pytest.mark.parametrize("name", WRONG_FIELDS)
def test_an_invalid_field_is_named_by_its_path(name: str, tmp_path: Path) -> None:
    text, said = WRONG_FIELDS[name]
    found = problems(f"version: 1\n{text}\n", tmp_path, environ={"K": new_api_key()})
    assert len([line for line in found if said in line]) == 1, found
    assert all(line.startswith("m.yaml:2:") for line in found)
    assert f"sk-{'A' * 43}" not in "".join(found)


def test_a_secret_loses_nothing_but_one_trailing_newline(tmp_path: Path) -> None:
    secret = "a$b ${HOME} #c 'd' \\n\r\nsecond: line\r\n\n"
    (tmp_path / "secret").write_bytes(f"{secret}\n".encode())
    found = read(
        "version: 1\nevery_user: {variables: {A: {value_from: {file: secret}},"
        " B: {value_from: {env: B}}}}",
        tmp_path,
        environ={"B": "x $Y #z\n"},
    )
    assert found.every_user["A"].value == secret
    assert found.every_user["B"].value == "x $Y #z"
    assert secret not in repr(found)


def test_no_secret_is_in_a_repr(tmp_path: Path) -> None:
    secrets = {"K": new_api_key(), "V": "value of a variable", "P": "password of alice"}
    found = read(
        "version: 1\nusers: {alice: {password_from: {env: P},"
        " api_keys: {k: {value_from: {env: K}}}, variables: {V: {value_from: {env: V}}}}}",
        tmp_path,
        environ=secrets,
    )
    alice = found.users["alice"]
    assert alice.password == secrets["P"]
    assert alice.api_keys["k"].value == secrets["K"]
    assert alice.variables["V"].value == secrets["V"]
    assert not [secret for secret in secrets.values() if secret in repr(found)]


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_an_optional_secret_may_be_missing(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "secret").write_text(content)
    text = "version: 1\nusers: {{a: {{variables: {{A: {{value_from: {{file: secret{0}}}}}}}}}}}"
    found = read(text.format(", optional: true"), tmp_path)
    assert found.users["a"].variables["A"].value is None
    assert len(problems(text.format(""), tmp_path)) == 1


def test_names_of_all_kinds_are_read_as_they_are(tmp_path: Path) -> None:
    names = ["a:b", "#c", "*d", "e\nf", "日本語", "yes", "5", "null", "😀", " g ", "a.b"]
    document = {"version": 1, "users": {"x": {"api_keys": {name: {} for name in names}}}}
    for text in (json.dumps(document), json.dumps(document, ensure_ascii=False, indent="\t")):
        assert list(read(text, tmp_path).users["x"].api_keys) == names


def test_json_is_accepted(tmp_path: Path) -> None:
    text = '{\n\t"version": 1,\n\t"name": "\\ud83d\\ude00 \\\\ud83d\\\\ude00 \\/ \\u00e9"\n}'
    assert read(text, tmp_path).name == json.loads(text)["name"]


def test_a_removed_key_needs_none_of_its_other_fields(tmp_path: Path) -> None:
    # An overlay only adds `state: absent` to the entry.
    found = read(
        "version: 1\nusers: {a: {api_keys: {k: {state: absent, expires: 9d, renew_before: 1d,"
        " value_from: {file: gone}}}}}",
        tmp_path,
    )
    assert found.users["a"].api_keys["k"].is_absent


def test_spans_and_times_are_read(tmp_path: Path) -> None:
    found = read(
        "version: 1\nusers: {a: {api_keys: {k: {expires: 90d, write_to: {file: x}},"
        " l: {expires_at: 2027-01-31}, m: {expires_at: Never}}}}",
        tmp_path,
    )
    keys = found.users["a"].api_keys
    assert keys["k"].expires == timedelta(days=90)
    assert str(keys["l"].expires_at) == "2027-01-31 00:00:00+00:00"
    assert keys["m"].expires_at == "never"


# Several files


def test_files_are_merged_and_a_duplicate_names_both_positions(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "b.yaml").write_text("version: 1\nusers: {b: {}}\nname: x\n")
    (folder / "a.json").write_text('{"version": 1, "users": {"a": {}}}')
    (folder / ".hidden.yaml").write_text("nonsense")
    (folder / "notes.txt").write_text("nonsense")
    found = read_manifests(["folder"], environ={}, read_stdin=lambda: b"")
    assert (list(found.users), found.files) == (["a", "b"], ("folder/a.json", "folder/b.yaml"))
    stdin = b"version: 1\nname: z\nusers:\n  b: {}\n"
    with pytest.raises(UsageError) as caught:
        read_manifests(["folder", "-"], environ={}, read_stdin=lambda: stdin)
    assert caught.value.candidates == (
        "stdin:2:1: name: is in folder/b.yaml:3:1 already",
        "stdin:4:3: users.b: is in folder/b.yaml:2:9 already",
    )


def test_all_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_text("#" * ((1 << 20) + 1))
    (tmp_path / "empty").mkdir()
    with pytest.raises(LangkeysError) as caught:
        read_manifests(["none.yaml", "large.yaml", "empty"], environ={}, read_stdin=lambda: b"")
    assert caught.value.exit_code == 2
    assert [line.partition(":")[0] for line in caught.value.candidates] == [
        "empty", "large.yaml", "none.yaml",
    ]  # fmt: skip


def test_no_message_repeats_an_invalid_value(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(CREDENTIAL)
    found = problems("version: 1\nusers: {a: {api_keys: {k: {value_from: {file: key}}}}}", tmp_path)
    assert "is not an API key" in found[0]
    assert CREDENTIAL not in "".join(found)
