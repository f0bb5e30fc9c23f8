"""The checks after a key was created or ended, and their errors."""

from __future__ import annotations

import pytest

from langkeys.api_keys.ending import Endings
from langkeys.api_keys.finder import KeyFinder
from langkeys.api_keys.lifecycle import check_accepted
from langkeys.api_keys.verification import Judge
from langkeys.errors import ConflictError, FailedError
from langkeys.models import dashed
from langkeys.store.protocol import Store

from ..support.databases import Database, ago
from ..support.stores import cipher


def test_a_new_key_that_a_server_would_refuse_is_named_with_the_reason(
    database: Database, superuser: str, store: Store
) -> None:
    good = database.add_key(superuser)
    expired = database.add_key(superuser, expires_at=ago(days=1))
    rows = [store.find_api_key(key.id) for key in (good, expired)]
    found = [row for row in rows if row is not None]
    check_accepted(store, found[:1])
    with pytest.raises(ConflictError) as caught:
        check_accepted(store, found)
    assert f"would refuse the new API key {dashed(expired.id)}" in caught.value.message
    assert "expired" in caught.value.message


def test_before_a_key_has_ended_no_row_is_warned_of(store: Store) -> None:
    assert Endings(store, KeyFinder(store, cipher), Judge()).unreadable_warning is None


def test_where_a_server_still_accepts_an_ended_key_the_row_to_revoke_is_named(
    database: Database, superuser: str, store: Store
) -> None:
    key = database.add_key(superuser)
    endings = Endings(store, KeyFinder(store, cipher), Judge())
    row = store.find_api_key(key.id)
    assert row is not None
    with pytest.raises(FailedError, match="a server still accepts the key") as caught:
        endings.prove_refused(store, [endings.single_row_key(row)], "inactive")
    assert f"langkeys api-key revoke {dashed(key.id)}" in str(caught.value.hint)
    database.rows("UPDATE apikey SET is_active = 0")
    endings.prove_refused(store, [endings.single_row_key(row)], "inactive")
