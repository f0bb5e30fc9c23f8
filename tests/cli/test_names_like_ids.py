"""A user whose name is another user's id has no access to that user's data."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from langkeys import LangflowStore
from langkeys.models import dashed

from ..conftest import SUPERUSER
from ..support.databases import ago, ahead
from ..support.samples import encrypted
from ..support.sites import Site

SPELLINGS = [str, str.upper, dashed, lambda text: dashed(text).upper()]


@pytest.fixture(params=SPELLINGS, ids=["hex", "HEX", "dashed", "DASHED"])
def impostor(request: pytest.FixtureRequest, site: Site, superuser: str) -> str:
    """The id of an ordinary user whose name is the superuser's id."""
    return site.database.add_user(request.param(superuser), is_superuser=False)


def _owner(site: Site, key_id: str) -> str:
    ((owner,),) = site.database.rows(
        "SELECT user_id FROM apikey WHERE id = ?", (key_id.replace("-", ""),)
    )
    return str(owner)


@pytest.mark.parametrize(
    "selection", [["ci"], ["--user", SUPERUSER, "--all"], ["--older-than", "1h"]]
)
@pytest.mark.parametrize("grace", [[], ["--grace", "1h"]])
def test_a_rotated_key_stays_its_owners(
    selection: list[str], grace: list[str], site: Site, superuser: str, impostor: str
) -> None:
    site.database.add_key(superuser, "ci", created_at=ago(days=2), expires_at=ahead(days=2))
    result = site.call("api-key", "rotate", *selection, *grace, "--json").done()
    made = result.json()
    made = made[0] if isinstance(made, list) else made
    assert (_owner(site, made["id"]), made["username"]) == (superuser, SUPERUSER)


def test_an_id_after_user_is_the_id_and_a_warning_says_so(
    site: Site, superuser: str, impostor: str
) -> None:
    site.database.add_variable(superuser, "TOKEN", encrypted("x"))
    for text in (superuser, dashed(superuser).upper()):
        for line in (
            ("api-key", "create", "--user", text, "--json"),
            ("variable", "list", "--user", text, "--json"),
            ("user", "show", text, "--json"),
        ):
            result = site.call(*line).done()
            found = result.json()
            found = found[0] if isinstance(found, list) else found
            assert found["username"] == SUPERUSER
            assert dashed(impostor) in result.stderr
            assert "warning: " in result.stderr


def test_nobody_is_promoted_in_anothers_place(site: Site, superuser: str, impostor: str) -> None:
    site.call("user", "promote", superuser).done()
    ((is_superuser,),) = site.database.rows(
        "SELECT is_superuser FROM user WHERE id = ?", (impostor,)
    )
    assert is_superuser == 0


def test_the_library_takes_an_id_for_an_id(
    site: Site, superuser: str, impostor: str, gateway: LangflowStore
) -> None:
    assert gateway.api_keys.create("a", user=superuser).row.user_id == superuser
    assert gateway.variables.set("A", "1", user=dashed(superuser)).user_id == superuser
    assert gateway.api_keys.rotate("a").new.row.user_id == superuser
    assert {key.user_id for key in gateway.api_keys.list(user=superuser)} == {superuser}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_settings_name_a_user_by_name_alone(
    spelling: Callable[[str], str], site: Site, superuser: str
) -> None:
    # LANGFLOW_SUPERUSER is always a name, as for servers.
    site.call("whoami", LANGFLOW_SUPERUSER=spelling(superuser)).failed(4)
