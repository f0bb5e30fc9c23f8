from __future__ import annotations

from collections.abc import Callable

import bcrypt
import pytest

from langkeys.authentication import Acting, authenticate, require_superuser, superuser_at_risk
from langkeys.config.settings import Settings
from langkeys.crypto import passwords
from langkeys.errors import ForbiddenError, InvalidKeyError, LangkeysError, UnauthenticatedError

from .support.databases import ago, ahead
from .support.samples import PASSWORD, WRONG_PASSWORD, new_api_key
from .support.sites import Site
from .support.stores import cipher, opened

NAMED_BY_AUTO_LOGIN = ("1.10", "1.11", "1.12", "1.12.8", "1.13")
ALWAYS_LANGFLOW = ("1.5", "1.6", "1.7", "1.8", "1.9", "1.10.0")


def nobody_to_ask(username: str) -> str:
    raise UnauthenticatedError(f"{username} is asked for a password")


def must_not_check(password: str, password_hash: str | None) -> bool:
    raise AssertionError("a password is checked where none is needed")


def acting_on(
    site: Site,
    *,
    ask: Callable[[str], str] = nobody_to_ask,
    verify: Callable[[str, str | None], bool] = passwords.matches,
    **settings: str,
) -> Acting:
    with opened(site.database) as store:
        return authenticate(
            Settings(environ={"LANGFLOW_SUPERUSER": "administrator", **settings}),
            store,
            cipher=cipher,
            verify_password=verify,
            ask_password=ask,
            warn=pytest.fail,
        )


def refused(site: Site, **settings: str) -> LangkeysError:
    with pytest.raises(LangkeysError) as caught:
        acting_on(site, **settings)
    assert caught.value.exit_code == 4
    assert caught.value.hint
    return caught.value


# By API key


def test_an_api_key_acts_as_its_user(site: Site) -> None:
    owner = site.database.add_user("alice")
    key = site.database.add_key(owner)
    acting = acting_on(site, verify=must_not_check, LANGKEYS_API_KEY=key.plaintext)
    assert acting.user.username == "alice"
    assert acting.api_key is not None
    assert acting.api_key.id == key.id


def test_an_api_key_goes_before_auto_login_and_password(site: Site) -> None:
    key = site.database.add_key(site.database.add_user("alice"))
    acting = acting_on(
        site,
        verify=must_not_check,
        LANGKEYS_API_KEY=key.plaintext,
        LANGFLOW_AUTO_LOGIN="true",
        LANGFLOW_SUPERUSER_PASSWORD=PASSWORD,
    )
    assert acting.user.username == "alice"


@pytest.mark.parametrize("reason", ["unknown", "expired", "inactive", "owner inactive"])
def test_an_api_key_that_is_not_valid_is_refused_and_nothing_else_is_tried(
    site: Site, reason: str
) -> None:
    owner = site.database.add_user("alice", is_active=reason != "owner inactive")
    key = site.database.add_key(
        owner,
        is_active=reason != "inactive",
        expires_at=ago(days=1) if reason == "expired" else ahead(days=1),
    )
    with pytest.raises(InvalidKeyError) as caught:
        acting_on(
            site,
            verify=must_not_check,
            LANGKEYS_API_KEY=new_api_key() if reason == "unknown" else key.plaintext,
            LANGFLOW_AUTO_LOGIN="true",
            LANGFLOW_SUPERUSER_PASSWORD=PASSWORD,
        )
    error = caught.value
    assert (error.reason, error.code, error.exit_code) == (reason, "invalid_key", 4)
    assert "LANGKEYS_API_KEY" in error.message
    assert "environment" in error.message
    assert key.plaintext not in f"{error.message}{error.hint}"


@pytest.mark.parametrize("release", ["1.5", "1.8", "1.9"])
def test_an_inactive_api_key_acts_for_nobody_though_an_old_server_lets_it_in(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    key = site.database.add_key(site.database.add_user("alice"), is_active=False)
    error = refused(site, LANGKEYS_API_KEY=key.plaintext, LANGFLOW_AUTO_LOGIN="true")
    assert error.code == "invalid_key"


@pytest.mark.parametrize("release", ["1.5", "1.8", "1.10"])
def test_the_api_key_of_an_inactive_owner_acts_for_nobody_though_an_old_server_lets_it_in(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    key = site.database.add_key(site.database.add_user("alice", is_active=False))
    error = refused(site, LANGKEYS_API_KEY=key.plaintext, LANGFLOW_AUTO_LOGIN="true")
    assert error.code == "invalid_key"


# By AUTO_LOGIN


@pytest.mark.parametrize("release", NAMED_BY_AUTO_LOGIN)
def test_auto_login_acts_as_the_superuser_that_is_named(
    site_of: Callable[[str], Site], release: str
) -> None:
    acting = acting_on(site_of(release), verify=must_not_check, LANGFLOW_AUTO_LOGIN="true")
    assert acting.user.username == "administrator"
    assert acting.api_key is None


@pytest.mark.parametrize("release", ALWAYS_LANGFLOW)
def test_auto_login_acts_as_langflow_in_older_generations(
    site_of: Callable[[str], Site], release: str
) -> None:
    acting = acting_on(site_of(release), verify=must_not_check, LANGFLOW_AUTO_LOGIN="true")
    assert acting.user.username == "langflow"


def test_auto_login_checks_no_password_even_where_one_is_set(site: Site) -> None:
    acting = acting_on(
        site,
        verify=must_not_check,
        LANGFLOW_AUTO_LOGIN="true",
        LANGFLOW_SUPERUSER_PASSWORD=WRONG_PASSWORD,
    )
    assert acting.user.username == "administrator"


def test_auto_login_without_its_user_is_refused(site: Site) -> None:
    error = refused(site, LANGFLOW_AUTO_LOGIN="true", LANGFLOW_SUPERUSER="nobody-of-that-name")
    assert error.code == "unauthenticated"
    assert "nobody-of-that-name" in error.message
    assert str(site.database.path) in error.message


# By password


def test_the_superuser_acts_by_the_password_that_is_set(site: Site) -> None:
    acting = acting_on(site, LANGFLOW_SUPERUSER_PASSWORD=PASSWORD)
    assert acting.user.username == "administrator"


def test_a_password_that_is_not_set_is_asked_for(site: Site) -> None:
    asked: list[str] = []

    def ask(username: str) -> str:
        asked.append(username)
        return PASSWORD

    assert acting_on(site, ask=ask).user.username == "administrator"
    assert asked == ["administrator"]


def test_where_nobody_can_be_asked_nobody_acts(site: Site) -> None:
    with pytest.raises(UnauthenticatedError):
        acting_on(site)


@pytest.mark.parametrize("name", ["administrator", "nobody-of-that-name", "Administrator"])
def test_a_wrong_name_or_password_is_refused_in_the_same_words(site: Site, name: str) -> None:
    password = WRONG_PASSWORD if name == "administrator" else PASSWORD
    error = refused(site, LANGFLOW_SUPERUSER=name, LANGFLOW_SUPERUSER_PASSWORD=password)
    assert error.code == "unauthenticated"
    assert error.message.replace(name, "NAME") == (
        "wrong name or password for the superuser 'NAME' (LANGFLOW_SUPERUSER_PASSWORD, environment)"
        f" in {site.database.path}"
    )


@pytest.mark.parametrize("name", ["administrator", "nobody-of-that-name"])
def test_a_refusal_does_the_same_work_whether_the_user_exists_or_not(
    site: Site, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A hash of the cost that servers use, which determines the time of a check.
    hashed = passwords.hash_password(PASSWORD)
    site.database.rows("UPDATE user SET password = ?", (hashed,))
    costs: list[bytes] = []
    check: Callable[[bytes, bytes], bool] = bcrypt.checkpw

    def counting(password: bytes, password_hash: bytes) -> bool:
        costs.append(password_hash[:7])
        return check(password, password_hash)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    refused(site, LANGFLOW_SUPERUSER=name, LANGFLOW_SUPERUSER_PASSWORD=WRONG_PASSWORD)
    assert costs == [b"$2b$12$"]


def test_a_stored_hash_that_is_none_lets_nobody_in(site: Site) -> None:
    site.database.rows("UPDATE user SET password = ?", (PASSWORD,))
    assert refused(site, LANGFLOW_SUPERUSER_PASSWORD=PASSWORD).code == "unauthenticated"


# Access


@pytest.mark.parametrize(
    ("way", "is_active", "is_superuser"),
    [
        ("api key", True, False),  # the key of an inactive owner is already refused
        ("auto login", False, True),
        ("auto login", True, False),
        ("password", False, True),
        ("password", True, False),
    ],
)
def test_only_an_active_superuser_may_act(
    site: Site, way: str, is_active: bool, is_superuser: bool
) -> None:
    owner = site.database.add_user("alice", is_active=is_active, is_superuser=is_superuser)
    key = site.database.add_key(owner)
    settings = {
        "api key": {"LANGKEYS_API_KEY": key.plaintext},
        "auto login": {"LANGFLOW_AUTO_LOGIN": "true"},
        "password": {"LANGFLOW_SUPERUSER_PASSWORD": PASSWORD},
    }[way]
    acting = acting_on(site, LANGFLOW_SUPERUSER="alice", **settings)
    with pytest.raises(ForbiddenError) as caught:
        require_superuser(acting, "the database")
    assert caught.value.exit_code == 4
    assert "alice" in caught.value.message
    assert "the database" in caught.value.message
    assert ("superuser" if is_active else "inactive") in caught.value.message


def test_an_active_superuser_may_act(site: Site) -> None:
    require_superuser(acting_on(site, LANGFLOW_SUPERUSER_PASSWORD=PASSWORD), "the database")


# Accounts that servers delete


def risk(site: Site, *, last_login: bool = False, **settings: str) -> str | None:
    database = site.database
    moment = "2026-01-01 00:00:00.000000" if last_login else None
    database.rows("UPDATE user SET last_login_at = ?", (moment,))
    name = settings.pop("name", "langflow")
    with opened(database) as store:
        owner = store.find_user_named(name)
        assert owner is not None
        return superuser_at_risk(Settings(environ=settings), store.generation, owner)


@pytest.mark.parametrize("release", ["1.5", "1.8", "1.10", "1.12", "1.13"])
def test_a_langflow_that_never_logged_in_is_at_risk_without_auto_login(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    found = risk(site, LANGFLOW_AUTO_LOGIN="false")
    assert found is not None
    assert f"a Langflow {release}" in found
    assert ("deletes" in found) == (release != "1.13")


def test_nobody_else_is_at_risk(site_of: Callable[[str], Site]) -> None:
    site = site_of("1.12")
    assert risk(site, LANGFLOW_AUTO_LOGIN="true") is None
    assert risk(site, last_login=True) is None
    assert risk(site, name="administrator") is None
    site.database.rows("UPDATE user SET is_superuser = 0")
    assert risk(site) is None
