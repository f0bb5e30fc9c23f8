"""PostgreSQL compared with SQLite: the same commands on the same rows, alternately.

The aims: ``api-key create`` needs at most 1.5 times SQLite's processor time; commands take as long
with a million keys as with a hundred; many rows need less than 60 MB; ``verify`` reaches 0.6 of the
speed of a bare loop of the same statement on the same connection.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import bulk
import scale
import verify
from processes import LANGKEYS, Run, in_turn, median_of, run
from servers import ServerStore, cluster, moved
from stores import SECRET_KEY, Store, create_store, plaintext
from tables import Table

import langkeys

CPU_AIM = 1.5
VERIFY_AIM = 0.6

_SMALL = (
    "api-key create",
    "api-key list --limit 50",
    "api-key show CLI-1",
    "variable list",
    "whoami",
)
_MEASURED_PAIRS = 20
_MOST_PAIRS = 3


def measure(folder: Path, middle: Store, big: Store, *, users: int, pairs: int) -> None:
    """Print the tables; ``middle`` and ``big`` are not changed."""
    with cluster() as server:
        _show_small(folder / "small", server, pairs)
        server_middle = moved(middle, folder / "server-middle", server)
        server_big = moved(big, folder / "server-big", server)
        _show_scale(folder / "scale", big, server_big, users, pairs)
        _show_bulk(folder / "bulk", middle, server_middle, pairs)
        _show_verify((server_middle, server_big), pairs)


def _show_small(folder: Path, server: Any, pairs: int) -> None:
    file = create_store(folder / "file")
    for number in range(50):
        run(
            [*LANGKEYS, "api-key", "create", "--name", f"CLI-{number}"],
            file.environment, file.folder,
        )  # fmt: skip
    file = Store(file.folder, 50)
    other = moved(file, folder / "server", server)
    count = _MEASURED_PAIRS if pairs > 1 else 1
    table = Table(
        "Small commands on PostgreSQL (over TCP, with scram) compared with SQLite: whole"
        f" processes, medians of {count} pairs.",
        (
            "command", "CPU seconds", "on SQLite", "ratio", "aim",
            "seconds", "on SQLite", "ratio", "peak MB", "on SQLite",
        ),
    )  # fmt: skip
    for command in _SMALL:
        measured = in_turn(
            partial(run, [*LANGKEYS, *command.split()], other.environment, other.folder),
            partial(run, [*LANGKEYS, *command.split()], file.environment, file.folder),
            count,
        )
        table.row(
            f"`{command}`",
            measured.a.cpu, measured.b.cpu, measured.cpu_ratio,
            f"≤ {CPU_AIM:g}" if command == "api-key create" else None,
            measured.a.seconds, measured.b.seconds, measured.seconds_ratio,
            measured.a.megabytes, measured.b.megabytes,
        )  # fmt: skip


def _show_scale(folder: Path, big: Store, server_big: ServerStore, users: int, pairs: int) -> None:
    small = create_store(
        folder / "small", keys=scale.SMALL_KEYS, users=scale.SMALL_USERS, administrator_every=2
    )
    engines = [
        (server_big, moved(small, folder / "server-small", server_big.cluster)),
        (big, small),
    ]
    copies = [of_many.copied(folder / f"big-{n}") for n, (of_many, _) in enumerate(engines)]
    table = Table(
        f"Commands on {big.keys:,} keys and {users:,} users compared with {small.keys} keys and"
        f" {scale.SMALL_USERS} users, on PostgreSQL and on SQLite: whole processes, medians of"
        f" {pairs} pairs.",
        (
            "command", "PostgreSQL: seconds", "at 100", "ratio", "SQLite: seconds", "at 100",
            "ratio", "aim", "PostgreSQL: peak MB", "ratio", "SQLite: peak MB", "ratio", "aim",
        ),
    )  # fmt: skip
    numbers = [scale.numbers_of(big.keys) for _ in engines]
    for place, case in enumerate(scale.CASES):
        found = []
        for n, (of_many, of_few) in enumerate(engines):
            few = of_few.copied(folder / f"few-{n}-{place}") if case.writes else of_few
            many = copies[n] if case.writes else of_many
            found.append(scale.measured_pairs(case, many, few, numbers[n], pairs))
        seconds = [(one.a.seconds, one.b.seconds, one.seconds_ratio) for one in found]
        memory = [(one.a.megabytes, one.megabytes_ratio) for one in found]
        table.row(
            f"`{case.label}`",
            *seconds[0], *seconds[1], f"≤ {scale.SECONDS_AIM:g}",
            *memory[0], *memory[1], f"≤ {scale.MEMORY_AIM:g}",
        )  # fmt: skip


def _show_bulk(folder: Path, store: Store, server_store: ServerStore, pairs: int) -> None:
    many = bulk.owner_of_many(folder / "variables", store.keys // 5)
    cases = [*bulk.working_cases(folder, store), *bulk.reading_cases(store, many)]
    table = Table(
        f"Many rows, piped: a store of {store.keys:,} keys on PostgreSQL and on SQLite, medians.",
        (
            "command", "rows", "PostgreSQL: seconds", "SQLite: seconds", "ratio",
            "PostgreSQL: rows a second", "PostgreSQL: peak MB", "SQLite: peak MB", "aim", "pairs",
        ),
    )  # fmt: skip
    count = min(pairs, _MOST_PAIRS)
    on_server = {store.folder: server_store}
    for case in cases:
        if case.store.folder not in on_server:
            name = f"server-{case.store.folder.name}"
            copy = moved(case.store, folder / name, server_store.cluster)
            on_server[case.store.folder] = copy
        other = replace(case, store=on_server[case.store.folder])
        runs = [
            (bulk.run_case(other, folder / "copy"), bulk.run_case(case, folder / "copy"))
            for _ in range(count)
        ]
        ours, theirs = (median_of([pair[n] for pair in runs]) for n in (0, 1))
        table.row(
            f"`{case.label}`", case.rows, ours.seconds, theirs.seconds,
            ours.seconds / theirs.seconds, float(case.rows / ours.seconds),
            *_peaks(ours, theirs), f"< {bulk.MEMORY_AIM}", count,
        )  # fmt: skip


def _peaks(*runs: Run) -> tuple[float, ...]:
    return tuple(one.megabytes for one in runs)


def _show_verify(stores: Sequence[ServerStore], pairs: int) -> None:
    asked = {
        "asked for the first time": verify.first_times,
        f"of {verify.SAMPLE:,} again and again": verify.again,
    }
    with ExitStack() as stack:
        rates = verify.rates_in_turn(
            {
                (what, name, store.keys): verify.slices(
                    stack, batches(partial(opening, store), store)
                )
                for what, batches in asked.items()
                for store in stores
                for name, opening in (("langkeys", _ours), ("bare", _bare))
            },
            pairs,
        )
    table = Table(
        "`store.verify(key)` on PostgreSQL, one process, keys in random order, compared with a loop"
        f" of the same statement on the same connection: medians of {pairs} alternating slices of"
        f" {verify.SLICE_SECONDS} s.",
        ("keys in the store", "keys", "calls a second", "the bare loop", "ratio", "aim"),
    )
    for what in asked:
        for store in stores:
            ours, bare = (rates[what, name, store.keys] for name in ("langkeys", "bare"))
            table.row(store.keys, what, *verify.beside(ours, bare), f"≥ {VERIFY_AIM:.2f}")


@contextmanager
def _opened(store: ServerStore) -> Iterator[langkeys.LangflowStore]:
    settings = {"LANGFLOW_CONFIG_DIR": str(store.config)}
    with langkeys.open_store(store.url, secret_key=SECRET_KEY, settings=settings) as opened:
        assert opened.verify(plaintext(store.keys // 2)).api_key is not None, store
        yield opened


@contextmanager
def _ours(store: ServerStore) -> Iterator[verify.Call]:
    with _opened(store) as opened:
        yield opened.verify


@contextmanager
def _bare(store: ServerStore) -> Iterator[verify.Call]:
    with _opened(store) as opened:
        # langkeys' own query and connection.
        engine: Any = opened._store
        sql, connection = engine._by_hash, engine._connection

        def look_up(key: str) -> object:
            hashed = hashlib.sha256(key.encode()).hexdigest()
            with connection.cursor() as cursor:
                cursor.execute(sql, (hashed,))
                return cursor.fetchall()

        assert look_up(plaintext(0)), store
        yield look_up
