"""Time whole processes alternately, A B A B, so that a change in load affects both equally."""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LANGKEYS = (sys.executable, "-m", "langkeys")

_LAUNCHER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("launched.py")))
_BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Run:
    """The cost of one process: seconds of wall time and of processor time, peak memory in MB."""

    seconds: float
    cpu: float
    megabytes: float
    stdout: Path | None = None


@dataclass(frozen=True)
class Pairs:
    """A compared with B: medians, and the medians of the ratios A/B of all pairs."""

    a: Run
    b: Run
    seconds_ratio: float
    cpu_ratio: float
    megabytes_ratio: float
    count: int


class CommandError(Exception):
    """A measured command had an unexpected exit code, so there is no result."""


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    *,
    stdin: bytes = b"",
    stdout: Path | None = None,
    expected: int = 0,
) -> Run:
    """Run a command; its stdout goes to the given file, or to /dev/null.

    Raises CommandError, with the end of stderr, if the exit code is not ``expected``.
    """
    with tempfile.TemporaryDirectory() as name:
        report, said, given = (Path(name) / part for part in ("report", "stderr", "stdin"))
        given.write_bytes(stdin)
        target = Path(os.devnull) if stdout is None else stdout
        with given.open("rb") as source, target.open("wb") as sink, said.open("wb") as errors:
            subprocess.run(
                [*_LAUNCHER, str(report), *command],
                env=dict(environment),
                cwd=folder,
                check=True,
                stdin=source,
                stdout=sink,
                stderr=errors,
            )
        seconds, cpu, peak, code = report.read_text().split()
        if int(code) != expected:
            end = said.read_text(errors="replace")[-2000:]
            raise CommandError(f"{' '.join(command)} ended with {code}, not {expected}:\n{end}")
    return Run(float(seconds), float(cpu), int(peak) * _BYTES_OF_MAXRSS / 1e6, stdout)


def in_turn(
    a: Callable[[], Run], b: Callable[[], Run], pairs: int, *, warm_up: bool = True
) -> Pairs:
    """Run A and B alternately; the first run of each is not counted."""
    if warm_up:
        a()
        b()
    runs = [(a(), b()) for _ in range(pairs)]
    return Pairs(
        median_of([first for first, _ in runs]),
        median_of([second for _, second in runs]),
        statistics.median(first.seconds / second.seconds for first, second in runs),
        statistics.median(first.cpu / second.cpu for first, second in runs),
        statistics.median(first.megabytes / second.megabytes for first, second in runs),
        pairs,
    )


def median_of(runs: Sequence[Run]) -> Run:
    """Return the medians of the times and of the peak memory."""
    return Run(
        statistics.median(one.seconds for one in runs),
        statistics.median(one.cpu for one in runs),
        statistics.median(one.megabytes for one in runs),
    )


def clean_environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return an environment without the user's settings, with a home folder in ``folder``.

    Bytecode is cached as usual.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LANGFLOW_", "LANGKEYS_", "PYTHON", "XDG_"))
    }
    return {**kept, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), **settings}
