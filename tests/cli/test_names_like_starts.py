"""The start of a key as a reference, also as tables show it; names that look like a start."""

from __future__ import annotations

import re

import pytest

from ..support.samples import OTHER_SECRET_KEY
from ..support.sites import Site
from ..support.terminals import run_at_terminal

ID = "3f2a9c41" + "0" * 23 + "1"
START = "sk-abcde"


@pytest.fixture
def names(site: Site, superuser: str) -> dict[str, str]:
    """Map names of keys, which are the start of another key or of its id, to that key's id."""
    other = site.database.add_key(superuser, "deploy", key_id=ID)
    leaked = site.database.add_key(superuser, "leaked", plaintext=START + "x" * 35)
    found = {ID[:4]: other.dashed, ID[:8].upper(): other.dashed, START: leaked.dashed}
    for name in found:
        site.database.add_key(superuser, name)
    return found


@pytest.mark.parametrize("name", [ID[:4], ID[:8].upper(), START])
@pytest.mark.parametrize("verb", ["show", "deactivate", "revoke"])
def test_the_named_key_is_used_and_the_other_one_is_named(
    site: Site, names: dict[str, str], verb: str, name: str
) -> None:
    yes = () if verb == "show" else ("--yes",)
    result = site.call("api-key", verb, name, *yes, "--json").done()
    found = result.json()
    found = found[0] if isinstance(found, list) else found
    assert found["name"] == name
    (line,) = [line for line in result.stderr.splitlines() if "warning: " in line]
    assert line.startswith(f"warning: '{name}' is the name of API key {found['id']}")
    assert names[name] in line
    assert ("the id" in line) == (name != START)


def test_a_name_that_is_the_start_of_nothing_else_gets_no_warning(
    site: Site, superuser: str
) -> None:
    site.database.add_key(superuser, key_id=ID, name=ID[:8])
    site.database.add_key(superuser, START, plaintext=START + "x" * 35)
    site.database.add_key(superuser, "bead")
    for name in (ID[:8], START, "bead"):
        assert "warning" not in site.call("api-key", "show", name).done().stderr


def test_a_key_is_found_by_what_the_table_shows(site: Site, superuser: str) -> None:
    key = site.database.add_key(superuser, "deploy")
    site.database.add_key(superuser)
    shown = re.search(r"sk-\S+…", run_at_terminal(site, "api-key", "list").text)
    assert shown is not None
    piped = site.call("api-key", "show", "deploy", "--fields", "api_key").done().lines[0]
    for ref in (shown[0], piped):
        assert key.plaintext.startswith(ref.strip("…*"))
        assert site.call("api-key", "show", ref).done().rows[0][0] == key.dashed


def test_most_of_a_key_is_not_repeated(site: Site, superuser: str) -> None:
    start = site.database.add_key(superuser).plaintext[:30]
    result = site.call("api-key", "revoke", start, "--yes").failed(2, "5 to 20", "stdin")
    assert start not in result.stderr


@pytest.mark.parametrize("secret_key", [OTHER_SECRET_KEY, None, "x" * 40])
def test_revoke_goes_on_when_the_secret_key_is_lost(
    site: Site, names: dict[str, str], secret_key: str | None
) -> None:
    site.settings["LANGFLOW_CONFIG_DIR"] = str(site.folder / "config")
    for name, other in names.items():
        result = site.call(
            "api-key", "revoke", name, "--yes", "--json", LANGFLOW_SECRET_KEY=secret_key
        ).done()
        assert [key["name"] for key in result.json()] == [name]
        assert (other in result.stderr) == (name != START)
