"""A PostgreSQL cluster for a single test, which can be stopped, frozen and restarted."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import clusters, postgresql
from .clusters import Cluster


@dataclass(frozen=True)
class OwnCluster(Cluster):
    """A running server and its folder."""

    folder: Path

    @property
    def _pid_file(self) -> Path:
        return self.folder / "data" / "postmaster.pid"

    def stop(self, sent: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server with a signal, by default immediately and without a checkpoint."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int(self._pid_file.read_text().splitlines()[0]), sent)
        deadline = time.monotonic() + 30
        while self._pid_file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    def start(self) -> None:
        clusters.start(self.folder / "data", self.binaries, port=self.port, is_durable=True)

    def restart(self) -> None:
        """Restart the server as after a crash, which loses what is not committed."""
        self.stop()
        self.start()

    def signal(self, sent: signal.Signals) -> None:
        """Send a signal to the server and all its child processes."""
        postmaster = int(self._pid_file.read_text().splitlines()[0])
        for pid in (postmaster, *_children(postmaster)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sent)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the server for the block: it accepts connections but does not answer."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)


def _children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


@contextlib.contextmanager
def own_cluster() -> Iterator[OwnCluster]:
    """Yield a running cluster that no other test uses."""
    binaries = postgresql.cluster().binaries
    folder = Path(tempfile.mkdtemp(prefix="lkpg-own-"))
    folder.chmod(0o755)
    clusters.remove_with(os.getpid(), folder)
    try:
        # Durable: a test kills the server, which must not lose what was committed before.
        started = clusters.start(clusters.make(folder, binaries), binaries, is_durable=True)
        clusters.add_roles(started)
        yield OwnCluster(binaries, started.port, folder)
    finally:
        clusters.remove(folder)
