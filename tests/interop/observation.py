"""Observe what a Langflow release stores, accepts and does, without langkeys.

The facts are named like the fields of langkeys' ``Generation``, so that they can be used for an
entry of its table.
"""

from __future__ import annotations

import base64
import hashlib
import random
import time
import urllib.error
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from .database import Database
from .langflow_rest import Answer, Rest
from .langflow_server import PASSWORD, SUPERUSER, LangflowServer
from .observed_schema import Schema, observe_schema
from .variable_flow import VariableFlows

_SHORT_SECRET_KEY = "a-short-one"
_ENV_KEY = "sk-of-the-environment-0123456789abcdefghijkl"
_IMPORTED, _UNSTORED, _TWEAKED = "IMPORTED_NAME", "UNSTORED_NAME", "TWEAKED_NAME"


@dataclass
class Observation:
    """The observed behaviour of one release."""

    version: str
    schema: Schema
    access: dict[str, str] = field(default_factory=dict)
    """Each kind of access that was tried, with its status."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The values of the fields of ``Generation``, by name."""


def observe(version: str, folder: Path, say: Callable[[str], None]) -> Observation:
    """Observe a release with the relevant settings, one server at a time."""
    say(f"{version}: AUTO_LOGIN=false")
    environment = {
        "LANGFLOW_VARIABLES_TO_GET_FROM_ENVIRONMENT": _IMPORTED,
        _IMPORTED: "environment",
        _UNSTORED: "environment",
    }
    with LangflowServer(version, folder / "closed", extra=environment) as server:
        found = _observe_closed(server, say)
    say(f"{version}: AUTO_LOGIN=true, a short secret key, a key of the environment")
    environment = {
        "LANGFLOW_SECRET_KEY": _SHORT_SECRET_KEY,
        "LANGFLOW_API_KEY_SOURCE": "env",
        "LANGFLOW_API_KEY": _ENV_KEY,
    }
    with LangflowServer(
        version, folder / "open", auto_login=True, password=None, extra=environment
    ) as server:
        _observe_open(server, found)
    say(f"{version}: the superuser langflow, and a newline after the secret key")
    server = LangflowServer(version, folder / "default", superuser="langflow")
    server.config_dir.mkdir(parents=True)
    key = base64.urlsafe_b64encode(hashlib.sha256(b"any").digest()).decode().rstrip("=")
    (server.config_dir / "secret_key").write_text(f"{key}\n")
    with server:
        token = server.rest.login("langflow", PASSWORD)
        found.facts["pads_always"] = _post_variable(server.rest, "NAME", token=token).status == 201
    # Forget the login, so that the account counts as never used.
    _forget_logins(server)
    with server:
        pass
    found.facts["deletes_default_superuser"] = Database(server.database).count("user") == 0
    say(f"{version}: no AUTO_LOGIN set")
    server = LangflowServer(version, folder / "unset", superuser=None)
    del server.settings["LANGFLOW_AUTO_LOGIN"]
    with server:
        session = server.rest.request("GET", "/api/v1/auto_login")
        found.facts["auto_login_default"] = session.status == 200
    return found


def _forget_logins(server: LangflowServer) -> None:
    database = Database(server.database)
    if database.count("user"):
        database.execute("UPDATE user SET last_login_at = NULL WHERE username = 'langflow'")


# AUTO_LOGIN=false


def _observe_closed(server: LangflowServer, say: Callable[[str], None]) -> Observation:
    rest, database = server.rest, Database(server.database)
    token = rest.login(SUPERUSER, PASSWORD)
    key = _made_key(rest, "used", token)
    for kind in ("Credential", "Generic"):
        assert _post_variable(rest, f"{kind}_NAME", kind, key=key).status == 201
    config = {"command": "uvx", "args": ["mcp-proxy"], "env": {"TOKEN": "secret"}}
    rest.request("POST", "/api/v2/mcp/servers/observed", key=key, json_body=config)
    _until(lambda: database.count("variable") >= 2)

    found = Observation(server.version, observe_schema(server.version, server.database))
    facts, columns = found.facts, found.schema.columns
    (row,) = database.query("SELECT * FROM apikey WHERE name = 'used'")
    facts["encrypts_keys"] = row["api_key"].startswith("gAAAAA")
    facts["has_key_hash"] = "api_key_hash" in columns["apikey"]
    facts["has_key_expiry"] = "expires_at" in columns["apikey"]
    facts["has_environment_managed"] = "is_environment_managed" in columns["variable"]
    (row,) = database.query("SELECT value FROM variable WHERE name = 'Generic_NAME'")
    facts["encrypts_generic"] = row["value"].startswith("gAAAAA")
    _observe_keys(rest, database, token, key, found)
    _observe_doors(rest, found, "AUTO_LOGIN=false", key)
    say(f"{server.version}: variables")
    _observe_variables(server, key, token, found)
    return found


def _observe_keys(rest: Rest, database: Database, token: str, key: str, found: Observation) -> None:
    """Try a key of each state, one after the other."""
    flow = rest.create_flow("keys", key=key)

    def statuses(what: str, given: str) -> tuple[int, int]:
        got = rest.whoami(given).status, rest.run(flow_of.get(what, flow), given).status
        found.access[f"whoami, {what}"], found.access[f"run, {what}"] = map(str, got)
        return got

    flow_of: dict[str, str] = {}
    statuses("a key", key)
    inactive = _made_key(rest, "inactive", token)
    database.execute("UPDATE apikey SET is_active = 0 WHERE name = 'inactive'")
    found.facts["honours_key_state"] = statuses("an inactive key", inactive) == (403, 403)
    if found.facts["has_key_expiry"]:
        expired = _made_key(rest, "expired", token)
        sql = "UPDATE apikey SET expires_at = '2001-01-01 00:00:00.000000' WHERE name = 'expired'"
        database.execute(sql)
        statuses("an expired key", expired)
    owner = rest.create_user("owner", PASSWORD, key=key)
    owned = _made_key(rest, "owned", rest.login("owner", PASSWORD))
    flow_of["a key of an inactive owner"] = rest.create_flow("owned", key=owned)
    database.execute("UPDATE user SET is_active = 0 WHERE id = ?", uuid.UUID(owner).hex)
    _, at_run = statuses("a key of an inactive owner", owned)
    found.facts["honours_owner_state"] = at_run != 200


def _observe_variables(server: LangflowServer, key: str, token: str, found: Observation) -> None:
    """Run flows to see which value of a variable they use; the last one after a restart."""
    facts, database = found.facts, Database(server.database)
    flows = VariableFlows(server, key, token)
    facts["falls_back"] = flows.value_of(_UNSTORED) == "environment"
    guarded = flows.value_of("LANGFLOW_SUPERUSER_PASSWORD") is None
    facts["guards_environment"] = facts["falls_back"] and guarded
    facts["tweak_is_a_name"] = flows.value_of("Generic_NAME", tweak="a text") != "a text"
    _post_variable(server.rest, _UNSTORED, key=key)
    _until(lambda: database.count("variable") >= 3)
    stray = Fernet(Fernet.generate_key()).encrypt(b"x").decode()
    _until(lambda: bool(database.query("SELECT 1 FROM variable WHERE name = ?", _UNSTORED)))
    database.execute("UPDATE variable SET value = ? WHERE name = ?", stray, _UNSTORED)
    facts["undecryptable_falls_back"] = flows.value_of(_UNSTORED) == "environment"

    # A user changes an imported variable; then the server starts with another environment.
    sql = (
        "SELECT v.id FROM variable v JOIN user u ON u.id = v.user_id"
        " WHERE v.name = ? AND u.username = ?"
    )
    _until(lambda: bool(database.query(sql, _IMPORTED, SUPERUSER)))
    (row,) = database.query(sql, _IMPORTED, SUPERUSER)
    body = {"id": str(uuid.UUID(row["id"])), "name": _IMPORTED, "value": "person"}
    path = f"/api/v1/variables/{uuid.UUID(row['id'])}"
    assert server.rest.request("PATCH", path, key=key, json_body=body).status == 200
    _until(lambda: flows.value_of(_IMPORTED) == "person")
    server.stop()
    server.settings[_IMPORTED] = "another environment"
    server.start()
    flows = VariableFlows(server, key, server.rest.login(SUPERUSER, PASSWORD))
    facts["keeps_set_variables"] = flows.value_of(_IMPORTED) == "person"


# AUTO_LOGIN=true


def _observe_open(server: LangflowServer, found: Observation) -> None:
    rest, database, facts = server.rest, Database(server.database), found.facts
    token = str(rest.request("GET", "/api/v1/auto_login").body["access_token"])
    user = rest.request("GET", "/api/v1/users/whoami", token=token).body
    facts["auto_login_is_named"] = user["username"] == SUPERUSER
    key = _made_key(rest, "used", token)
    _observe_doors(rest, found, "AUTO_LOGIN=true", key)
    facts["skip_auth_default"] = rest.whoami(None).status == 200
    facts["open_mcp"] = found.access["mcp, no key, AUTO_LOGIN=true"] == "200"
    facts["open_webhooks"] = found.access["webhook, no key, AUTO_LOGIN=false"].startswith("2")
    facts["reads_env_key"] = rest.whoami(_ENV_KEY).status == 200

    assert _post_variable(rest, "SHORT", key=key).status == 201
    _until(lambda: bool(database.query("SELECT 1 FROM variable WHERE name = 'SHORT'")))
    (row,) = database.query("SELECT value FROM variable WHERE name = 'SHORT'")
    by_prng, by_hash = _short_ciphers()
    facts["short_keys_by_prng"] = _opens(by_prng, row["value"])
    assert facts["short_keys_by_prng"] != _opens(by_hash, row["value"]), "a third derivation"
    old = by_prng.encrypt(b"old").decode()
    database.execute("UPDATE variable SET value = ? WHERE name = 'SHORT'", old)
    flows = VariableFlows(server, key, token)
    facts["reads_old_short_keys"] = flows.value_of("SHORT") == "old"


def _short_ciphers() -> tuple[Fernet, Fernet]:
    seeded = random.Random(_SHORT_SECRET_KEY)
    prng = bytes(seeded.getrandbits(8) for _ in range(32))
    digest = hashlib.sha256(_SHORT_SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(prng)), Fernet(base64.urlsafe_b64encode(digest))


def _opens(cipher: Fernet, token: str) -> bool:
    try:
        cipher.decrypt(token)
    except InvalidToken:
        return False
    return True


# Both


def _observe_doors(rest: Rest, found: Observation, setting: str, key: str) -> None:
    """Try requests without a key: the important ones by name, and every readable path."""
    flow = rest.create_flow(f"doors {setting}", key=key)
    _until(lambda: rest.run(flow, key).status != 404)
    doors = {
        "whoami": lambda given: rest.whoami(given),
        "run": lambda given: rest.run(flow, given),
        "mcp": lambda given: rest.request("GET", "/api/v1/mcp/sse", key=given),
        "webhook": lambda _: rest.request("POST", f"/api/v1/webhook/{flow}", json_body={}),
    }
    for name, ask in doors.items():
        found.access[f"{name}, no key, {setting}"] = str(ask(None).status)
        found.access[f"{name}, a wrong key, {setting}"] = str(ask("sk-wrong").status)
    brief = Rest(rest.url, timeout=10)
    paths: Mapping[str, Mapping[str, Any]] = rest.request("GET", "/openapi.json").body["paths"]
    for path, methods in sorted(paths.items()):
        if "get" in methods and "{" not in path and "logout" not in path:
            status = _status(brief, path)
            if status.startswith("2"):
                found.access[f"GET {path}, no key, {setting}"] = status


def _status(rest: Rest, path: str) -> str:
    try:
        return str(rest.request("GET", path).status)
    except (urllib.error.URLError, OSError) as error:
        return f"no answer ({type(error).__name__})"


def _made_key(rest: Rest, name: str, token: str) -> str:
    answer = rest.create_key(name, token=token)
    assert answer.status == 200, answer
    key = str(answer.body["api_key"])
    _until(lambda: rest.whoami(key).status == 200)  # up to 1.11, servers answer before they commit
    return key


def _post_variable(rest: Rest, name: str, kind: str = "Credential", **by: str) -> Answer:
    body = {"name": name, "value": "a value", "type": kind, "default_fields": []}
    return rest.request("POST", "/api/v1/variables/", json_body=body, **by)  # type: ignore[arg-type]


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "the change is not visible after 30 seconds"
        time.sleep(0.05)
