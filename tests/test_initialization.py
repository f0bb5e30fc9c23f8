from __future__ import annotations

import io
import stat
from pathlib import Path

import dotenv
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.crypto.cipher import Cipher
from langkeys.errors import ConfigError, ConflictError, FailedError, SecretKeyError, StoreError
from langkeys.initialization import (
    OWN_SUPERUSER,
    InitPlan,
    apply_plan,
    check_password,
    env_text,
    plan_init,
)
from langkeys.models import User
from langkeys.store.engines import create_store
from langkeys.targets import Target

from .support.databases import Database
from .support.samples import PASSWORD, SECRET_KEY, password_hash

WRITTEN = [
    "LANGFLOW_DATABASE_URL",
    "LANGFLOW_SECRET_KEY",
    "LANGFLOW_AUTO_LOGIN",
    "LANGFLOW_SUPERUSER",
    "LANGFLOW_SUPERUSER_PASSWORD",
    "LANGKEYS_AUDIT_LOG",
]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def plan_of(**environ: str) -> InitPlan:
    return plan_init(Settings(environ=environ))


def carried_out(plan: InitPlan, create: object = create_store) -> None:
    apply_plan(
        plan,
        cipher=lambda text, source: Cipher(text, source=source),
        hashed=lambda password: password_hash(password),
        create_store=create,  # type: ignore[arg-type]
    )


def names_of(plan: InitPlan) -> list[str]:
    return [name for name, _ in plan.env_lines]


# The plan


def test_where_nothing_is_all_settings_are_planned(place: Path) -> None:
    plan = plan_of()
    lines = dict(plan.env_lines)
    assert names_of(plan) == WRITTEN
    assert plan.env_path == place / ".env"
    assert plan.database.file == place / "langflow.db"
    assert lines["LANGFLOW_DATABASE_URL"] == f"sqlite:///{place}/langflow.db"
    assert lines["LANGFLOW_AUTO_LOGIN"] == "False"
    assert lines["LANGFLOW_SUPERUSER"] == "administrator"
    assert lines["LANGFLOW_SECRET_KEY"] == plan.secret_key
    assert lines["LANGFLOW_SUPERUSER_PASSWORD"] == plan.password
    assert len(plan.secret_key) == 43
    assert plan.secret_key_file is None
    assert len(plan.password or "") >= 20
    assert list(place.iterdir()) == []


def test_what_is_generated_differs_each_time() -> None:
    one, other = plan_of(), plan_of()
    assert one.secret_key != other.secret_key
    assert one.password != other.password


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LANGFLOW_DATABASE_URL", "sqlite:///elsewhere.db"),
        ("LANGFLOW_SECRET_KEY", SECRET_KEY),
        ("LANGFLOW_AUTO_LOGIN", "false"),
        ("LANGFLOW_SUPERUSER", "ops"),
        ("LANGFLOW_SUPERUSER_PASSWORD", PASSWORD),
    ],
)
def test_what_a_setting_gives_already_is_not_written(name: str, value: str) -> None:
    assert names_of(plan_of(**{name: value})) == [other for other in WRITTEN if other != name]


def test_settings_that_are_given_are_the_ones_in_force(place: Path) -> None:
    plan = plan_of(
        LANGFLOW_DATABASE_URL="sqlite:///elsewhere.db",
        LANGFLOW_SECRET_KEY=SECRET_KEY,
        LANGFLOW_AUTO_LOGIN="false",
        LANGFLOW_SUPERUSER="ops",
        LANGFLOW_SUPERUSER_PASSWORD=PASSWORD,
    )
    assert plan.database.file == place / "elsewhere.db"
    assert (plan.secret_key, plan.superuser, plan.password) == (SECRET_KEY, "ops", PASSWORD)
    assert plan.env_path is None


def test_the_database_url_is_left_out_where_the_config_folder_has_the_database(
    tmp_path: Path,
) -> None:
    config = tmp_path / "config"
    plan = plan_of(LANGFLOW_SAVE_DB_IN_CONFIG_DIR="true", LANGFLOW_CONFIG_DIR=str(config))
    assert names_of(plan) == WRITTEN[1:]
    assert plan.database.file == config / "langflow.db"
    assert plan.new_folders == (config,)


def test_a_secret_key_file_that_is_there_is_used_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text(SECRET_KEY)
    plan = plan_of(LANGFLOW_CONFIG_DIR=str(tmp_path))
    assert "LANGFLOW_SECRET_KEY" not in names_of(plan)
    assert plan.secret_key == SECRET_KEY
    assert plan.secret_key_file is None


def test_beside_an_env_file_that_exists_nothing_goes_into_it(place: Path, tmp_path: Path) -> None:
    (place / ".env").write_text(f"LANGFLOW_SUPERUSER=ops\nLANGFLOW_SUPERUSER_PASSWORD={PASSWORD}\n")
    plan = plan_of()
    assert (plan.env_path, plan.env_lines) == (None, [])
    assert plan.database.file == tmp_path / "cache" / "langflow" / "langflow.db"
    assert plan.secret_key_file == tmp_path / "cache" / "langflow" / "secret_key"
    assert (plan.superuser, plan.password) == ("ops", PASSWORD)


def test_a_password_that_an_existing_env_file_lacks_is_left_to_be_asked_for(place: Path) -> None:
    (place / ".env").write_text("LANGFLOW_SUPERUSER=ops\n")
    assert plan_of().password is None


@pytest.mark.parametrize("auto_login", ["false", "False", "0"])
def test_langflow_without_auto_login_is_refused_as_the_superuser(auto_login: str) -> None:
    with pytest.raises(ConfigError, match="langflow") as caught:
        plan_of(LANGFLOW_SUPERUSER="langflow", LANGFLOW_AUTO_LOGIN=auto_login)
    assert "LANGFLOW_SUPERUSER" in str(caught.value.hint)


def test_langflow_is_refused_where_an_existing_env_file_names_nobody(place: Path) -> None:
    (place / ".env").write_text(f"LANGFLOW_SUPERUSER_PASSWORD={PASSWORD}\n")
    with pytest.raises(ConfigError, match="langflow"):
        plan_of()


def test_langflow_with_auto_login_is_taken() -> None:
    plan = plan_of(LANGFLOW_SUPERUSER="langflow", LANGFLOW_AUTO_LOGIN="true")
    assert plan.superuser == "langflow"


def test_a_password_that_servers_refuse_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        plan_of(LANGFLOW_SUPERUSER_PASSWORD="langflow")
    assert caught.value.message.startswith("the superuser's password ")
    assert "LANGFLOW_SUPERUSER_PASSWORD" in str(caught.value.hint)
    with pytest.raises(ConfigError):
        check_password("")


def test_a_missing_folder_of_the_database_is_an_error_that_names_it(place: Path) -> None:
    with pytest.raises(StoreError, match="missing") as caught:
        plan_of(LANGFLOW_DATABASE_URL=f"sqlite:///{place}/missing/langflow.db")
    assert caught.value.exit_code == 6


def test_a_setting_that_does_not_parse_is_found_before_anything_is_planned() -> None:
    with pytest.raises(ConfigError, match="LANGFLOW_FALLBACK_TO_ENV_VAR"):
        plan_of(LANGFLOW_FALLBACK_TO_ENV_VAR="nonsense")


def test_no_secret_shows_in_the_repr_of_a_plan() -> None:
    plan = plan_of()
    assert plan.secret_key not in repr(plan)
    assert str(plan.password) not in repr(plan)


# Carrying out the plan


def test_what_is_planned_is_written_and_readable_by_the_owner_alone(place: Path) -> None:
    plan = plan_of()
    carried_out(plan)
    assert sorted(path.name for path in place.iterdir()) == [".env", "langflow.db"]
    for path in place.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    settings = Settings(environ={})
    for name, value in plan.env_lines:
        assert settings.text(name) == value
    rows = Database(place / "langflow.db").rows(
        "SELECT username, is_active, is_superuser FROM user"
    )
    assert rows == [(OWN_SUPERUSER, 1, 1)]


def test_a_secret_key_goes_into_its_file_without_a_newline(place: Path, tmp_path: Path) -> None:
    (place / ".env").write_text(f"LANGFLOW_SUPERUSER=ops\nLANGFLOW_SUPERUSER_PASSWORD={PASSWORD}\n")
    plan = plan_of(LANGFLOW_CONFIG_DIR=str(tmp_path / "config"))
    carried_out(plan)
    path = tmp_path / "config" / "secret_key"
    assert path.read_text() == plan.secret_key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (tmp_path / "config" / "langflow.db").is_file()


def test_a_secret_key_that_no_server_can_use_is_refused_before_anything_is_written(
    place: Path,
) -> None:
    plan = plan_of(LANGFLOW_SECRET_KEY="x" * 40)
    with pytest.raises(SecretKeyError):
        carried_out(plan)
    assert list(place.iterdir()) == []


def test_what_was_written_is_taken_back_where_the_database_cannot_be_made(
    place: Path, tmp_path: Path
) -> None:
    def failing(target: Target, superuser: User) -> None:
        raise StoreError("the disk is full")

    plan = plan_of()
    with pytest.raises(StoreError, match="full"):
        carried_out(plan, failing)
    assert list(place.iterdir()) == []


def test_an_env_file_that_appeared_meanwhile_is_left_alone(place: Path) -> None:
    plan = plan_of()
    (place / ".env").write_text("LANGFLOW_SUPERUSER=theirs\n")
    with pytest.raises(ConflictError, match="another process"):
        carried_out(plan)
    assert (place / ".env").read_text() == "LANGFLOW_SUPERUSER=theirs\n"
    assert [path.name for path in place.iterdir()] == [".env"]


def test_the_settings_of_a_database_that_another_init_completed_stay(place: Path) -> None:
    # The first init writes .env. A second one reads it and creates the database. Then the first one
    # cannot create the database, and must not remove the .env that the second one used.
    def overtaken(target: Target, superuser: User) -> None:
        carried_out(plan_of())
        create_store(target, superuser)

    with pytest.raises(ConflictError):
        carried_out(plan_of(), overtaken)
    assert (place / "langflow.db").is_file()
    assert (place / ".env").is_file()


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    plan = plan_of(
        LANGFLOW_SAVE_DB_IN_CONFIG_DIR="true",
        LANGFLOW_CONFIG_DIR=str(tmp_path / "file" / "below"),
        LANGFLOW_SECRET_KEY=SECRET_KEY,
    )
    with pytest.raises(FailedError, match="below"):
        carried_out(plan)


# python-dotenv has no syntax for a literal "${".
_VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1).filter(
    lambda text: "${" not in text
)


@given(values=st.lists(_VALUES, min_size=1, max_size=5))
@example(values=["it's", "back\\slash", "a # b", ' "quoted" ', "$HOME", "tab\there"])
def test_every_value_of_a_written_env_file_reads_back(values: list[str]) -> None:
    lines = [(f"NAME_{number}", value) for number, value in enumerate(values)]
    found = dotenv.dotenv_values(stream=io.StringIO(env_text(lines)))
    assert list(found.items()) == lines


@pytest.mark.parametrize("name", ["with space", "it's", "a#b", "100%", "a%41b", "$HOME", "ünï"])
def test_a_place_of_any_name_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    carried_out(plan_of())
    assert locations.new_database(Settings(environ={})).file == folder / "langflow.db"
    assert (folder / "langflow.db").is_file()


@pytest.mark.parametrize("name", ["what?", "${HOME}"])
def test_a_place_whose_name_no_url_or_env_file_can_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError):
        carried_out(plan_of())
    assert list(folder.iterdir()) == []
