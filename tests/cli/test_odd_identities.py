"""Unusual rows that a server still accepts: another key's hash, ids in other spellings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from langkeys.models import dashed

from ..support.databases import SampleKey
from ..support.samples import new_api_key
from ..support.sites import Site

ENDS = [
    ("api-key", "revoke", "{}", "--yes"),
    ("api-key", "rotate", "{}"),
    ("api-key", "deactivate", "{}"),
    ("api-key", "update", "{}", "--expires", "1s"),
]


@pytest.mark.parametrize("line", ENDS, ids=lambda line: line[1])
@pytest.mark.parametrize("hashed", [True, False])
def test_a_row_with_another_keys_hash_ends_with_all_that_it_may_be(
    site: Site, superuser: str, line: tuple[str, ...], hashed: bool
) -> None:
    database = site.database
    whole = new_api_key()
    odd = database.add_key(superuser, "odd", plaintext=whole)
    database.rows("UPDATE apikey SET api_key_hash = ? WHERE id = ?", ("0" * 64, odd.id))
    database.add_key(superuser, "other", plaintext=whole, hashed=hashed)
    site.call(*(part.format(odd.dashed) for part in line)).done()
    if line[1] == "update":
        times = {row[0] for row in database.rows("SELECT expires_at FROM apikey")}
        assert None not in times
        return
    site.call("whoami", "--api-key", "-", stdin=whole).failed(4)


@pytest.fixture(params=[dashed, str.upper, lambda text: dashed(text).upper()])
def odd_owner(request: pytest.FixtureRequest, site: Site, superuser: str) -> SampleKey:
    """A row without hash whose owner id has an unusual spelling, which servers accept."""
    spelling: Callable[[str], str] = request.param
    key = site.database.add_key(superuser, "odd", hashed=False)
    site.database.rows("UPDATE apikey SET user_id = ? WHERE id = ?", (spelling(superuser), key.id))
    return key


def test_an_owner_in_another_spelling_is_the_owner(site: Site, odd_owner: SampleKey) -> None:
    answer = site.call("whoami", "--api-key", "-", stdin=odd_owner.plaintext).done()
    assert answer.rows[0][1] == "administrator"
    (listed,) = site.call("api-key", "list", "--all-users", "--json").done().json()
    assert (listed["username"], listed["name"]) == ("administrator", "odd")


@pytest.mark.parametrize("line", ENDS[:3], ids=lambda line: line[1])
def test_its_key_ends_with_the_others(
    site: Site, superuser: str, odd_owner: SampleKey, line: tuple[str, ...]
) -> None:
    normal = site.database.add_key(superuser, "normal", plaintext=odd_owner.plaintext)
    site.call(*(part.format(normal.dashed) for part in line)).done()
    site.call("whoami", "--api-key", "-", stdin=odd_owner.plaintext).failed(4)
