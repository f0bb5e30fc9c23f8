"""Whole processes, timed in turn: A B A B, so that a drifting machine moves both sides alike."""

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ratio:
    """How long A takes against B: medians in seconds, and the median of the pairs' ratios."""

    a_seconds: float
    b_seconds: float
    ratio: float


def seconds(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, stdin: bytes = b""
) -> float:
    """Run a command to its end and return its wall time; raise where it fails."""
    started = time.perf_counter()
    subprocess.run(
        command,
        env=dict(environment),
        cwd=folder,
        check=True,
        input=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def compared(
    a: Sequence[str],
    b: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    pairs: int = 15,
) -> Ratio:
    """Run A and B in turn, after one warm-up each."""
    seconds(a, environment, folder)
    seconds(b, environment, folder)
    times = [
        (seconds(a, environment, folder), seconds(b, environment, folder)) for _ in range(pairs)
    ]
    return Ratio(
        statistics.median(first for first, _ in times),
        statistics.median(second for _, second in times),
        statistics.median(first / second for first, second in times),
    )


def clean_environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return the process environment without Langflow's settings, and with bytecode compiled."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LANGFLOW_", "LANGKEYS_", "PYTHON"))
    }
    return {**kept, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), **settings}
