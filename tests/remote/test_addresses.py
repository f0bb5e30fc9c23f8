"""Addresses of servers: which are valid, and which URLs are requested."""

from __future__ import annotations

import pytest

from langkeys.errors import UsageError
from langkeys.remote.addresses import parsed_address


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://host", "https://host"),
        ("https://host/", "https://host"),
        ("HTTPS://Host:8443/a/b/", "https://host:8443/a/b"),
        (" http://localhost:7860/api/v1/ ", "http://localhost:7860"),
        ("https://host/lf/api/v1", "https://host/lf"),
        ("https://host/api", "https://host"),
        ("https://host/rapi", "https://host/rapi"),
        ("https://b\u00fccher.example/\u00fc", "https://xn--bcher-kva.example/%C3%BC"),
        ("http://[::1]:7860", "http://[::1]:7860"),
        ("https://host./x?token=a#b", "https://host/x"),
    ],
)
def test_an_address_is_tidied(url: str, base: str) -> None:
    assert parsed_address(url, "--url").base == base


@pytest.mark.parametrize(
    "url",
    [
        "host",
        "ftp://host",
        "http://",
        "http://a b",
        "http://a\tb",
        "http://user@host",
        "https://user:secret-of-mine@host",
        "https://user:pass/secret-of-mine@host",
        "https://user:pass?secret-of-mine@host/x",
        "https://user:pass#secret-of-mine@host",
        "http://host:99999",
        "http://host:port",
        "http://[",
        "http://ho<st>",
        "http://\u00e9\u00e9..x",
        "http://a..b",
        f"http://{'a' * 64}",
        f"http://{'a.' * 130}b",
        "http://user:secret-of-mine\uff20host",
    ],
)
def test_an_address_that_cannot_be_asked_is_a_usage_error_that_names_its_source(url: str) -> None:
    with pytest.raises(UsageError, match="LANGFLOW_URL") as caught:
        parsed_address(url, "LANGFLOW_URL")
    assert "secret-of-mine" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("character", [" ", "\t", "\n", "\0", "\x1f", "\x7f"])
def test_a_space_or_control_character_is_named_as_the_reason(character: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed_address(f"http://host/a{character}b", "LANGFLOW_URL")
    assert caught.value.message == "LANGFLOW_URL has a space or control character in its URL"


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("localhost", True),
        ("lf.localhost", True),
        ("127.0.0.1", True),
        ("127.1", True),
        ("0.0.0.0", True),
        ("[::1]", True),
        ("[::ffff:127.0.0.1]", True),
        ("10.0.0.1", False),
        ("1", False),
        ("0.0.0.1", False),
        ("2130706433", True),
        ("langflow", False),
        ("127.0.0.1.example.com", False),
        ("[fe80::1]", False),
    ],
)
def test_what_stays_on_this_machine_is_known(host: str, is_loopback: bool) -> None:
    assert parsed_address(f"http://{host}:7860", "--url").is_loopback is is_loopback
