"""A rotation on PostgreSQL in which langkeys or its session is killed at any moment."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from ..support import server_vaults
from ..support.proxies import Proxy, proxied
from ..support.server_vaults import RECOVER, ROTATE, ServerVault
from ..support.sites import Site

COMMIT_SECONDS = 0.004
"""Most kills at the commit happen within this time."""


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def vault(site: Site, superuser: str) -> ServerVault:
    return server_vaults.create(site, superuser)


@pytest.fixture
def network(vault: ServerVault) -> Iterator[Proxy]:
    """The proxy between the site and its server."""
    with proxied(vault.site, vault.server) as found:
        yield found


def outcome(vault: ServerVault, key: str) -> str:
    """Assert that one key decrypts all values after the next command; return what it did."""
    vault.site.call(*RECOVER).done()
    for path in vault.folder.glob(".*.tmp*"):
        path.unlink()  # an incomplete copy or journal, which the next rotation would remove
    return "undone" if vault.assert_whole() == key else "completed"


def test_killed_at_any_moment_one_key_is_left_for_all(
    vault: ServerVault, network: Proxy, kills: int
) -> None:
    chance = random.Random(20261201)
    landed: Counter[str] = Counter()
    window = 0.0
    for number in range(kills + 1):
        key = vault.key()
        process = vault.site.spawn(*ROTATE, "--quiet", stdout=subprocess.DEVNULL)
        with process:
            delay = chance.uniform(0, COMMIT_SECONDS) if chance.random() < 0.7 else 0.0
            at_commit = chance.choice(("before_commit", "after_commit"))
            if number and not number % 2:

                def kill(process: subprocess.Popen[bytes] = process, delay: float = delay) -> None:
                    time.sleep(delay)
                    process.kill()

                setattr(network, at_commit, kill)
            while process.poll() is None and not any(vault.folder.glob(".*.backup-*")):
                time.sleep(0.001)
            start = time.monotonic()
            if number % 2:
                time.sleep(window * chance.uniform(0, 0.7))
                process.kill()
            assert process.wait(60) in (0, -9)
        if number == 0:  # not killed: measures how long it works
            window = time.monotonic() - start
            continue
        network.heal()
        found = outcome(vault, key)
        landed[found if process.returncode == -9 else "after it had ended"] += 1
    print(f"\n{kills} kills of langkeys, half at the commit, half in {window:.2f} s:", dict(landed))  # noqa: T201 - for -s
    assert sum(landed.values()) == kills


def test_a_session_ended_at_any_moment_leaves_one_key_for_all(
    vault: ServerVault, network: Proxy, kills: int
) -> None:
    chance = random.Random(20261202)
    landed: Counter[str] = Counter()
    window = 0.0
    for number in range(kills + 1):
        key = vault.key()
        timer = threading.Timer(window * chance.uniform(0, 1), lambda: vault.terminate(patience=0))
        delay = chance.uniform(0, COMMIT_SECONDS) if chance.random() < 0.7 else 0.0
        network.loses_answer = chance.random() < 0.3

        def end(delay: float = delay) -> None:
            time.sleep(delay)
            vault.terminate(patience=0)

        start = time.monotonic()
        if number % 2:
            timer.start()
        elif number:
            setattr(network, chance.choice(("before_commit", "after_commit")), end)
        result = vault.site.call(*ROTATE)
        timer.cancel()
        network.heal()
        if number == 0:
            window = time.monotonic() - start
            continue
        # The command's own report must be true; a lost connection must not leave two keys in use.
        is_done = result.code == 0
        assert is_done or result.code in (1, 6), result
        landed[f"{outcome(vault, key)}, exit {result.code}"] += 1
    print(f"\n{kills} ended sessions, half at the commit, half in {window:.2f} s:", dict(landed))  # noqa: T201 - for -s
    assert sum(landed.values()) == kills
