"""`langkeys doctor` with a running server: it is right, shows no secrets, and is read-only."""

from __future__ import annotations

from typing import Any

from .database import Database
from .expectations import Expected
from .langflow_server import PASSWORD, SUPERUSER, LangflowServer
from .langkeys_process import Langkeys


def levels(document: dict[str, Any]) -> set[str]:
    return {finding["level"] for finding in document["findings"]}


def said(document: dict[str, Any], section: str) -> str:
    findings = [each for each in document["findings"] if each["section"] == section]
    return " ".join(each["message"] for each in findings)


def test_a_healthy_server_passes_and_its_generation_is_told(
    server: LangflowServer,
    langkeys: Langkeys,
    database: Database,
    expected: Expected,
    name: str,
) -> None:
    key = langkeys("api-key", "create", "--name", name).done().stdout.strip()
    before = database.query("SELECT * FROM apikey ORDER BY id")
    run = langkeys("doctor", "--json").done()
    document = run.json()

    assert document["ok"] is True
    assert document["database"] == str(server.database)
    assert document["generation"]["release"] == expected.generation
    assert document["acting"]["username"] == SUPERUSER
    assert document["counts"]["API keys"] == len(before)
    at_rest = document["encrypted"].get("apikey.api_key", {"opens": 0, "fails": 0})
    fernet = [row for row in before if row["api_key"].startswith("gAAAAA")]
    assert at_rest == {"opens": len(fernet), "fails": 0}
    assert (len(fernet) == len(before)) is (expected.at_rest == "fernet")
    assert levels(document) <= {"ok", "note"}

    assert database.query("SELECT * FROM apikey ORDER BY id") == before
    secret_key = (server.config_dir / "secret_key").read_text(encoding="utf-8")
    for secret in (key, secret_key, PASSWORD):
        assert secret not in run.stdout + run.stderr


def test_without_auto_login_only_the_webhooks_may_be_open(
    server: LangflowServer, langkeys: Langkeys, expected: Expected, name: str
) -> None:
    key = langkeys("api-key", "create", "--name", name).done().stdout.strip()
    flow = server.rest.create_flow(name, key=key)
    assert server.rest.whoami(None).status == 403
    assert server.rest.run(flow, None).status == 403
    assert server.rest.request("GET", "/api/v1/mcp/sse").status == 403
    hook = server.rest.request("POST", f"/api/v1/webhook/{flow}", json_body={})
    assert hook.status == (202 if expected.open_webhooks else 403)

    access = said(langkeys("doctor", "--json").done().json(), "access")
    assert "LANGFLOW_AUTO_LOGIN is false" in access
    assert "/api/v1/mcp" not in access
    assert ("/api/v1/webhook" in access) is expected.open_webhooks


def test_the_people_s_form_needs_no_terminal(langkeys: Langkeys) -> None:
    run = langkeys("doctor").done()
    assert run.stdout != ""
    assert PASSWORD not in run.stdout + run.stderr


def test_a_wrong_secret_key_is_found_out_where_something_is_encrypted(
    server: LangflowServer, langkeys: Langkeys, database: Database, expected: Expected, name: str
) -> None:
    langkeys("api-key", "create", "--name", name).done()
    # Any 43 characters of URL-safe base64 are a Fernet key.
    run = langkeys("doctor", "--json", LANGFLOW_SECRET_KEY="B" * 43)
    failing = run.json()["encrypted"].get("apikey.api_key", {"fails": 0})["fails"]
    if expected.at_rest == "plaintext":
        assert failing == 0
        return
    assert run.returncode == 1
    assert run.json()["ok"] is False
    assert failing == database.count("apikey")
    refused = langkeys("api-key", "create", "--json", LANGFLOW_SECRET_KEY="B" * 43).refused(7)
    assert refused.error()["code"] == "secret_key"
    assert server.is_running


def test_a_wrong_password_is_said_and_the_rest_is_seen_all_the_same(langkeys: Langkeys) -> None:
    run = langkeys("doctor", "--json", LANGFLOW_SUPERUSER_PASSWORD="wrong")
    assert run.returncode == 1
    document = run.json()
    assert document["ok"] is False
    assert document["acting"] is None
    assert document["counts"]["users"] >= 1
