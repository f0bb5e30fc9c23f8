"""Which .env file is read, and the errors and warnings about it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from langkeys.config.known_settings import ENV_FILE, KNOWN
from langkeys.config.settings import Settings
from langkeys.errors import ConfigError

from ..support.settings import settings_of


def test_without_an_env_file_there_is_none() -> None:
    assert settings_of().env_file is None


def test_the_null_device_is_an_env_file_with_nothing_in_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LANGFLOW_SUPERUSER=of-the-folder\n")
    assert Settings(env_file=os.devnull, environ={}).superuser == "langflow"


def test_an_env_file_elsewhere_is_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LANGFLOW_SUPERUSER=above\n", encoding="utf-8")
    (tmp_path / "below").mkdir()
    os.chdir(tmp_path / "below")
    assert Settings(environ={"HOME": str(tmp_path)}).superuser == "langflow"


def test_a_named_env_file_is_read_instead_of_the_one_here() -> None:
    Path(".env").write_text("LANGFLOW_SUPERUSER=here\nLANGFLOW_URL=http://here\n")
    Path("other.env").write_text("LANGFLOW_SUPERUSER=other\n")
    settings = Settings(env_file="other.env", environ={})
    assert settings.env_file == Path("other.env").absolute()
    assert settings.superuser == "other"
    assert settings.text("LANGFLOW_URL") is None


def test_the_env_file_may_be_named_by_the_environment_and_the_option_goes_first() -> None:
    Path("one.env").write_text("LANGFLOW_SUPERUSER=one\n")
    Path("two.env").write_text("LANGFLOW_SUPERUSER=two\n")
    environ = {ENV_FILE: "one.env"}
    assert Settings(environ=environ).superuser == "one"
    assert Settings(environ=environ, env_file="two.env").superuser == "two"


def test_an_empty_name_of_an_env_file_counts_as_unset() -> None:
    assert settings_of({ENV_FILE: ""}, "LANGFLOW_SUPERUSER=here").superuser == "here"


@pytest.mark.parametrize("by", ["--env-file", ENV_FILE])
def test_a_named_env_file_that_is_missing_is_an_error(by: str) -> None:
    by_option = by == "--env-file"
    environ = {} if by_option else {ENV_FILE: "missing.env"}
    with pytest.raises(ConfigError) as caught:
        Settings(environ=environ, env_file="missing.env" if by_option else None)
    assert "missing.env" in caught.value.message
    assert by in caught.value.message


def test_an_env_file_that_is_a_folder_or_no_text_is_an_error() -> None:
    Path("folder").mkdir()
    Path("binary.env").write_bytes(b"LANGFLOW_SUPERUSER=\xff\xfe\n")
    for name in ("folder", "binary.env"):
        with pytest.raises(ConfigError, match=re.escape(name)):
            Settings(env_file=name, environ={})


@pytest.mark.parametrize(
    "line",
    [
        "LANGFLOW_SECRET_KEY='hidden-part",
        "langflow_secret_key: hidden-part",
        "export LANGKEYS_API_KEY hidden-part",
        "  LANGFLOW_URL_FILE hidden-part",
    ],
)
def test_a_malformed_line_of_ours_is_named_by_number_and_not_by_content(line: str) -> None:
    Path(".env").write_text(f"# settings\nLANGFLOW_SUPERUSER=bob\n{line}\nLANGFLOW_URL=http://x\n")
    with pytest.raises(ConfigError) as caught:
        Settings(environ={})
    assert "line 3" in caught.value.message
    assert str(Path(".env").absolute()) in caught.value.message
    assert "hidden-part" not in f"{caught.value.message}{caught.value.hint}"


def test_an_empty_env_file_gives_nothing() -> None:
    settings = settings_of({}, "\n  \n")
    assert settings.env_file == Path(".env").absolute()
    assert not any(settings.is_given(name) for name in KNOWN)


def test_names_without_prefix_are_pointed_out_with_the_name_that_was_meant() -> None:
    settings = settings_of({}, "AUTO_LOGIN=true\nSUPERUSER=bob\nOPENAI_API_KEY=x\nAPI_KEY=y\n")
    found = " ".join(settings.unprefixed_names)
    assert "LANGFLOW_AUTO_LOGIN" in found
    assert "LANGFLOW_SUPERUSER" in found
    assert "LANGFLOW_API_KEY" in found
    assert "LANGKEYS_API_KEY" in found
    assert "OPENAI" not in found
    assert settings.auto_login is False


def test_a_name_without_prefix_is_pointed_out_beside_the_prefixed_one() -> None:
    # A server uses the last one, so server and langkeys disagree about AUTO_LOGIN.
    settings = settings_of({}, "LANGFLOW_AUTO_LOGIN=false\nAUTO_LOGIN=true\n")
    assert "LANGFLOW_AUTO_LOGIN" in " ".join(settings.unprefixed_names)
    assert settings.auto_login is False


def test_a_name_without_prefix_is_pointed_out_when_it_names_a_file() -> None:
    settings = settings_of({}, "SECRET_KEY_FILE=/run/secrets/secret_key\n")
    assert "LANGFLOW_SECRET_KEY_FILE" in " ".join(settings.unprefixed_names)
