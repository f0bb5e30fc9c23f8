from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langkeys.config import locations
from langkeys.config.server_urls import BadURLError, parsed_server_url, shown_server_url
from langkeys.config.settings import Settings
from langkeys.errors import ConfigError, UsageError

MARK = "Hd7qZ"


def place_of(url: str, source: str | None = None) -> locations.DatabaseLocation:
    if source is not None:
        return locations.database(Settings({"LANGFLOW_DATABASE_URL": (url, source)}, environ={}))
    return locations.database(Settings(environ={"LANGFLOW_DATABASE_URL": url}))


@pytest.mark.parametrize(
    ("url", "parameters"),
    [
        ("postgresql://u:pw@h:5432/d", {"user": "u", "password": "pw", "host": "h", "port": "5432",
                                        "dbname": "d"}),
        ("postgresql://", {}),
        ("postgresql:///d", {"dbname": "d"}),
        ("postgresql://h", {"host": "h"}),
        ("postgresql://u@h/", {"user": "u", "host": "h"}),
        ("postgresql://:pw@h", {"password": "pw", "host": "h"}),
        ("postgresql://[::1]:5433/d", {"host": "::1", "port": "5433", "dbname": "d"}),
        ("postgresql://u%40x:p%2Fw%25@h/a%20b",
         {"user": "u@x", "password": "p/w%", "host": "h", "dbname": "a b"}),
        ("postgresql://u:p+w:!$&'()*,;=~@h/d",
         {"user": "u", "password": "p+w:!$&'()*,;=~", "host": "h", "dbname": "d"}),
        ("postgresql://u:pässwörd@h/d",
         {"user": "u", "password": "pässwörd", "host": "h", "dbname": "d"}),
        ("postgresql:///d?host=/run/postgresql&port=5433",
         {"dbname": "d", "host": "/run/postgresql", "port": "5433"}),
        ("postgresql://%2Frun%2Fpostgresql/d", {"host": "/run/postgresql", "dbname": "d"}),
        ("postgresql://a:1,b:2/d", {"host": "a,b", "port": "1,2", "dbname": "d"}),
        ("postgresql:///d?host=a&host=b", {"dbname": "d", "host": "a,b"}),
        ("postgresql:///d?host=a:1&host=b:2", {"dbname": "d", "host": "a,b", "port": "1,2"}),
        ("postgresql://h/d?sslmode=verify-full&sslrootcert=/a/b.pem&application_name=x",
         {"host": "h", "dbname": "d", "sslmode": "verify-full", "sslrootcert": "/a/b.pem",
          "application_name": "x"}),
        ("postgresql+asyncpg://h/d?ssl=require&prepared_statement_cache_size=0",
         {"host": "h", "dbname": "d", "sslmode": "require"}),
        ("postgresql:///?service=langflow", {"service": "langflow"}),
        ("postgresql://h/d?user=u%40x&password=p%26w",
         {"host": "h", "dbname": "d", "user": "u@x", "password": "p&w"}),
    ],
)  # fmt: skip
def test_a_url_is_taken_apart_as_servers_do(url: str, parameters: Mapping[str, str]) -> None:
    assert parsed_server_url(url).parameters == parameters
    assert place_of(url).target.parameters == parameters


@pytest.mark.parametrize("driver", ["", "+psycopg", "+psycopg2", "+psycopg_async", "+asyncpg"])
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "POSTGRESQL"])
def test_every_spelling_of_the_scheme_that_people_paste_is_taken(scheme: str, driver: str) -> None:
    target = place_of(f"{scheme}{driver}://u:pw@h/d").target
    assert target.scheme == "postgresql"
    assert target.location == "postgresql://u@h/d"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgres://h/d", "postgresql://"),
        ("POSTGRESQL://h/d", "lower case"),
        ("postgresql+psycopg2://h/d", "psycopg2"),
        ("postgresql://a,b/d", "several hosts"),
        ("postgresql://%2Frun%2Fpostgresql/d", "?host="),
        ("postgresql://h/d?options=-csearch_path%3Dx", "options"),
    ],
)
def test_what_a_server_would_refuse_is_a_warning(url: str, why: str) -> None:
    (warning,) = place_of(url).warnings
    assert why in warning
    assert "would not start" in warning


@pytest.mark.parametrize(
    "url",
    ["postgresql://h/d", "postgresql+psycopg://u:pw@h:1/d?sslmode=require", "postgresql:///d"],
)
def test_what_a_server_takes_is_none(url: str) -> None:
    assert place_of(url).warnings == ()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:a/b@h/d", "postgresql://u:a@b@h/d", "postgresql://u:a?b@h/d",
        "postgresql://u:a#b@h/d", "postgresql://u:a b@h/d", "postgresql://u:a%zz@h/d",
        "postgresql://u:a%@h/d", "postgresql://u:a[b@h/d", "postgresql://u:a]b@h/d",
        "postgresql://u:ab@h/d@e", "postgresql://u:ab@h/d/e", "postgresql://u:ab@h/d#e",
        "postgresql://u:ab@h:port/d", "postgresql://h/d?password=a@b", "postgresql://h/d?ab",
        "postgresql://h/d?ab=1", "postgresql://h/d?password=a b", "postgresql://h/d?sslmode=a%zz",
        "postgresql://h/d;password=ab", "postgresql://h/d&password=ab",
        "postgresql://u:%00ab@h/d", "postgresql://u:%ffab@h/d", "postgresql://h/d?user=a&user=b",
    ],
)  # fmt: skip
def test_what_is_not_percent_encoded_is_refused_and_not_repeated(url: str) -> None:
    url = url.replace("a", MARK).replace(f"{MARK}nd", "and")
    with pytest.raises(ConfigError) as caught:
        place_of(url)
    assert caught.value.exit_code == 2
    assert "LANGFLOW_DATABASE_URL" in caught.value.message
    assert MARK not in f"{caught.value!r}{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:{}@h/d", "postgresql://h/d?password={}", "postgresql://h/d?sslpassword={}"],
)
def test_a_password_by_the_option_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        place_of(url.format(MARK), "--database")
    assert "history" in caught.value.message
    assert "PGPASSWORD" in str(caught.value.hint)
    assert MARK not in f"{caught.value!r}{caught.value.message}{caught.value.hint}"
    assert place_of("postgresql://u@h/d", "--database").target.location == "postgresql://***@h/d"


def everything_shown(text: str) -> str:
    try:
        url = parsed_server_url(text)
    except BadURLError as error:
        return f"{error} {error!r}"
    return f"{shown_server_url(text, url.parameters)} {url!r} {url.refusals} {place_of(text)!r}"


_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@given(user=_TEXTS, password=_TEXTS, name=_TEXTS)
def test_whatever_is_percent_encoded_reads_back(user: str, password: str, name: str) -> None:
    quoted = [urllib.parse.quote(text, safe="") for text in (user, password, name)]
    url = parsed_server_url("postgresql://{}:{}@h/{}".format(*quoted))
    assert url.parameters == {"user": user, "password": password, "host": "h", "dbname": name}
    assert url.has_password


@given(password=_TEXTS.map(lambda text: f"{MARK}{text}{MARK}"))
def test_a_password_is_in_nothing_that_is_shown(password: str) -> None:
    for form in ("postgresql://u:{}@h/d", "postgresql://{}@h/d", "postgresql://h/d?password={}"):
        if form.startswith("postgresql://{}") and ":" in password:
            continue  # the text before the colon would be the user
        for text in (password, urllib.parse.quote(password, safe="")):
            assert MARK not in everything_shown(form.format(text))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:pw@h:5432/d?sslmode=require", "postgresql://u@h:5432/d"),
        ("postgresql://u@h/d", "postgresql://***@h/d"),
        ("postgresql:///d?host=/run/p&port=5", "postgresql:///d?host=/run/p&port=5"),
        ("postgresql://a:1,[::1]:2/d", "postgresql://a:1,[::1]:2/d"),
        ("postgresql:///?service=langflow", "postgresql:///?service=langflow"),
        ("postgresql://", "postgresql:///"),
    ],
)
def test_a_location_says_where_the_database_is(url: str, shown: str) -> None:
    assert place_of(url).target.location == shown
    assert place_of(url).target.setting == url
