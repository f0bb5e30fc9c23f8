"""A rotation over REST is interrupted or killed at each request: at least one key works."""

from __future__ import annotations

import signal
import subprocess
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

import pytest

from ..support.databases import ago
from ..support.deployments import Deployment
from ..support.fake_langflow import FakeKey, Refused
from ..support.servers import Request

REQUESTS = 8
"""The number of requests that a rotation of one key sends; a test asserts it."""

POST, DELETE = 4, 7
"""The numbers of the requests that change something."""


def interrupted(
    deployment: Deployment, number: int, kind: signal.Signals, *, is_done: bool
) -> tuple[int, str, FakeKey, str]:
    """Rotate a key in a file, and signal langkeys during a request.

    ``is_done`` says whether the server processes that request. Return langkeys' exit code and
    stderr, the old key, and the content of the file afterwards.
    """
    # Older than the new key by more than a second: a server of 1.13 returns no fractions.
    old = deployment.add("job", created_at=ago(days=1))
    file = deployment.site.folder / "key"
    file.write_text(old.value)
    behave = deployment.server.behave
    assert behave is not None
    processes: list[subprocess.Popen[bytes]] = []

    def at_that_request(handler: BaseHTTPRequestHandler, request: Request) -> None:
        if len(deployment.server.requests) != number:
            behave(handler, request)
            return
        if is_done:
            with suppress(Refused):  # the client is killed before it could read a refusal
                deployment.langflow.answer(request)
        processes[0].send_signal(kind)
        processes[0].wait(timeout=30)

    deployment.server.behave = at_that_request
    process = deployment.site.spawn(
        "api-key", "rotate", "-", "--url", deployment.server.url, "--write-to", "key"
    )
    processes.append(process)
    _, err = process.communicate(old.value.encode(), timeout=60)
    return process.returncode, err.decode(), old, file.read_text()


ENDS = [
    (number, kind, is_done)
    for number in range(1, REQUESTS + 1)
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
    for is_done in (True, False)
    if number in (POST, DELETE) or (is_done and kind is not signal.SIGTERM)
]


@pytest.mark.parametrize(("number", "kind", "is_done"), ENDS)
def test_the_key_in_the_file_works_whenever_it_ends(
    deployment: Deployment, number: int, kind: signal.Signals, is_done: bool
) -> None:
    code, err, old, content = interrupted(deployment, number, kind, is_done=is_done)
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[kind], err
    keys = [key for key in deployment.langflow.keys if key is not deployment.acting]
    assert content in [key.value for key in keys]
    if number < DELETE:
        assert (content, keys[0]) == (old.value, old)
    if kind is not signal.SIGKILL:
        assert not list(deployment.site.folder.glob("*.tmp"))
        assert ("may have created" in err) is (number == POST)
        left_over = [key for key in keys if key.value != content]
        assert left_over == [] if number != POST and number < DELETE else len(left_over) <= 1
        assert (f"api-key revoke {old.id}" in err) is (number >= DELETE)


def test_a_second_interrupt_says_what_the_first_could_not_take_back(
    deployment: Deployment,
) -> None:
    old = deployment.add("job")
    processes: list[subprocess.Popen[bytes]] = []

    def at_the_proof_and_after_it(method: str, _: str) -> None:
        request_count = len(deployment.server.requests)
        if request_count == POST + 1 or method == "DELETE":
            processes[0].send_signal(signal.SIGINT)
            if method == "DELETE":
                processes[0].wait(timeout=30)
            raise Refused(504, "late")

    deployment.langflow.before = at_the_proof_and_after_it
    process = deployment.site.spawn("api-key", "rotate", "-", "--url", deployment.server.url)
    processes.append(process)
    _, err = process.communicate(old.value.encode(), timeout=60)
    new = deployment.langflow.keys[-1]
    assert (process.returncode, new is old) == (130, False)
    assert f"langkeys api-key revoke {new.id} --url {deployment.server.url}" in err.decode()


def test_so_many_requests_are_a_rotation(deployment: Deployment) -> None:
    old = deployment.add("job")
    deployment.job("api-key", "rotate", "-", stdin=old.value).done()
    methods = [request.method for request in deployment.server.requests]
    assert (len(methods), methods[POST - 1], methods[DELETE - 1]) == (REQUESTS, "POST", "DELETE")


def test_what_a_killed_rotation_left_is_named_by_the_next_one(deployment: Deployment) -> None:
    _, _, old, content = interrupted(deployment, DELETE - 1, signal.SIGKILL, is_done=True)
    assert content == old.value
    left = deployment.langflow.keys[-1]
    result = deployment.job("api-key", "rotate", "-", stdin=content).done()
    assert f"langkeys api-key revoke {left.id} --url {deployment.server.url}" in result.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("api-key", "revoke", "a", "b", "c", "--yes"), "1 of 3 API keys revoked"),
        (
            ("variable", "import", "-", "--only", "X", "--only", "Y"),
            "1 of 2 variables set; Y may be",
        ),
        (("variable", "delete", "V", "W", "--yes"), "1 of 2 variables deleted; W may be"),
    ],
)
def test_how_many_of_several_were_done_is_said(
    deployment: Deployment, command: tuple[str, ...], said: str
) -> None:
    for name in ("a", "b", "c"):
        deployment.add(name)
    for name in ("V", "W"):
        deployment.langflow.add_variable(name, "value")
    processes: list[subprocess.Popen[bytes]] = []

    def at_the_second(method: str, _: str) -> None:
        if method != "GET" and len(deployment.writes()) == 2:
            processes[0].send_signal(signal.SIGINT)
            processes[0].wait(timeout=30)

    deployment.langflow.before = at_the_second
    process = deployment.site.spawn(
        *command, "--url", deployment.server.url,
        settings={"LANGKEYS_API_KEY": deployment.acting.value},
    )  # fmt: skip
    processes.append(process)
    _, err = process.communicate(b"X=1\nY=2\n", timeout=60)
    assert process.returncode == 130
    assert said in err.decode()
