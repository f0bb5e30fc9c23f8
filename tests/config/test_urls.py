from __future__ import annotations

import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import langkeys
from langkeys.config.urls import HIDDEN, is_path, scheme_of, shown_url

from ..support.sites import Result, Site

Call = Callable[..., Result]

FORMS = (
    "postgresql://u:{}@db.example:5432/langflow",
    "postgres://u:{}@db.example/langflow?sslmode=require",
    "postgresql+psycopg://u:{}@db.example",
    "postgresql+asyncpg://:{}@db.example/langflow",
    "postgresql://{}@db.example/langflow",
    "postgresql://u%40x:{}@db.example/a@b",
    "postgresql://u@x:{}@db.example/langflow",
    "postgresql://db.example/langflow?user=u&password={}",
    "postgresql://db.example/langflow?user=u@x&password={}",
    "postgresql://db.example/langflow?PassWord={}&sslmode=require",
    "postgresql://db.example/langflow?pass%77ord={}",
    "postgresql://db.example/langflow?sslpassword={}",
    "postgresql://db.example/langflow?sslmode={}",
    "postgresql://db.example/langflow?{}",
    "postgresql:///?service=x&passfile={}",
    "postgresql://db.example/langflow#{}",
    "postgresql://db.example/langflow;password={}",
    "postgresql://u:{}",
    "postgresql:u:{}@db.example/langflow",
    "postgresql:/u:{}@db.example/langflow",
    "u:{}@db.example/langflow",
    "u:{}@postgresql://db.example/langflow",
    "{}://db.example/langflow",
    "mysql+{}://db.example/langflow",
    "jdbc:postgresql://db.example/langflow?password={}",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3D{}",
    "mongodb+srv://u:{}@db.example",
    "odd-scheme.x://u:{}@h",
    "host=db.example user=u password={}",
    "Server=db.example;Pwd={}",
    "langflow.db?password={}",
    "sqlite:///langflow.db?password={}",
    "sqlite:///langflow.db?key={}&mode=ro",
    "sqlite:///langflow.db#password={}",
    "sqlite:///langflow.db;password={}",
    "sqlite:///u:{}@db.example/langflow",
    "sqlite:////u:{}@db.example/langflow",
    "sqlite://u:{}@db.example/langflow",
    "sqlite://u:{}/langflow",
    "sqlite+pysqlcipher://:{}@/langflow.db?kdf_iter=1",
    "http://u:{}@localhost:7860",
    "https://{}@localhost/langflow",
    "https://u:{}@localhost/a?b=c@d",
    "http://localhost:7860/?token={}",
    "http://localhost:7860/a?x=1&api_key={}&y=2",
    "http://localhost:7860?key={}",
    "http://localhost:7860/?{}",
    "http://localhost:7860/;token={}",
    "http://localhost:7860/#access_token={}",
    "http://localhost:{}/",
    "//u:{}@localhost",
)

WITHOUT_HOST = ("postgresql://u:{}", "http://localhost:{}/")

# Passwords, most of which break a URL if they are not percent-encoded.
AWKWARD = (
    "",
    "/",
    "//",
    "@",
    "?",
    "#",
    ":",
    "%",
    "%40",
    "&",
    "=",
    ";",
    "+",
    "é",
    "!",
    "[",
    "]",
    ",",
)
MARK = "Hd7qZ"
PASSWORDS = st.tuples(
    st.sampled_from(AWKWARD), st.sampled_from(AWKWARD), st.sampled_from(AWKWARD)
).map(lambda parts: f"{parts[0]}{MARK}{parts[1]}{MARK}{parts[2]}")


@settings(max_examples=1500)
@given(st.sampled_from(FORMS), PASSWORDS)
def test_a_password_does_not_show_wherever_it_stands(form: str, password: str) -> None:
    if form in WITHOUT_HOST:
        password = password.replace("@", "")  # the text after the @ would be the host
    for text in (password, urllib.parse.quote(password, safe="")):
        url = form.format(text)
        assert MARK not in shown_url(url), url
        assert MARK not in str(scheme_of(url))


@pytest.mark.parametrize(
    "text",
    [
        "langflow.db", "./a@b:c/langflow.db", "/srv/a@b/langflow.db", "/srv/what?/langflow.db",
        "sqlite:////srv/langflow.db", "sqlite:///./langflow.db?timeout=5&cache=shared",
        "sqlite+aiosqlite:///langflow.db", "postgresql://db.example:5432/langflow?sslmode=require",
        "postgresql+psycopg:///langflow", "http://localhost:7860", "https://[::1]:7860/langflow/",
        "postgresql://a.example:5432,b.example:5433/langflow?target_session_attrs=read-write",
    ],
)  # fmt: skip
def test_what_is_no_secret_shows(text: str) -> None:
    assert shown_url(text) == text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@db/langflow", "postgresql://***@db/langflow"),
        ("postgresql://db/x?password=p&sslmode=require", "postgresql://db/x?***&sslmode=require"),
        ("http://localhost:7860/x?token=p", "http://localhost:7860/x?***"),
        ("https://token@localhost/", "https://***@localhost/"),
    ],
)
def test_what_is_hidden_leaves_the_rest(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_paths_and_connection_strings_are_told_apart() -> None:
    assert is_path("langflow.db")
    assert is_path("/srv/u:p@h/langflow.db")
    assert not is_path("host=x password=y")
    assert not is_path("u:p@h/x")
    assert HIDDEN in shown_url("u:p@h/x")


def assert_hidden(result: Result) -> None:
    assert MARK not in result.stdout + result.stderr, result


TRIED = [
    (form, (f"{MARK}x", f"{MARK}/{MARK}", f"#{MARK}", f"{MARK}?")[number % 4])
    for number, form in enumerate(FORMS)
]


@pytest.mark.parametrize(("form", "password"), TRIED)
def test_no_command_shows_the_password_of_a_url(site: Site, form: str, password: str) -> None:
    url = form.format(password)
    assert_hidden(site.call("doctor", LANGFLOW_URL=url, LANGFLOW_DATABASE_URL=url))
    assert_hidden(site.call("api-key", "create", LANGFLOW_DATABASE_URL=url))
    assert_hidden(site.call("audit", LANGFLOW_DATABASE_URL=url))
    assert_hidden(site.call("doctor", "--json", "--database", url))
    assert_hidden(site.call("api-key", "list", "--json", "--database", url))
    for log in site.folder.parent.rglob("*.jsonl"):
        assert MARK not in log.read_text()
    with pytest.raises(langkeys.LangkeysError) as caught:
        langkeys.open_store(url, secret_key="x" * 43).verify("sk-x")
    assert MARK not in f"{caught.value} {caught.value!r} {caught.value.hint}"


@pytest.mark.parametrize(
    "url",
    [
        "http://u:{}@127.0.0.1:9", "http://127.0.0.1:9/?token={}", "http://127.0.0.1:9/x;key={}",
        "http://127.0.0.1:9/#{}", "http://u:{}/w@127.0.0.1:9", "http://u:9/{}@127.0.0.1:9",
        "http://u:9?{}@127.0.0.1:9", "http://u:9#{}@127.0.0.1:9", "{}://127.0.0.1", "http://h:{}/",
    ],
)  # fmt: skip
def test_a_server_that_is_asked_is_named_without_it(call: Call, url: str) -> None:
    whoami = ("whoami", "--url", url.format(MARK))
    for result in (call(*whoami, stdin="sk-x"), call(*whoami, "--json", LANGFLOW_API_KEY="sk-x")):
        assert result.code != 0
        assert_hidden(result)
