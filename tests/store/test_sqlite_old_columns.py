"""Columns that a table lacks in older generations."""

from __future__ import annotations

from collections.abc import Callable

from langkeys.models import EncryptedValue

from ..support.sites import Site
from ..support.stores import opened


def test_an_sso_config_without_a_slug_is_an_encrypted_value_without_a_name(
    site_of: Callable[[str], Site],
) -> None:
    """In Langflow 1.8 the table has no slug."""
    database = site_of("1.8").database
    database.rows("DROP TABLE sso_config")
    database.rows("CREATE TABLE sso_config (id CHAR(32), client_secret_encrypted VARCHAR)")
    database.rows("INSERT INTO sso_config VALUES ('1', 'lf-sso:v1:sealed')")
    sealed = EncryptedValue("sso_config", "client_secret_encrypted", "1", None, "lf-sso:v1:sealed")
    with opened(database) as store:
        assert sealed in list(store.sample_of_encrypted_values())
        assert sealed in list(store.encrypted_values())
