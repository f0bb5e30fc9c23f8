from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.errors import ConfigError, SecretKeyError, UnsupportedError
from langkeys.targets import Target


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def settings_of(environ: Mapping[str, str] | None = None, **options: str) -> Settings:
    given = {"LANGFLOW_DATABASE_URL": (options["database"], "--database")} if options else {}
    return Settings(given, environ=environ or {})


# The config folder


def test_the_config_folder_is_where_the_setting_says() -> None:
    place = locations.config_folder(settings_of({"LANGFLOW_CONFIG_DIR": "/srv/langflow"}))
    assert place.path == Path("/srv/langflow")
    assert "LANGFLOW_CONFIG_DIR" in place.source


def test_the_config_folder_is_else_the_users_cache_folder_for_langflow(tmp_path: Path) -> None:
    place = locations.config_folder(settings_of())
    assert place.path == tmp_path / "cache" / "langflow"
    assert place.source == "default"


# Pre-releases


@pytest.mark.parametrize("names", [["langflow.db"], ["langflow-pre.db"], []])
@pytest.mark.parametrize("saved", ["true", "false"])
def test_the_database_that_is_there_is_taken(tmp_path: Path, names: list[str], saved: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    settings = settings_of(
        {"LANGFLOW_CONFIG_DIR": str(tmp_path), "LANGFLOW_SAVE_DB_IN_CONFIG_DIR": saved}
    )
    place = locations.database(settings)
    assert place.target.file == tmp_path / (names or ["langflow.db"])[0]
    assert (names or ["langflow.db"])[0] in place.source


@pytest.mark.parametrize("saved", ["true", "false"])
def test_of_two_databases_none_is_taken(tmp_path: Path, saved: str) -> None:
    for name in ("langflow.db", "langflow-pre.db"):
        (tmp_path / name).touch()
    settings = {"LANGFLOW_CONFIG_DIR": str(tmp_path), "LANGFLOW_SAVE_DB_IN_CONFIG_DIR": saved}
    with pytest.raises(ConfigError) as caught:
        locations.database(settings_of(settings))
    assert caught.value.exit_code == 2
    assert str(tmp_path / "langflow.db") in caught.value.message
    assert str(tmp_path / "langflow-pre.db") in caught.value.message
    given = settings_of({**settings, "LANGFLOW_DATABASE_URL": f"sqlite:///{tmp_path}/langflow.db"})
    assert locations.database(given).target.file == tmp_path / "langflow.db"


# The database


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("langflow.db", "langflow.db"),
        ("./data/langflow.db", "data/langflow.db"),
        ("/srv/langflow.db", "/srv/langflow.db"),
        ("sqlite:///langflow.db", "langflow.db"),
        ("sqlite:///./langflow.db", "langflow.db"),
        ("sqlite:////srv/langflow.db", "/srv/langflow.db"),
        ("sqlite+aiosqlite:///langflow.db", "langflow.db"),
        ("sqlite+aiosqlite:////srv/langflow.db", "/srv/langflow.db"),
        ("sqlite:////srv/langflow.db?timeout=5&cache=shared", "/srv/langflow.db"),
        ("sqlite:////srv/with space/langflow.db", "/srv/with space/langflow.db"),
        ("sqlite:////srv/a#b/langflow.db", "/srv/a#b/langflow.db"),
    ],
)
def test_a_database_is_named_by_url_or_path(text: str, path: str) -> None:
    assert locations.database(settings_of(database=text)).target.file == Path(path)
    assert locations.database(settings_of({"LANGFLOW_DATABASE_URL": text})).target.file == Path(
        path
    )


@pytest.mark.parametrize("name", ["100%25", "a%20b"])
def test_a_percent_sign_in_a_sqlite_url_stands_for_itself_as_for_the_server(name: str) -> None:
    # SQLAlchemy's make_url("sqlite:////srv/a%20b/x.db").database is "/srv/a%20b/x.db".
    settings = settings_of({"LANGFLOW_DATABASE_URL": f"sqlite:////srv/{name}/langflow.db"})
    assert locations.database(settings).target.file == Path(f"/srv/{name}/langflow.db")


@pytest.mark.parametrize(
    "text",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://langflow.db",
        ":memory:",
        "sqlite:///file:langflow.db?mode=memory&uri=true",
        "sqlite:///a\0b",
        "",
    ],
)
def test_a_url_that_names_no_file_is_an_error_that_says_what_to_write(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        locations.database(settings_of(database=text))
    assert "--database" in caught.value.message
    assert "sqlite:///" in str(caught.value.hint)


@pytest.mark.parametrize(
    "url",
    [
        "mariadb://langflow:pass-of-postgres@db.example/langflow",
        "mysql://langflow:pass-of-postgres@db.example/langflow",
    ],
)
def test_another_engine_is_unsupported_and_its_password_does_not_show(url: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        locations.database(settings_of({"LANGFLOW_DATABASE_URL": url}))
    assert "LANGFLOW_DATABASE_URL" in caught.value.message
    assert url.partition(":")[0].partition("+")[0] in caught.value.message
    assert "pass-of-postgres" not in f"{caught.value!r} {caught.value.message} {caught.value.hint}"


def test_the_option_goes_before_the_setting_and_is_the_source() -> None:
    place = locations.database(
        settings_of({"LANGFLOW_DATABASE_URL": "setting.db"}, database="o.db")
    )
    assert place.target.file == Path("o.db")
    assert "--database" in place.source


def test_the_setting_is_the_source_where_it_names_the_database() -> None:
    place = locations.database(settings_of({"LANGFLOW_DATABASE_URL": "setting.db"}))
    assert "LANGFLOW_DATABASE_URL" in place.source
    assert "environment" in place.source


def test_a_url_goes_before_the_config_folder() -> None:
    settings = settings_of(
        {
            "LANGFLOW_DATABASE_URL": "setting.db",
            "LANGFLOW_SAVE_DB_IN_CONFIG_DIR": "true",
            "LANGFLOW_CONFIG_DIR": "/srv/langflow",
        }
    )
    assert locations.database(settings).target.file == Path("setting.db")


@pytest.fixture
def installed_langflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package named langflow that langkeys could import, but must not."""
    package = tmp_path / "site-packages" / "langflow"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(package.parent))
    return package


def test_the_config_folder_goes_before_an_installed_package(installed_langflow: Path) -> None:
    (installed_langflow / "langflow.db").touch()
    settings = settings_of(
        {"LANGFLOW_SAVE_DB_IN_CONFIG_DIR": "true", "LANGFLOW_CONFIG_DIR": "/srv/langflow"}
    )
    assert locations.database(settings).target.file == Path("/srv/langflow/langflow.db")


def test_an_installed_package_with_a_database_goes_before_the_config_folder(
    installed_langflow: Path,
) -> None:
    (installed_langflow / "langflow.db").touch()
    place = locations.database(settings_of({"LANGFLOW_CONFIG_DIR": "/srv/langflow"}))
    assert place.target.file == installed_langflow.resolve() / "langflow.db"
    assert "package" in place.source
    assert "langflow" not in sys.modules


def test_an_installed_package_without_a_database_counts_for_nothing(
    installed_langflow: Path,
) -> None:
    place = locations.database(settings_of({"LANGFLOW_CONFIG_DIR": "/srv/langflow"}))
    assert place.target.file == Path("/srv/langflow/langflow.db")


def test_the_database_is_in_the_config_folder_where_nothing_else_says(tmp_path: Path) -> None:
    place = locations.database(settings_of())
    assert place.target.file == tmp_path / "cache" / "langflow" / "langflow.db"
    assert "config folder" in place.source


def test_a_path_written_as_a_url_reads_back(tmp_path: Path) -> None:
    url = locations.database_url(Target("sqlite", file=tmp_path / "langflow.db"))
    assert locations.database(settings_of(database=url)).target.file == tmp_path / "langflow.db"


@pytest.mark.parametrize(
    ("environ", "is_given"),
    [
        ({}, False),
        ({"LANGFLOW_DATABASE_URL": "x.db"}, True),
        ({"LANGFLOW_DATABASE_URL": ""}, False),
        ({"LANGFLOW_SAVE_DB_IN_CONFIG_DIR": "true"}, True),
        ({"LANGFLOW_SAVE_DB_IN_CONFIG_DIR": "false"}, False),
    ],
)
def test_a_database_is_given_by_url_or_by_its_folder(
    environ: Mapping[str, str], is_given: bool
) -> None:
    assert locations.is_database_given(settings_of(environ)) is is_given


# The secret key


@pytest.fixture
def secret_key_file(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    return folder / "secret_key"


def in_config(folder: Path, **more: str) -> Settings:
    return settings_of({"LANGFLOW_CONFIG_DIR": str(folder), **more})


def test_the_secret_key_of_the_setting_goes_before_the_file(secret_key_file: Path) -> None:
    secret_key_file.write_text("of-the-file")
    settings = in_config(secret_key_file.parent, LANGFLOW_SECRET_KEY="of-the-setting")
    found = locations.find_secret_key(settings)
    assert found is not None
    assert (found.text, found.path) == ("of-the-setting", None)
    assert "LANGFLOW_SECRET_KEY" in found.source


@pytest.mark.parametrize("text", ["plain", "newline\n", "two\n\n", " blanks ", "\ttab"])
def test_the_secret_key_file_is_read_without_stripping(secret_key_file: Path, text: str) -> None:
    secret_key_file.write_bytes(text.encode())
    found = locations.find_secret_key(in_config(secret_key_file.parent))
    assert found is not None
    assert (found.text, found.path) == (text, secret_key_file)
    assert str(secret_key_file) in found.source


def test_a_secret_key_file_is_read_through_a_symbolic_link(secret_key_file: Path) -> None:
    target = secret_key_file.with_name("mounted")
    target.write_text("linked")
    secret_key_file.symlink_to(target)
    found = locations.find_secret_key(in_config(secret_key_file.parent))
    assert found is not None
    assert found.text == "linked"


def test_there_may_be_no_secret_key(secret_key_file: Path) -> None:
    settings = in_config(secret_key_file.parent)
    assert locations.secret_key_file(settings) == secret_key_file
    assert locations.find_secret_key(settings) is None
    secret_key_file.touch()
    assert locations.find_secret_key(settings) is None


def test_a_secret_key_file_that_cannot_be_read_is_an_error_that_names_it(
    secret_key_file: Path,
) -> None:
    secret_key_file.mkdir()
    with pytest.raises(SecretKeyError) as caught:
        locations.find_secret_key(in_config(secret_key_file.parent))
    assert str(secret_key_file) in caught.value.message


def test_a_secret_key_file_that_is_no_text_is_an_error_that_does_not_show_it(
    secret_key_file: Path,
) -> None:
    secret_key_file.write_bytes(b"hidden\xff\xfe")
    with pytest.raises(SecretKeyError) as caught:
        locations.find_secret_key(in_config(secret_key_file.parent))
    assert str(secret_key_file) in caught.value.message
    assert "hidden" not in caught.value.message


def test_a_secret_key_does_not_show_in_a_repr() -> None:
    found = locations.find_secret_key(settings_of({"LANGFLOW_SECRET_KEY": "hidden"}))
    assert "hidden" not in repr(found)
