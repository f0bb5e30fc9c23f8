"""Run what docs/postgresql.md tells an administrator to do, word for word."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ..support.clusters import PASSWORD
from ..support.server_databases import ServerDatabase
from ..support.sites import Site
from .markdown import ROOT, Block, blocks

PAGE = blocks((ROOT / "docs" / "postgresql.md").read_text("utf-8"))
(GRANTS,) = [block for block in PAGE if block.language == "sql"]


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


def script_with(words: str) -> Block:
    (found,) = [block for block in PAGE if block.language == "sh" and words in block.text]
    return found


def test_the_rights_are_enough(site: Site, server: ServerDatabase, tmp_path: Path) -> None:
    for statement in GRANTS.lines:
        server.rows(statement.replace("langkeys", "clerk"))
    url = server.cluster.url(server.name, "clerk")
    for line in (
        ("api-key", "create", "--name", "ci"),
        ("api-key", "create", "--name", "many", "--count", "5"),
        ("api-key", "update", "ci", "--name", "other"),
        ("api-key", "rotate", "other"),
        ("api-key", "migrate"),
        ("variable", "set", "TOKEN", "--value-file", "-"),
        ("user", "create", "bob", "--random"),
        ("api-key", "prune", "--user", "administrator", "--older-than", "1d", "--force", "--yes"),
        ("api-key", "revoke", "other", "--yes"),
        ("variable", "delete", "TOKEN", "--yes"),
        ("doctor",),
        ("secret-key", "check"),
        ("backup", str(tmp_path / "copy")),
    ):
        site.call(*line, stdin="value", LANGFLOW_DATABASE_URL=url).done()
    folder = str(tmp_path)
    rotate = ("secret-key", "rotate", "--new-key-file", f"{folder}/new", "--yes")
    site.call(*rotate, LANGFLOW_DATABASE_URL=url, LANGFLOW_CONFIG_DIR=folder).failed(
        6, "lacks a right"
    )


def test_a_role_that_only_looks_needs_the_second_line_alone(
    site: Site, server: ServerDatabase
) -> None:
    site.call("api-key", "create", "--name", "ci").done()
    server.rows(GRANTS.lines[1].replace("langkeys", "clerk"))
    url = server.cluster.url(server.name, "clerk")
    for line in (("api-key", "list"), ("api-key", "show", "ci"), ("secret-key", "check")):
        site.call(*line, LANGFLOW_DATABASE_URL=url).done()
    site.call("api-key", "revoke", "ci", "--yes", LANGFLOW_DATABASE_URL=url).failed(6, "apikey")


def test_a_backup_is_restored_into_an_empty_database(
    site: Site, server: ServerDatabase, tmp_path: Path
) -> None:
    key = site.call("api-key", "create", "--name", "ci").done().stdout.strip()
    site.call("backup", str(tmp_path / "langflow.dump")).done()
    server.rows("DELETE FROM apikey")
    script = script_with("pg_restore").text.replace("langkeys secret-key check\n", "")
    for name in ("dropdb", "langflow &&"), ("createdb", "--owner langflow"):
        assert " ".join(name) in script, script
    script = script.replace("dropdb langflow", f"dropdb {server.name}")
    script = script.replace("--owner langflow langflow", f"--owner langflow {server.name}")
    script = script.replace("--dbname langflow", f"--dbname {server.name}")
    done = subprocess.run(
        ["sh", "-euc", script],
        cwd=tmp_path, check=False, capture_output=True, text=True,
        env={
            "PATH": site.environment()["PATH"], "PGHOST": "127.0.0.1", "PGUSER": "postgres",
            "PGPORT": str(server.cluster.port), "PGPASSWORD": PASSWORD,
        },
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    site.call("whoami", "--api-key", "-", stdin=key).done()
    site.call("secret-key", "check").done()
    site.call("api-key", "create", "--name", "more").done()
