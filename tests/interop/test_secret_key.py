"""After a rotation of the secret key, the real Langflow works with the new one."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .database import Database
from .langflow_install import executable
from .langflow_server import PASSWORD, SUPERUSER, LangflowServer
from .langkeys_process import Langkeys

pytestmark = pytest.mark.only_with("1.13.0")

# Encrypts and decrypts envelopes with Langflow's own code.
_PROGRAM = """
import json, sys
from langflow.services.auth.mcp_encryption import (
    decrypt_auth_settings, decrypt_mcp_config, encrypt_auth_settings, encrypt_mcp_config)
from langflow.services.auth.utils import decrypt_api_key, encrypt_api_key
from langflow.services.database.models.auth.sso_secret import (
    decrypt_sso_client_secret, encrypt_sso_client_secret)
acts = {
    "seal": {"auth": encrypt_auth_settings, "config": encrypt_mcp_config,
             "value": encrypt_api_key, "sso": encrypt_sso_client_secret},
    "open": {"auth": decrypt_auth_settings, "config": decrypt_mcp_config,
             "value": decrypt_api_key, "sso": decrypt_sso_client_secret},
}[sys.argv[1]]
document = json.load(sys.stdin)
print("\\n@" + json.dumps({name: acts[name](value) for name, value in document.items()}))
"""
PLAIN = {
    "auth": {"auth_type": "oauth", "oauth_client_secret": "client", "api_key": "of a project"},
    "config": {
        "command": "uvx",
        "args": ["mcp-proxy", "--headers", "X-Key", "argument"],
        "env": {"TOKEN": "environment"},
        "headers": {"Authorization": "Bearer header"},
    },
    "value": "credential",
    "sso": "client secret of the identity provider",
}


@dataclass
class Rotated:
    """A server whose secret key was rotated while it was down, and values from before."""

    server: LangflowServer
    langkeys: Langkeys
    key: str
    token: str
    old_secret_key: str
    refused_while_running: int

    @property
    def secret_key(self) -> str:
        return (self.server.config_dir / "secret_key").read_text()


def _langflow(server: LangflowServer, act: str, document: dict[str, Any]) -> dict[str, Any]:
    """Encrypt or decrypt an envelope with Langflow's own code and the server's secret key."""
    python = executable(server.version).with_name("python")
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(server.folder / "home"),
        "LANG": "C.UTF-8",
        **server.settings,
    }
    done = subprocess.run(
        [python, "-c", _PROGRAM, act],
        env=environment,
        cwd=server.folder / "work",
        input=json.dumps(document),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.rpartition("\n@")[2])
    return found


@pytest.fixture(scope="module")
def rotated(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rotated]:
    """Fill a server with every kind of value, try to rotate while it runs, stop it and rotate."""
    folder = tmp_path_factory.mktemp("rotated")
    langkeys_folder = tmp_path_factory.mktemp("langkeys")
    with LangflowServer(version, folder) as server:
        langkeys = Langkeys(langkeys_folder, server.settings)
        key = langkeys("api-key", "create", "--name", "kept").done().stdout.strip()
        token = server.rest.login(SUPERUSER, PASSWORD)
        body = {"name": "CRED", "value": PLAIN["value"], "type": "Credential", "default_fields": []}
        made = server.rest.request("POST", "/api/v1/variables/", key=key, json_body=body)
        assert made.status == 201, made
        _fill(server)
        old = (server.config_dir / "secret_key").read_text()
        refused = langkeys("secret-key", "rotate", "--yes").returncode
        server.stop()
        langkeys("secret-key", "rotate", "--yes").done()
        server.start()
        yield Rotated(server, langkeys, key, token, old, refused)


def _fill(server: LangflowServer) -> None:
    """Insert values that need a browser or an identity provider over REST."""
    sealed = _langflow(server, "seal", PLAIN)
    database = Database(server.database)
    project = database.query("SELECT id FROM folder ORDER BY rowid LIMIT 1")[0]["id"]
    user = database.query("SELECT id FROM user WHERE username = ?", SUPERUSER)[0]["id"]
    moment = "2026-01-01 00:00:00.000000"
    database.execute(
        "UPDATE folder SET auth_settings = ? WHERE id = ?", json.dumps(sealed["auth"]), project
    )
    database.execute(
        "INSERT INTO mcp_server (id, user_id, name, config, enabled, version, created_at,"
        " updated_at) VALUES (?, ?, 'tools', ?, 1, 1, ?, ?)",
        uuid.uuid4().hex, user, json.dumps(sealed["config"]), moment, moment,
    )  # fmt: skip
    database.execute(
        "INSERT INTO sso_config (id, slug, display_name, protocol, enabled, sort_order,"
        " client_secret_encrypted, provider_settings, email_claim, username_claim, user_id_claim,"
        " created_at, updated_at)"
        " VALUES (?, 'okta', 'Okta', 'oidc', 0, 0, ?, ?, 'email', 'name', 'sub', ?, ?)",
        uuid.uuid4().hex, sealed["sso"], '{"protocol": "oidc"}', moment, moment,
    )  # fmt: skip


def test_a_rotation_beside_the_running_server_is_refused(rotated: Rotated) -> None:
    assert rotated.refused_while_running == 6


def test_the_server_has_started_with_another_secret_key(rotated: Rotated) -> None:
    assert rotated.secret_key != rotated.old_secret_key
    assert rotated.server.rest.health().status == 200


def test_api_keys_go_on_working_and_new_ones_are_made(rotated: Rotated) -> None:
    rest = rotated.server.rest
    assert rest.whoami(rotated.key).status == 200
    assert rest.whoami(rotated.key, "query").status == 200
    made = rest.create_key("made after", key=rotated.key)
    assert made.status == 200
    assert rest.whoami(made.body["api_key"]).status == 200
    own = rotated.langkeys("api-key", "create", "--name", "own").done().stdout.strip()
    assert rest.whoami(own).status == 200


def test_sessions_have_ended_and_logging_in_works(rotated: Rotated) -> None:
    rest = rotated.server.rest
    ended = rest.request("GET", "/api/v1/users/whoami", token=rotated.token)
    assert ended.status in (401, 403)
    token = rest.login(SUPERUSER, PASSWORD)
    assert rest.request("GET", "/api/v1/users/whoami", token=token).status == 200


def test_langflows_own_code_opens_what_was_rotated(rotated: Rotated) -> None:
    database = Database(rotated.server.database)
    stored = {
        "auth": json.loads(
            database.query("SELECT auth_settings FROM folder WHERE auth_settings LIKE '%gAAAAA%'")[
                0
            ]["auth_settings"]
        ),
        "config": json.loads(
            database.query("SELECT config FROM mcp_server WHERE name = 'tools'")[0]["config"]
        ),
        "value": database.query("SELECT value FROM variable WHERE name = 'CRED'")[0]["value"],
        "sso": database.query("SELECT client_secret_encrypted AS c FROM sso_config")[0]["c"],
    }
    assert _langflow(rotated.server, "open", stored) == PLAIN


def test_check_integrity_finds_nothing(rotated: Rotated) -> None:
    done = subprocess.run(
        [executable(rotated.server.version), "check-integrity", "--json"],
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(rotated.server.folder / "home"),
            "LANG": "C.UTF-8",
            **rotated.server.settings,
        },
        cwd=rotated.server.folder / "work",
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_backup_and_its_key_start_the_server_as_it_was(
    rotated: Rotated, tmp_path: Path
) -> None:
    (backup,) = [
        path
        for path in rotated.server.database.parent.glob("langflow.db.backup-*")
        if path.suffix != ".secret_key"
    ]
    with_key = backup.with_name(f"{backup.name}.secret_key")
    rotated.server.stop()
    folder = tmp_path / "restored"
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "langflow.db").write_bytes(backup.read_bytes())
    (folder / "config" / "secret_key").write_bytes(with_key.read_bytes())
    with LangflowServer(rotated.server.version, folder) as restored:
        assert restored.rest.whoami(rotated.key).status == 200
        # Old sessions are valid again, because the secret key is the old one.
        answer = restored.rest.request("GET", "/api/v1/users/whoami", token=rotated.token)
        assert answer.status == 200
