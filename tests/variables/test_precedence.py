from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from langkeys.config.settings import Settings
from langkeys.errors import ConfigError
from langkeys.variables.environment_names import imported_names, is_guarded
from langkeys.variables.precedence import Explanation, explain

from ..support import variable_rows
from ..support.databases import SHAPES
from ..support.samples import OTHER_SECRET_KEY, encrypted
from ..support.sites import Site
from ..support.stores import cipher, opened

# Observed on live servers of 1.5.1, 1.6.9, 1.8.4, 1.11.6 and 1.13.0, by running a flow with a field
# that takes the variable. 1.7 is from the source of lfx 0.2.2.
NEVER_FALLS_BACK = ("1.5", "1.7")
UNOPENED_FALLS_BACK = ("1.11", "1.12", "1.12.8", "1.13")
OVERWRITES_ALWAYS = ("1.5", "1.6", "1.7")
KEEPS_BY_TIME = ("1.8", "1.9", "1.10.0", "1.10", "1.11", "1.12")
KEEPS_BY_MARK = ("1.12.8", "1.13")

IMPORTED = "OPENAI_API_KEY"
OTHER = "MY_TOKEN"
CREATED, LATER = "2026-01-01 00:00:00.000000", "2026-01-01 00:00:00.000001"


class Case:
    """A site of one release, and methods that explain its variables."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.database = site.database
        self.owner = str(self.database.rows("SELECT id FROM user WHERE username='langflow'")[0][0])

    def add(self, name: str = OTHER, value: str = "stored", **more: Any) -> None:
        variable_rows.add(self.database, self.owner, name, value, **more)

    def explain(self, name: str = OTHER, *, tweak: bool = False, **environ: str) -> Explanation:
        with opened(self.database) as store:
            user = store.find_user(self.owner)
            assert user is not None
            settings = Settings(environ=environ)
            return explain(store, settings, cipher, user, name, has_tweak=tweak)


@pytest.fixture
def case(site_of: Callable[[str], Site]) -> Callable[[str], Case]:
    return lambda release: Case(site_of(release))


def outcome(found: Explanation) -> tuple[str, tuple[str, ...]]:
    return found.wins, found.hides


@pytest.mark.parametrize("release", SHAPES)
def test_a_tweak_goes_before_the_stored_one_and_that_before_the_environment(
    case: Callable[[str], Case], release: str
) -> None:
    here = case(release)
    here.add()
    seen = {OTHER: "environment"}
    assert outcome(here.explain(tweak=True, **seen)) == ("tweak", ("stored", "environment"))
    assert outcome(here.explain(tweak=True)) == ("tweak", ("stored",))
    assert outcome(here.explain(**seen)) == ("stored", ("environment",))
    assert outcome(here.explain()) == ("stored", ())
    assert outcome(here.explain("NOWHERE", tweak=True)) == ("tweak", ())
    assert outcome(here.explain("NOWHERE")) == ("none", ())


@pytest.mark.parametrize("release", SHAPES)
def test_a_name_that_is_not_stored_comes_from_the_environment(
    case: Callable[[str], Case], release: str
) -> None:
    found = case(release).explain(**{OTHER: "environment"})
    if release in NEVER_FALLS_BACK:
        assert (found.wins, found.no_fallback) == ("none", "generation")
    else:
        assert (found.wins, found.no_fallback) == ("environment", None)
    assert found.environment == "this environment"
    assert (found.stored, found.can_decrypt, found.is_kept) == (None, None, None)


def test_the_fallback_may_be_turned_off(case: Callable[[str], Case]) -> None:
    found = case("1.13").explain(**{OTHER: "x", "LANGFLOW_FALLBACK_TO_ENV_VAR": "false"})
    assert (found.wins, found.no_fallback) == ("none", "setting")


@pytest.mark.parametrize("release", ["1.8", "1.11", "1.13"])
@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "LANGFLOW_URL", "lfx_anything"])
def test_newer_servers_give_no_secret_of_their_own_to_a_flow(
    case: Callable[[str], Case], release: str, name: str
) -> None:
    found = case(release).explain(name, **{name: "x"})
    expected = ("environment", None) if release == "1.8" else ("none", "guarded")
    assert (found.wins, found.no_fallback) == expected


def test_an_empty_value_in_the_environment_counts_as_none(case: Callable[[str], Case]) -> None:
    found = case("1.13").explain(**{OTHER: ""})
    assert (found.wins, found.environment) == ("none", None)


def test_the_environment_is_that_of_the_env_file_too(
    case: Callable[[str], Case], tmp_path: Path
) -> None:
    file = tmp_path / "server.env"
    file.write_text(f"{OTHER}=x\n")
    here = case("1.13")
    found = here.explain(LANGKEYS_ENV_FILE=str(file))
    assert (found.wins, found.environment) == ("environment", str(file))
    assert here.explain(LANGKEYS_ENV_FILE=str(file), **{OTHER: "y"}).environment == (
        "this environment"
    )


@pytest.mark.parametrize("release", SHAPES)
def test_what_does_not_open_blocks_the_environment_or_lets_it_through(
    case: Callable[[str], Case], release: str
) -> None:
    here = case(release)
    token = encrypted("x", OTHER_SECRET_KEY)
    here.add(value=token, is_encrypted=False)
    found = here.explain(**{OTHER: "environment"})
    assert found.can_decrypt is False
    assert found.wins == ("environment" if release in UNOPENED_FALLS_BACK else "none")
    assert here.explain().wins == "none"


@pytest.mark.parametrize(("release", "wins"), [("1.8", "none"), ("1.13", "environment")])
def test_an_encrypted_nothing_is_like_what_does_not_open(
    case: Callable[[str], Case], release: str, wins: str
) -> None:
    here = case(release)
    here.add(value="")
    found = here.explain(**{OTHER: "environment"})
    assert (found.wins, found.can_decrypt, found.has_value) == (wins, True, False)


def test_a_placeholder_of_a_server_is_as_good_as_nothing(case: Callable[[str], Case]) -> None:
    here = case("1.13")
    here.add(value="", kind="Generic")
    here.add(value="second", kind="Generic")
    found = here.explain()
    assert (found.wins, found.has_value, len(found.rows)) == ("none", False, 2)
    assert here.explain(**{OTHER: "x"}).wins == "environment"


def test_an_encrypted_generic_value_is_used_as_it_is_from_1_8_on(
    case: Callable[[str], Case],
) -> None:
    here = case("1.13")
    here.add(value=encrypted("x", OTHER_SECRET_KEY), kind="Generic", is_encrypted=False)
    assert here.explain(**{OTHER: "y"}).wins == "stored"


# Whether servers keep the stored value


@pytest.mark.parametrize("release", SHAPES)
@pytest.mark.parametrize(
    ("updated_at", "managed", "kind", "by_time", "by_mark"),
    [
        (LATER, False, "Credential", True, True),
        (CREATED, False, "Credential", False, True),
        (None, None, "Credential", False, True),
        (CREATED, True, "Credential", False, False),
        # A server of 1.12.0 changed it during an upgrade: langflow.services.variable.service.
        (LATER, True, "Credential", True, True),
        (CREATED, True, "Generic", False, True),
    ],
)
def test_what_servers_keep_at_a_start_depends_on_their_generation(
    case: Callable[[str], Case],
    release: str,
    updated_at: str | None,
    managed: bool | None,
    kind: str,
    by_time: bool,
    by_mark: bool,
) -> None:
    here = case(release)
    here.add(IMPORTED, kind=kind, created_at=CREATED, updated_at=updated_at, managed=managed)
    expected = {
        **dict.fromkeys(OVERWRITES_ALWAYS, False),
        **dict.fromkeys(KEEPS_BY_TIME, by_time),
        **dict.fromkeys(KEEPS_BY_MARK, by_mark),
    }
    found = here.explain(IMPORTED)
    assert (found.is_imported, found.is_kept) == (True, expected[release])


@pytest.mark.parametrize(
    ("name", "environ"),
    [(OTHER, {}), (IMPORTED, {"LANGFLOW_STORE_ENVIRONMENT_VARIABLES": "false"})],
)
def test_what_no_server_imports_is_kept(
    case: Callable[[str], Case], name: str, environ: dict[str, str]
) -> None:
    here = case("1.6")
    here.add(name)
    found = here.explain(name, **environ)
    assert (found.is_imported, found.is_kept) == (False, True)


def test_settings_add_to_the_names_that_servers_import(case: Callable[[str], Case]) -> None:
    here = case("1.6")
    here.add()
    found = here.explain(LANGFLOW_VARIABLES_TO_GET_FROM_ENVIRONMENT=f"X,{OTHER}")
    assert (found.is_imported, found.is_kept) == (True, False)


def test_a_setting_that_does_not_parse_is_an_error(case: Callable[[str], Case]) -> None:
    with pytest.raises(ConfigError, match="LANGFLOW_FALLBACK_TO_ENV_VAR"):
        case("1.13").explain(LANGFLOW_FALLBACK_TO_ENV_VAR="perhaps")


# Names


def test_imported_names_are_langflows_and_those_of_the_setting_each_once() -> None:
    setting = "LANGFLOW_VARIABLES_TO_GET_FROM_ENVIRONMENT"
    names = imported_names(Settings(environ={setting: " A, OPENAI_API_KEY,,B "}))
    assert names[-2:] == ["A", "B"]
    assert len(set(names)) == len(names)
    assert {"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY"} <= set(names)
    assert names[:-2] == imported_names(Settings(environ={}))


def test_guarded_names_are_known_in_any_case() -> None:
    assert is_guarded("secret_key")
    assert is_guarded("Langflow_Anything")
    assert not is_guarded("OPENAI_API_KEY")
