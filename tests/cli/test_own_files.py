"""A delivery never overwrites a file of the deployment itself."""

from __future__ import annotations

import pytest

from ..support.sites import Site

OWN = [
    "langflow.db", "langflow.db-wal", "langflow.db-shm", "langflow.db-journal", ".env",
    "config/secret_key", "langkeys-audit.jsonl", "trail.jsonl", "link-to-the-database",
    ".secret_key.langkeys-rotation", "value-of-a-setting",
]  # fmt: skip

WRITES = [
    ("api-key", "create", "--replace", "--write-to"),
    ("api-key", "rotate", "sample", "--write-to"),
    ("variable", "export", "--reveal", "--replace", "--write-to"),
    ("api-key", "ensure", "app", "--value-file"),
    ("backup",),
    ("backup", "copy.db", "--with-secret-key"),
]


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("line", WRITES, ids=" ".join)
def test_nothing_is_written_over_it(
    site: Site, superuser: str, line: tuple[str, ...], own: str
) -> None:
    site.database.add_key(superuser)
    folder = site.folder
    (folder / "config").mkdir()
    (folder / "config" / "secret_key").write_text(site.settings["LANGFLOW_SECRET_KEY"])
    (folder / "link-to-the-database").symlink_to("langflow.db")
    (folder / "value-of-a-setting").write_text("administrator")
    site.write_env("LANGFLOW_SUPERUSER_FILE=value-of-a-setting\n")
    site.settings |= {
        "LANGFLOW_CONFIG_DIR": str(folder / "config"),
        "LANGKEYS_AUDIT_LOG": str(folder / "trail.jsonl"),
    }
    site.settings.pop("LANGFLOW_SUPERUSER")
    site.call("api-key", "list").done()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    keys = site.database.content()
    site.call(*line, own).failed(5, own.rpartition("/")[2])
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    after.pop(folder / "trail.jsonl", None)
    assert after == before
    assert site.database.content() == keys


def test_a_folder_of_keys_leaves_them_alone(site: Site, superuser: str) -> None:
    for name in ("langflow.db", ".env"):
        site.database.add_key(superuser, name)
    site.write_env("LANGFLOW_FALLBACK_TO_ENV_VAR=true\n")
    before = site.database.content()
    line = ("api-key", "rotate", "--user", "administrator", "--all", "--write-to-dir", ".")
    site.call(*line).failed(5, "langflow.db")
    assert site.database.content() == before
