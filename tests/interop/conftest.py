"""Fixtures of the interoperation tests: a shared real server, and langkeys on its database.

`pytest tests/interop --langflow VERSION` chooses the server by its version of langflow-base. All
tests of a worker share its servers, so tests in parallel need `--dist loadfile`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from .database import Database
from .expectations import EXPECTED, Expected
from .langflow_install import DEFAULT_VERSION, RELEASES
from .langflow_server import PASSWORD, SUPERUSER, LangflowServer
from .langkeys_process import Langkeys


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --langflow. pytest only knows it if its command line names tests/interop."""
    parser.addoption(
        "--langflow",
        dest="langflow",
        metavar="VERSION",
        default=DEFAULT_VERSION,
        choices=sorted(RELEASES),
        help="langflow-base to test against: %(choices)s (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "interop: needs a real Langflow server (minutes)")
    config.addinivalue_line("markers", "only_with(version): makes sense for this server alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark these tests, and leave out those that need another version."""
    version = _version(config)
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.interop)
        only = item.get_closest_marker("only_with")
        is_of_it = version in only.args if only else not EXPECTED[version].delete_only
        (kept if is_of_it else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_report_header(config: pytest.Config) -> str:
    version = _version(config)
    return f"langflow: {RELEASES[version].langflow} (langflow-base {version})"


@pytest.fixture(scope="session")
def version(pytestconfig: pytest.Config) -> str:
    """The version of langflow-base under test."""
    return _version(pytestconfig)


@pytest.fixture(scope="session")
def expected(version: str) -> Expected:
    return EXPECTED[version]


@pytest.fixture(scope="session")
def server(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LangflowServer]:
    """A running server with AUTO_LOGIN=false, and a superuser not named langflow."""
    with LangflowServer(version, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def langkeys(server: LangflowServer, tmp_path_factory: pytest.TempPathFactory) -> Langkeys:
    """Run langkeys on the database of `server`, with the server's own settings."""
    return Langkeys(tmp_path_factory.mktemp("langkeys"), server.settings)


@pytest.fixture
def database(server: LangflowServer) -> Database:
    return Database(server.database)


@pytest.fixture(scope="session")
def token(server: LangflowServer) -> str:
    """A session token of the superuser, as the web pages use it."""
    return server.rest.login(SUPERUSER, PASSWORD)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A unique name for a key or a user, because tests share the servers."""
    return f"{re.sub(r'[^a-z0-9]+', '-', request.node.name.lower())[:40]}-{uuid.uuid4().hex[:6]}"


def _version(config: pytest.Config) -> str:
    return str(config.getoption("langflow", DEFAULT_VERSION))
