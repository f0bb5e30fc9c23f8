"""Commands on very many rows, compared with a bare loop of the same encryptions and decryptions.

The aims: create, secret-key check and secret-key rotate reach 0.4 of the bare loop's speed and need
less than 60 MB; show by visible start reaches 0.6; the memory for listing and exporting does not
grow with the number of rows.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet
from processes import LANGKEYS, Run, median_of, run
from scale import VISIBLE
from stores import FERNET_KEY, SECRET_KEY, Store, create_store, plaintext
from tables import Table

SPEED_AIM = 0.4
SHOW_AIM = 0.6
MEMORY_AIM = 60
FLAT_AIM = 1.2

MOST_PAIRS = 3
ENOUGH_SECONDS = 25.0
"""After this time, a case is not repeated."""

_OTHER_FERNET_KEY = "T" * 43 + "="
_KEY = plaintext(0).encode()


@dataclass(frozen=True)
class Case:
    """A command that handles ``rows`` rows, and the bare loop that encrypts and decrypts them."""

    label: str
    rows: int
    store: Store
    arguments: Sequence[str]
    bare_label: str
    bare: Callable[[], object]
    writes: bool = False
    """Each run gets a copy of the store."""
    key_in_file: bool = False
    speed_aim: float | None = None
    memory_aim: int | None = None


def measure(folder: Path, store: Store, *, pairs: int) -> None:
    """Print the tables; ``store`` is not changed."""
    most = min(pairs, MOST_PAIRS)
    table = Table(
        f"Many rows: piped commands on a store of {store.keys:,} keys, compared with a bare Fernet"
        " loop of the same encryptions and decryptions, medians.",
        (
            "command", "rows", "seconds", "bare loop", "which does", "bare / command", "aim",
            "rows a second", "peak MB", "aim", "pairs",
        ),
    )  # fmt: skip
    reading = reading_cases(store, owner_of_many(folder / "variables", store.keys // 5))
    peaks = {}
    for case in [*working_cases(folder, store), *reading]:
        ours, bare_seconds, ratio, count = _measured(case, folder / "copy", most)
        peaks[case.label] = ours.megabytes
        table.row(
            f"`{case.label}`",
            case.rows,
            ours.seconds,
            bare_seconds,
            case.bare_label,
            ratio,
            case.speed_aim and f"≥ {case.speed_aim:g}",
            float(case.rows / ours.seconds),
            ours.megabytes,
            case.memory_aim and f"< {case.memory_aim}",
            count,
        )
    table = Table(
        "Peak memory compared with that of the same command on a tenth of the rows.",
        ("command", "rows", "peak MB", "on a tenth", "ratio", "aim"),
    )
    tenth = create_store(folder / "tenth", keys=store.keys // 10, users=max(2, store.keys // 1000))
    many = owner_of_many(folder / "fewer-variables", store.keys // 50)
    for case, few in zip(reading, reading_cases(tenth, many), strict=True):
        peak, peak_of_few = peaks[case.label], run_case(few, folder / "copy").megabytes
        ratio = peak / peak_of_few
        table.row(f"`{case.label}`", case.rows, peak, peak_of_few, ratio, f"≤ {FLAT_AIM:g}")


def working_cases(folder: Path, store: Store) -> list[Case]:
    """Return the commands that decrypt or change a whole store."""
    key_tokens = store.column("SELECT api_key FROM apikey")
    tokens = key_tokens + store.column("SELECT value FROM variable")
    create = ["api-key", "create", "--count", str(store.keys)]
    encrypting = f"{store.keys:,} encryptions"
    decrypting = f"{len(tokens):,} decryptions"
    decrypting_keys = f"{store.keys:,} decryptions"
    start = plaintext(store.keys // 2)[:VISIBLE]
    return [
        Case(
            f"api-key create --count {store.keys}", store.keys, store, create,
            encrypting, lambda: _encrypt(store.keys),
            writes=True, speed_aim=SPEED_AIM, memory_aim=MEMORY_AIM,
        ),
        Case(
            f"api-key create --count {store.keys}, in an empty store", store.keys,
            create_store(folder / "empty"), create,
            encrypting, lambda: _encrypt(store.keys),
            writes=True, speed_aim=SPEED_AIM, memory_aim=MEMORY_AIM,
        ),
        Case(
            "secret-key check", len(tokens), store, ["secret-key", "check"],
            decrypting, lambda: _decrypt(tokens),
            speed_aim=SPEED_AIM, memory_aim=MEMORY_AIM,
        ),
        Case(
            "secret-key rotate --yes", len(tokens), store, ["secret-key", "rotate", "--yes"],
            f"{decrypting}, encryptions, decryptions", lambda: _reencrypt(tokens),
            writes=True, key_in_file=True, speed_aim=SPEED_AIM, memory_aim=MEMORY_AIM,
        ),
        Case(
            "api-key show sk-XXXXXXX", store.keys, store, ["api-key", "show", start],
            decrypting_keys, lambda: _decrypt(key_tokens),
            speed_aim=SHOW_AIM,
        ),
        Case(
            "api-key prune --older-than 30d --yes", store.keys, store,
            ["api-key", "prune", "--older-than", "30d", "--yes"],
            decrypting_keys, lambda: _decrypt(key_tokens),
            writes=True,
        ),
    ]  # fmt: skip


def reading_cases(store: Store, owner_of_many: Store) -> list[Case]:
    """Return the commands whose output grows with the store."""
    key_tokens = store.column("SELECT api_key FROM apikey")
    values = owner_of_many.column("SELECT value FROM variable")
    return [
        Case(
            "api-key list --all-users --json", store.keys, store,
            ["api-key", "list", "--all-users", "--json"],
            f"{store.keys:,} decryptions", lambda: _decrypt(key_tokens),
        ),
        Case(
            "variable export --reveal", len(values), owner_of_many,
            ["variable", "export", "--reveal"],
            f"{len(values):,} decryptions", lambda: _decrypt(values),
        ),
    ]  # fmt: skip


def owner_of_many(folder: Path, variables: int) -> Store:
    """Create a store of one user with many variables."""
    return create_store(folder, variables=variables)


def _measured(case: Case, copy: Path, most: int) -> tuple[Run, float, float, int]:
    """Return medians of the command, the bare loop's seconds and their ratio; and how many runs."""
    started = time.perf_counter()
    pairs: list[tuple[Run, float]] = []
    while len(pairs) < most and (not pairs or time.perf_counter() - started < ENOUGH_SECONDS):
        before = time.perf_counter()
        case.bare()
        bare_seconds = time.perf_counter() - before
        pairs.append((run_case(case, copy), bare_seconds))
    return (
        median_of([ours for ours, _ in pairs]),
        statistics.median(bare for _, bare in pairs),
        statistics.median(bare / ours.seconds for ours, bare in pairs),
        len(pairs),
    )


def run_case(case: Case, copy: Path) -> Run:
    """Run a case; if it writes, on a copy of its store in the folder ``copy``."""
    store = case.store.copied(copy) if case.writes else case.store
    environment = store.environment
    if case.key_in_file:
        del environment["LANGFLOW_SECRET_KEY"]
        secret_key = store.config / "secret_key"
        secret_key.write_text(SECRET_KEY)
        secret_key.chmod(0o600)
    try:
        return run(
            [*LANGKEYS, *case.arguments],
            environment,
            store.folder,
            stdout=store.folder / "stdout" if case.writes else None,
        )
    finally:
        if case.writes:
            store.remove()


def _encrypt(count: int) -> None:
    fernet = Fernet(FERNET_KEY)
    for _ in range(count):
        fernet.encrypt(_KEY).decode()


def _decrypt(tokens: Sequence[str]) -> None:
    fernet = Fernet(FERNET_KEY)
    for token in tokens:
        fernet.decrypt(token).decode()


def _reencrypt(tokens: Sequence[str]) -> None:
    old, new = Fernet(FERNET_KEY), Fernet(_OTHER_FERNET_KEY)
    for token in [new.encrypt(old.decrypt(token)) for token in tokens]:
        new.decrypt(token)
