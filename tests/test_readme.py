"""The tables of generations, settings and exit codes in the documents match the code."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from langkeys.config.known_settings import ENV_FILE, KNOWN
from langkeys.store.generations import GENERATIONS, Generation

from .interop.expectations import EXPECTED
from .interop.langflow_install import RELEASES
from .support.databases import Database, ago
from .support.samples import new_api_key
from .support.sites import Site

DOCS = Path(__file__).parents[1] / "docs"


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def _row(generation: Generation) -> str:
    at_rest = "Fernet" if generation.encrypts_keys else "plaintext"
    cells = (
        generation.release,
        f"{at_rest}, with hash" if generation.has_key_hash else at_rest,
        "yes" if generation.has_key_expiry else "no",
        "refused" if generation.honours_key_state else "accepted",
        "refused" if generation.honours_owner_state else "runs flows",
        "LANGFLOW_SUPERUSER" if generation.auto_login_is_named else "langflow",
        "deleted, keys and all"
        if generation.deletes_default_superuser
        else "deactivated, or claimed",
        ", ".join(
            RELEASES[version].langflow
            for version, expected in EXPECTED.items()
            if expected.generation == generation.release
        ),
    )
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("generation", GENERATIONS, ids=lambda generation: generation.release)
def test_the_table_of_generations_is_the_codes(generation: Generation) -> None:
    assert _row(generation) in page("langflow-versions")


def test_the_readme_names_the_oldest_and_the_newest_generation() -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    oldest, newest = GENERATIONS[0].release, GENERATIONS[-1].release
    assert f"Langflow {oldest} to {newest}" in " ".join(readme.partition("\n## ")[0].split())


@pytest.mark.parametrize("name", [*KNOWN, ENV_FILE])
def test_every_setting_is_in_the_table_of_settings(name: str) -> None:
    assert f"\n| `{name}`" in page("settings")


# The example of a gateway


def program() -> str:
    (code,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", page("library"), re.DOTALL)
        if "FastAPI()" in block
    ]
    return str(code)


def asked(app: Any, api_key: str | None) -> tuple[int, Any]:
    """Call the application's endpoint as an ASGI server does; return the status and the body."""
    sent: list[dict[str, Any]] = []
    headers = [] if api_key is None else [(b"x-api-key", api_key.encode())]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/hello", "raw_path": b"/hello", "query_string": b"",
        "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body)


def test_the_program_lets_in_whom_the_server_lets_in(
    site: Site, database: Database, superuser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in site.settings.items():
        monkeypatch.setenv(name, text)
    key, expired = database.add_key(superuser), database.add_key(superuser, expires_at=ago(days=1))
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(program(), "library.md", "exec"), names)
    try:
        for _ in range(3):
            assert asked(names["app"], key.plaintext) == (200, {"hello": "administrator"})
        for api_key in (None, "", new_api_key(), expired.plaintext):
            status, body = asked(names["app"], api_key)
            assert (status, body) == (403, {"detail": "Invalid API key"})
        assert database.rows("SELECT total_uses FROM apikey ORDER BY rowid") == [(3,), (0,)]
        database.rows("DELETE FROM apikey")
        assert asked(names["app"], key.plaintext)[0] == 403
    finally:
        names["store"].close()


def test_every_method_in_the_table_of_the_library_is_there(site: Site) -> None:
    from langkeys.library.api_keys import ApiKeys
    from langkeys.library.store import LangflowStore
    from langkeys.library.variables import Variables

    rows = [line for line in page("library").splitlines() if line.startswith("| `store.")]
    for noun, owner in (("api_keys", ApiKeys), ("variables", Variables)):
        said = set(re.findall(r"[`.](\w+)\(", " ".join(row for row in rows if noun in row)))
        public = {name for name in vars(owner) if not name.startswith("_")}
        assert said == public, noun
    assert {name for name in vars(LangflowStore) if not name.startswith("_")} == {
        "close", "verify",
    }  # fmt: skip
