"""Options of the fault tests. pytest only knows them if its command line names tests/faults."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

_OPTIONS = {
    "kills": (4, "SIGKILLs of a rotation"),
    "each": (1, "deaths at each step of a rotation"),
    "command-kills": (2, "SIGKILLs of each other command"),
    "writes": (10, "writes by each of eight processes"),
    "examples": (8, "random inputs to whole commands"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    for name, (default, what) in _OPTIONS.items():
        parser.addoption(f"--{name}", type=int, default=default, help=f"{what} (%(default)s)")
    parser.addoption("--full", action="store_true", help="run every fault test, not a sample")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "sample(count): without --full, run only the first ``count`` parameter sets"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --full, leave out tests that would make the default run minutes longer."""
    if config.getoption("full", False):
        return
    taken: dict[str, int] = defaultdict(int)
    kept, left_out = [], []
    for item in items:
        mark = item.get_closest_marker("sample")
        name = item.nodeid.partition("[")[0]
        taken[name] += 1
        is_in = item.path.is_relative_to(Path(__file__).parent)
        wanted = not is_in or mark is None or taken[name] <= mark.args[0]
        (kept if wanted else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def _option(config: pytest.Config, name: str) -> int:
    return int(config.getoption(name.replace("-", "_"), _OPTIONS[name][0]))


@pytest.fixture
def kills(pytestconfig: pytest.Config) -> int:
    return _option(pytestconfig, "kills")


@pytest.fixture
def each(pytestconfig: pytest.Config) -> int:
    return _option(pytestconfig, "each")


@pytest.fixture
def command_kills(pytestconfig: pytest.Config) -> int:
    return _option(pytestconfig, "command-kills")


@pytest.fixture
def writes(pytestconfig: pytest.Config) -> int:
    return _option(pytestconfig, "writes")


@pytest.fixture
def examples(pytestconfig: pytest.Config) -> int:
    return _option(pytestconfig, "examples")
