"""What the README says of generations, settings and exit codes is what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from langkeys import errors
from langkeys.settings import ENV_FILE, KNOWN
from langkeys.store.generations import GENERATIONS, Generation

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def _row(generation: Generation) -> str:
    at_rest = "Fernet" if generation.encrypts_keys else "plaintext"
    cells = (
        generation.release,
        f"{at_rest}, with hash" if generation.has_key_hash else at_rest,
        "yes" if generation.has_key_expiry else "no",
        "refused" if generation.honours_key_state else "let in",
        "refused" if generation.honours_owner_state else "runs flows",
        "LANGFLOW_SUPERUSER" if generation.auto_login_is_named else "langflow",
        "deleted, keys and all"
        if generation.deletes_default_superuser
        else "deactivated, or claimed",
    )
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("generation", GENERATIONS, ids=lambda generation: generation.release)
def test_the_table_of_generations_is_the_codes(generation: Generation) -> None:
    assert _row(generation) in README


@pytest.mark.parametrize("name", [*KNOWN, ENV_FILE])
def test_every_setting_is_in_the_table_of_settings(name: str) -> None:
    assert f"\n| `{name}`" in README


@pytest.mark.parametrize("error", errors.LangkeysError.__subclasses__())
def test_every_error_is_in_the_table_of_exit_codes(error: type[errors.LangkeysError]) -> None:
    rows = [line for line in README.splitlines() if line.startswith(f"| {error.exit_code} | ")]
    assert any(f"`{error.code}`" in row for row in rows)
