"""Hostile names from a sign-up on a live server are escaped on a terminal."""

from __future__ import annotations

import json
import uuid

import pytest

from .langflow_server import LangflowServer
from .langkeys_process import Langkeys

HOSTILE = "\x1b[31m\r\x9b\u202e\u200b"
"""A colour, a carriage return, a C1 control, a change of text direction and a zero-width space."""


@pytest.mark.only_with("1.13.0")
def test_a_hostile_sign_up_is_shown_escaped(server: LangflowServer, langkeys: Langkeys) -> None:
    name = f"mallory-{uuid.uuid4().hex[:6]}{HOSTILE}"
    # A sign-up needs no login.
    answer = server.rest.request(
        "POST", "/api/v1/users/", json_body={"username": name, "password": "a-long-enough-one"}
    )
    assert answer.status == 201, answer
    listed = langkeys("user", "list").done()
    in_json = langkeys("user", "list", "--json").done()
    shown = langkeys("user", "show", name, "--json").done()
    refused = langkeys("user", "demote", f"{name}x")
    for run in (listed, in_json, shown, refused):
        assert not (set(HOSTILE) - set("[31m")) & set(run.stdout + run.stderr)
    assert "\\x1b[31m\\r\\x9b\\u202e\\u200b" in listed.stdout
    assert name in [user["username"] for user in in_json.json()]
    assert json.loads(shown.stdout)["username"] == name
