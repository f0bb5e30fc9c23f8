"""A database with an ICU collation: names, order and look-ups are the same as without it."""

from __future__ import annotations

import pytest

from ..conftest import SUPERUSER
from ..support.databases import ago
from ..support.samples import CREDENTIAL, encrypted, hash_of
from ..support.server_databases import ServerDatabase
from ..support.sites import Site

DOTLESS = "\N{LATIN SMALL LETTER DOTLESS I}"
NAMES = [
    "zebra", "Äpfel", "apfel", "B", "a-b", "ab", "A b", "ÅNGSTRÖM", "I", DOTLESS, "i", "ß", "ss",
]  # fmt: skip
"""Their order differs by bytes, in English, in Swedish and in Turkish."""


@pytest.fixture(params=["en-US", "sv-SE", "tr-TR"])
def icu_locale(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_collation_is_the_databases(server: ServerDatabase, icu_locale: str) -> None:
    assert server.rows(
        "SELECT daticulocale, datlocprovider::text FROM pg_database"
        " WHERE datname = current_database()"
    ) == [(icu_locale, "i")]
    if icu_locale == "en-US":  # its order is not that of bytes
        assert server.rows("SELECT 'a' < 'B', lower('ÄÖ')") == [(True, "äö")]


def test_keys_are_listed_by_age_and_sorted_as_on_sqlite(
    site: Site, server: ServerDatabase, superuser: str
) -> None:
    for age, name in enumerate(NAMES):
        server.add_key(superuser, name, created_at=ago(minutes=100 - age))
    expected = sorted(NAMES, key=lambda name: (name.casefold(), name))
    for options, names in (
        ((), NAMES),
        (("--limit", "4", "--offset", "2"), NAMES[2:6]),
        (("--sort", "name"), expected),
        (("--sort", "-name", "--limit", "3"), expected[::-1][:3]),
    ):
        rows = site.call("api-key", "list", "--fields", "name", *options).done().rows
        assert [row[0] for row in rows] == names


def test_a_name_is_looked_up_exactly(site: Site, server: ServerDatabase, superuser: str) -> None:
    keys = {name: server.add_key(superuser, name) for name in NAMES}
    for name, key in keys.items():
        assert site.call("api-key", "show", name, "--json").done().json()["id"] == key.dashed
    site.call("api-key", "show", "APFEL").failed(3)
    site.call("api-key", "revoke", "i", "I", "--yes").done()
    left = {row[1] for row in site.call("api-key", "list").done().rows}
    assert left == {*NAMES} - {"i", "I"}


def test_starts_of_ids_and_of_keys_are_found(
    site: Site, server: ServerDatabase, superuser: str
) -> None:
    # If case or punctuation did not count, each of these would match several keys.
    plain = [f"sk-{start}{'x' * 36}" for start in ("aBcDeF-", "AbCdEf-", "abcdef-", "abcdef_")]
    ids = ["abcd" + "0" * 28, "abce" + "0" * 28, "abcd1" + "0" * 27, "b" * 32]
    for name, (text, key_id) in enumerate(zip(plain, ids, strict=True)):
        # The keys are stored as plaintext, so the server itself searches for the start.
        server.add_key(superuser, str(name), plaintext=text, key_id=key_id, at_rest="plaintext")
    for name, text in enumerate(plain):
        shown = site.call("api-key", "show", text[:12], "--json").done().json()
        assert shown["name"] == str(name)
    site.call("api-key", "show", "sk-ABCDEF").failed(3)
    for reference, wanted in (("abce", "1"), ("ABCE", "1"), ("abcd1", "2"), ("bbbb", "3")):
        assert site.call("api-key", "show", reference, "--json").done().json()["name"] == wanted
    site.call("api-key", "show", "abcd").failed(3, "0", "2")


def test_keys_at_rest_in_plaintext_are_told_from_encrypted_ones(
    site: Site, server: ServerDatabase, superuser: str
) -> None:
    server.add_key(superuser, "new")
    # They sort after "gAAAAA" in one collation and before it in another.
    old = [
        server.add_key(superuser, f"old {start}", plaintext=start + "y" * 40, at_rest="plaintext")
        for start in ("sk-Gaaaaa", "sk-gAAAAa", "GAAAAA-", "gaaaaa-")
    ]
    rows = {
        key["name"]: key["at_rest"] for key in site.call("api-key", "list", "--json").done().json()
    }
    assert rows == {"new": "fernet", **{key.name: "plaintext" for key in old}}
    site.call("api-key", "migrate").done()
    at_rest = {key["at_rest"] for key in site.call("api-key", "list", "--json").done().json()}
    assert at_rest == {"fernet"}
    stored = server.rows("SELECT api_key_hash FROM apikey")
    assert {hash_of(key.plaintext) for key in old} <= {row[0] for row in stored}


def test_user_names_are_unique_without_regard_to_case(
    site: Site, server: ServerDatabase, icu_locale: str
) -> None:
    site.call("user", "create", "INFO", "--random").done()
    # In Turkish the lower case of INFO is not info, so the index would allow both.
    site.call("user", "create", "info", "--random").failed(5)
    site.call("user", "create", "Info", "--random", "--if-missing").failed(5)
    site.call("user", "create", "ÄRGER", "--random").done()
    site.call("user", "create", "ärger", "--random").failed(5)
    assert site.call("user", "show", "INFO", "--json").done().json()["username"] == "INFO"
    site.call("user", "show", "info").failed(3)
    # If two names are only equal by the server's rules, the error is a conflict, not unexpected.
    site.call("user", "create", f"{DOTLESS}s{DOTLESS}", "--random").done()
    other = site.call("user", "create", "ISI", "--random")
    assert other.code == (5 if icu_locale == "tr-TR" else 0), other
    names = [row[1] for row in site.call("user", "list").done().rows]
    assert names[:4] == [SUPERUSER, "INFO", "ÄRGER", f"{DOTLESS}s{DOTLESS}"]


def test_variables_are_told_apart_by_case(
    site: Site, server: ServerDatabase, superuser: str
) -> None:
    for name in ("TOKEN", "Token", "token"):
        server.add_variable(superuser, name, encrypted(CREDENTIAL))
    site.call("variable", "set", "Token", "--value-file", "-", stdin="other").done()
    assert site.call("variable", "show", "Token", "--reveal").done().stdout == "other\n"
    assert site.call("variable", "show", "token", "--reveal").done().lines == [CREDENTIAL]
    site.call("variable", "delete", "TOKEN", "--yes").done()
    listed = [row[1] for row in site.call("variable", "list", "--sort", "name").done().rows]
    assert listed == ["Token", "token"]


def test_the_secret_key_is_tried_and_rotated(
    site: Site, server: ServerDatabase, superuser: str
) -> None:
    for name in NAMES:
        server.add_key(superuser, name)
        server.add_variable(superuser, name, encrypted(CREDENTIAL))
    config = site.folder / "config"
    config.mkdir()
    (config / "secret_key").write_text(site.settings.pop("LANGFLOW_SECRET_KEY"))
    site.settings["LANGFLOW_CONFIG_DIR"] = str(config)
    site.call("secret-key", "check").done()
    site.call("secret-key", "rotate", "--yes").done()
    site.call("secret-key", "check").done()
    assert site.call("variable", "show", NAMES[0], "--reveal").done().lines == [CREDENTIAL]
