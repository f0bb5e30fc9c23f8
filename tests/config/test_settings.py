from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langkeys.config.known_settings import KNOWN
from langkeys.config.settings import Settings
from langkeys.errors import ConfigError, SecretKeyError
from langkeys.files.reading import without_newline

from ..support.settings import settings_of

FLAGS = sorted(name for name, definition in KNOWN.items() if definition.kind == "flag")
CHOICES = sorted(name for name, definition in KNOWN.items() if definition.kind == "choice")


def source_of(settings: Settings, name: str) -> str:
    value = settings.find(name)
    assert value is not None
    return value.source


# Precedence


def test_an_option_goes_before_everything() -> None:
    settings = settings_of(
        {"LANGFLOW_DATABASE_URL": "environment.db"},
        "LANGFLOW_DATABASE_URL=dotenv.db",
        LANGFLOW_DATABASE_URL="option.db",
    )
    assert settings.text("LANGFLOW_DATABASE_URL") == "option.db"
    assert source_of(settings, "LANGFLOW_DATABASE_URL") == "--option"


def test_the_environment_goes_before_the_env_file() -> None:
    settings = settings_of({"LANGFLOW_SUPERUSER": "alice"}, "LANGFLOW_SUPERUSER=bob")
    assert settings.superuser == "alice"
    assert source_of(settings, "LANGFLOW_SUPERUSER") == "environment"


def test_the_env_file_goes_before_the_default_and_is_the_source() -> None:
    settings = settings_of(dotenv="LANGFLOW_SUPERUSER=bob")
    assert settings.superuser == "bob"
    assert source_of(settings, "LANGFLOW_SUPERUSER") == str(Path(".env").absolute())


def test_another_spelling_of_the_database_url_is_ignored_with_a_warning() -> None:
    name = "langflow_database_url"
    settings = settings_of(
        environ={name: "sqlite:///a.db", "LANGFLOW_DATABASE_URL": "sqlite:///b.db"}
    )
    assert settings.warnings == [
        f"{name} is ignored: servers only read LANGFLOW_DATABASE_URL in that spelling"
    ]
    found = settings.find("LANGFLOW_DATABASE_URL")
    assert found is not None
    assert found.text == "sqlite:///b.db"


def test_a_default_is_named_as_such() -> None:
    settings = settings_of()
    value = settings.find("LANGFLOW_SUPERUSER")
    assert value is not None
    assert (value.text, value.source, value.is_default) == ("langflow", "default", True)
    assert not settings.is_given("LANGFLOW_SUPERUSER")


def test_a_setting_without_default_is_none() -> None:
    settings = settings_of()
    assert settings.find("LANGFLOW_SECRET_KEY") is None
    assert settings.text("LANGFLOW_SECRET_KEY") is None
    assert settings.flag("LANGFLOW_SKIP_AUTH_AUTO_LOGIN") is None
    assert not settings.is_given("LANGFLOW_SECRET_KEY")


@pytest.mark.parametrize("name", KNOWN)
def test_an_empty_value_counts_as_unset_in_each_source(name: str) -> None:
    below = settings_of({name: ""}, f"{name}=\n")
    assert not below.is_given(name)


def test_an_empty_environment_value_lets_the_env_file_through() -> None:
    settings = settings_of({"LANGFLOW_SUPERUSER": ""}, "LANGFLOW_SUPERUSER=bob")
    assert settings.superuser == "bob"


_SOURCED = st.dictionaries(
    st.sampled_from(("option", "environment", "dotenv")),
    st.text("abcdefgh", min_size=1, max_size=6),
)


@given(sources=_SOURCED, name=st.sampled_from(sorted(KNOWN)))
def test_the_highest_source_that_gives_a_value_wins(sources: dict[str, str], name: str) -> None:
    Path(".env").write_text(f"{name}={sources.get('dotenv', '')}\n", encoding="utf-8")
    settings = Settings(
        {name: (sources["option"], "--option")} if "option" in sources else {},
        environ={name: sources.get("environment", "")},
    )
    order = (
        ("option", "--option"),
        ("environment", "environment"),
        ("dotenv", str(Path(".env").absolute())),
    )
    expected = next(((sources[key], source) for key, source in order if key in sources), None)
    found = settings.find(name)
    if expected is not None:
        assert found is not None
        assert (found.text, found.source) == expected
    else:
        assert (None if found is None else found.text) == KNOWN[name].default


# NAME_FILE


def test_a_value_comes_from_the_file_that_name_file_names(tmp_path: Path) -> None:
    file = tmp_path / "mounted"
    file.write_text("from the file", encoding="utf-8")
    settings = settings_of({"LANGFLOW_SUPERUSER_PASSWORD_FILE": str(file)})
    assert settings.text("LANGFLOW_SUPERUSER_PASSWORD") == "from the file"
    source = source_of(settings, "LANGFLOW_SUPERUSER_PASSWORD")
    assert str(file) in source
    assert "LANGFLOW_SUPERUSER_PASSWORD_FILE" in source
    assert "environment" in source


@pytest.mark.parametrize("name", KNOWN)
def test_every_setting_can_come_from_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "mounted").write_text("x\n", encoding="utf-8")
    value = settings_of({f"{name}_FILE": "mounted"}).find(name)
    assert value is not None
    assert value.text == "x"


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("secret", "secret"),
        ("secret\n", "secret"),
        ("secret\r\n", "secret"),
        ("secret\n\n", "secret\n"),
        ("secret\r\n\r\n", "secret\r\n"),
        (" secret ", " secret "),
        ("secret\r", "secret\r"),
        ("two\nlines\n", "two\nlines"),
    ],
)
def test_exactly_one_trailing_newline_of_a_file_is_dropped(content: str, value: str) -> None:
    Path("mounted").write_bytes(content.encode())
    settings = settings_of({"LANGFLOW_SUPERUSER_PASSWORD_FILE": "mounted"})
    assert settings.text("LANGFLOW_SUPERUSER_PASSWORD") == value


@given(st.text())
def test_dropping_a_newline_undoes_adding_one(text: str) -> None:
    assert without_newline(f"{text}\n") in (text, text.removesuffix("\r"))
    assert without_newline(f"{text}x") == f"{text}x"


@pytest.mark.parametrize("source", ["environment", "dotenv"])
def test_a_value_and_its_file_from_one_source_are_an_error(source: str) -> None:
    Path("mounted").write_text("from-the-file", encoding="utf-8")
    pair = {"LANGFLOW_SECRET_KEY": "direct-value", "LANGFLOW_SECRET_KEY_FILE": "mounted"}
    dotenv = "".join(f"{name}={value}\n" for name, value in pair.items())
    settings = settings_of(pair) if source == "environment" else settings_of({}, dotenv)
    with pytest.raises(ConfigError) as caught:
        settings.find("LANGFLOW_SECRET_KEY")
    assert "LANGFLOW_SECRET_KEY_FILE" in caught.value.message
    assert ("environment" if source == "environment" else ".env") in caught.value.message
    assert "direct-value" not in caught.value.message
    assert "from-the-file" not in caught.value.message


@pytest.mark.parametrize("above", ["LANGFLOW_SUPERUSER", "LANGFLOW_SUPERUSER_FILE"])
def test_across_sources_a_value_and_a_file_go_by_precedence(above: str) -> None:
    Path("high").write_text("high", encoding="utf-8")
    Path("low").write_text("low", encoding="utf-8")
    below = "LANGFLOW_SUPERUSER_FILE" if above == "LANGFLOW_SUPERUSER" else "LANGFLOW_SUPERUSER"
    settings = settings_of({above: "high"}, f"{below}=low")
    assert settings.superuser == "high"


def test_an_option_goes_before_a_file_of_the_environment() -> None:
    settings = settings_of(
        {"LANGFLOW_DATABASE_URL_FILE": "there-is-no-such-file"}, LANGFLOW_DATABASE_URL="option.db"
    )
    assert settings.text("LANGFLOW_DATABASE_URL") == "option.db"


@pytest.mark.parametrize(
    ("name", "error"),
    [("LANGFLOW_SUPERUSER_PASSWORD", ConfigError), ("LANGFLOW_SECRET_KEY", SecretKeyError)],
)
@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe\xfa"])
def test_a_named_file_that_gives_nothing_is_an_error_that_names_it(
    name: str, error: type[Exception], content: bytes | None
) -> None:
    if content is not None:
        Path("mounted").write_bytes(content)
    settings = settings_of({f"{name}_FILE": "mounted"})
    with pytest.raises(error) as caught:
        settings.find(name)
    assert "mounted" in str(caught.value)
    assert f"{name}_FILE" in str(caught.value)


# Booleans and choices

TRUE = ("true", "1", "yes", "on", "t", "y")
FALSE = ("false", "0", "no", "off", "f", "n")


@given(
    word=st.sampled_from([(word, True) for word in TRUE] + [(word, False) for word in FALSE]),
    cases=st.lists(st.booleans(), min_size=5, max_size=5),
    name=st.sampled_from(FLAGS),
)
def test_each_of_pydantics_words_is_read_in_any_case(
    word: tuple[str, bool], cases: list[bool], name: str
) -> None:
    text, meaning = word
    mixed = "".join(
        letter.upper() if upper else letter for letter, upper in zip(text, cases, strict=False)
    )
    assert Settings(environ={name: mixed}).flag(name) is meaning


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("text", ["maybe", "2", "truee", "ja", "-1", "None"])
def test_what_is_no_boolean_names_variable_source_and_choices(name: str, text: str) -> None:
    settings = settings_of({}, f"{name}={text}\n")
    with pytest.raises(ConfigError) as caught:
        settings.flag(name)
    assert name in caught.value.message
    assert text in caught.value.message
    assert str(Path(".env").absolute()) in caught.value.message
    for word in (*TRUE, *FALSE):
        assert word in str(caught.value.hint)


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_is_read_in_any_case_and_nothing_else(name: str) -> None:
    for choice in KNOWN[name].choices:
        assert Settings(environ={name: choice.upper()}).text(name) == choice
    with pytest.raises(ConfigError) as caught:
        Settings(environ={name: "elsewhere"}).text(name)
    assert name in caught.value.message
    assert "environment" in caught.value.message
    assert caught.value.hint == f"use {' or '.join(KNOWN[name].choices)}"


@pytest.mark.parametrize("name", [*FLAGS, *CHOICES])
def test_a_check_finds_a_value_that_does_not_parse_wherever_it_is(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Settings(environ={name: "nonsense"}).check()


def test_a_check_of_good_settings_says_nothing() -> None:
    Settings(environ={"LANGFLOW_AUTO_LOGIN": "Yes", "LANGFLOW_API_KEY_SOURCE": "ENV"}).check()


def test_auto_login_unset_means_false() -> None:
    assert settings_of().auto_login is False
    assert settings_of({"LANGFLOW_AUTO_LOGIN": "on"}).auto_login is True


def test_no_value_shows_in_a_repr() -> None:
    settings = settings_of({"LANGFLOW_SECRET_KEY": "hidden-part"})
    value = settings.find("LANGFLOW_SECRET_KEY")
    assert "hidden-part" not in repr(value)
    assert "hidden-part" not in repr(settings)


def test_settings_are_read_from_the_process_environment_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANGFLOW_SUPERUSER", "carol")
    assert Settings().superuser == "carol"
