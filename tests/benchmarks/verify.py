"""How many API keys per second the library verifies, compared with a loop of a query and a hash.

The aims: 0.70 of the bare loop's rate, with and without counting a use; and on the biggest store
0.85 of the rate at a thousand keys. A store caches keys as long as nobody writes, so new keys and
repeated keys are measured separately.
"""

import hashlib
import itertools
import random
import sqlite3
import statistics
import subprocess
import time
from array import array
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from peers import installed_langflow
from processes import CommandError
from stores import FERNET_KEY, SECRET_KEY, Store, create_1_8_store, key_id, plaintext
from tables import Table

import langkeys

RATE_AIM = 0.7
FLAT_AIM = 0.85

SAMPLE = 2_000
SLICE_SECONDS = 0.3
UNHASHED_KEYS = 20_000

_PATIENCE_SECONDS = 20.0
"""The time limit for one call for each key, if each call must try all keys."""

_AT_A_TIME = 20
"""How many calls are made between two checks of the clock."""

_BARE_QUERY = "SELECT id, user_id, is_active, expires_at FROM apikey WHERE api_key_hash = ?"
_BARE_UPDATE = "UPDATE apikey SET total_uses = total_uses + 1, last_used_at = ? WHERE id = ?"

_SYNCHRONOUS = "FULL"
"""SQLite's default, which langkeys does not change: each commit waits for the disk."""

Call = Callable[[str], object]
Opening = Callable[[], AbstractContextManager[Call]]
Slice = Callable[[], float]
"""A function that makes calls for a while, and returns the number of calls per second."""
Batches = Generator[tuple[Call, Sequence[str]], None, None]
"""Yields a function, and a few keys to call it with."""


def measure(folder: Path, stores: Sequence[Store], *, pairs: int) -> None:
    """Print the tables; ``stores`` are sorted by their number of keys, and are not changed."""
    _show_rates(stores, pairs)
    # A copy, because counting uses writes to it.
    middle = stores[len(stores) // 2].copied(folder / "counting")
    _show_counting(middle, pairs)
    _show_unhashed(folder, pairs)
    _show_langflow(folder, middle, pairs)


def _show_rates(stores: Sequence[Store], pairs: int) -> None:
    asked = {
        "asked for the first time": first_times,
        f"of {SAMPLE:,} again and again": again,
    }
    with ExitStack() as stack:
        rates = rates_in_turn(
            {
                (what, name, store.keys): slices(stack, batches(partial(opening, store), store))
                for what, batches in asked.items()
                for store in stores
                for name, opening in (("langkeys", _ours), ("bare", _bare))
            },
            pairs,
        )
    table = Table(
        f"`store.verify(key)`, one process, keys in random order: medians of {pairs} alternating"
        f" slices of {SLICE_SECONDS} s.",
        ("keys in the store", "keys", "calls a second", "the bare loop", "ratio", "aim"),
    )
    for what in asked:
        for store in stores:
            ours, bare = (rates[what, name, store.keys] for name in ("langkeys", "bare"))
            table.row(store.keys, what, *beside(ours, bare), f"≥ {RATE_AIM:.2f}")
    few, many = stores[0].keys, stores[-1].keys
    table = Table(
        f"The rate at {many:,} keys over the rate at {few:,}, from the same slices.",
        ("", "keys", f"at {many:,}", f"at {few:,}", "ratio", "aim"),
    )
    for what in asked:
        for name, label, aim in (
            ("langkeys", "`store.verify(key)`", f"≥ {FLAT_AIM:.2f}"),
            ("bare", "the bare loop", None),
        ):
            figures = beside(rates[what, name, many], rates[what, name, few])
            table.row(label, what, *figures, aim)


def _show_counting(store: Store, pairs: int) -> None:
    with ExitStack() as stack:
        rates = rates_in_turn(
            {
                opening: slices(stack, first_times(partial(opening, store, count_use=True), store))
                for opening in (_ours, _bare)
            },
            # Twice as many, because the time of a commit varies from slice to slice.
            2 * pairs,
        )
    table = Table(
        f"`store.verify(key, count_use=True)` at {store.keys:,} keys compared with the bare loop,"
        f" which commits an UPDATE for each key, synchronous = {_SYNCHRONOUS}.",
        ("calls a second", "the bare loop", "ratio", "aim"),
    )
    table.row(*beside(rates[_ours], rates[_bare]), f"≥ {RATE_AIM:.2f}")


def _show_unhashed(folder: Path, pairs: int) -> None:
    store = create_1_8_store(folder / "1.8", UNHASHED_KEYS)
    tokens = store.column("SELECT api_key FROM apikey")
    fernet = Fernet(FERNET_KEY)
    started = time.perf_counter()
    for token in tokens:
        fernet.decrypt(token)
    decrypting = time.perf_counter() - started
    with ExitStack() as stack:
        ours = stack.enter_context(_ours(store, checked=False))
        started = time.perf_counter()
        # The last key, because a search in order tries all the others first.
        ours(plaintext(store.keys - 1))
        first = time.perf_counter() - started
        started = time.perf_counter()
        seen = 0
        while seen < store.keys and time.perf_counter() - started < _PATIENCE_SECONDS:
            ours(plaintext(seen))
            seen += 1
        rest = time.perf_counter() - started
        repeated = slices(stack, again(lambda: nullcontext(ours), store))
        rates = rates_in_turn({"again": repeated}, pairs)["again"]
    table = Table(
        f"`store.verify(key)` on a database of Langflow 1.8, which keeps no hashes, at"
        f" {store.keys:,} keys.",
        ("what", "seconds", "calls a second"),
    )
    table.row("decrypting every key in a bare Fernet loop", decrypting, None)
    table.row("the first call", first, None)
    table.row(f"after that, a call for each of {seen:,} keys", rest, seen / rest)
    table.row("after that, calls in random order", None, statistics.median(rates))


def _show_langflow(folder: Path, store: Store, pairs: int) -> None:
    langflow = installed_langflow()
    if langflow is None:
        print("\nLangflow's own: not measured, tests/interop has installed no Langflow here.")
        return
    python = langflow / "bin" / "python"
    settings = {"counting": {}, "": {"LANGFLOW_DISABLE_TRACK_APIKEY_USAGE": "true"}}
    with ExitStack() as stack:
        parts: dict[str, Slice] = {}
        for counting, more in settings.items():
            opening = partial(_ours, store, count_use=bool(counting))
            parts[f"langkeys{counting}"] = slices(stack, first_times(opening, store))
            theirs = stack.enter_context(_langflow_slices(python, folder, store, more))
            parts[f"langflow{counting}"] = theirs
        rates = rates_in_turn(parts, pairs)
    table = Table(
        f"Compared with `authenticate_api_key` of Langflow {langflow.name.rpartition('-')[2]} on"
        f" the same {store.keys:,} keys, each in its own process, alternately.",
        ("", "langkeys, calls a second", "Langflow, calls a second", "ratio"),
    )
    for label, counting in (
        ("a use counted (Langflow: synchronous = NORMAL)", "counting"),
        ("no use counted", ""),
    ):
        table.row(label, *beside(rates[f"langkeys{counting}"], rates[f"langflow{counting}"]))


@contextmanager
def _ours(store: Store, *, count_use: bool = False, checked: bool = True) -> Iterator[Call]:
    with langkeys.open_store(store.path, secret_key=SECRET_KEY) as opened:
        if checked:
            found = opened.verify(plaintext(store.keys // 2)).api_key
            assert found is not None, store
            assert found.id.replace("-", "") == key_id(store.keys // 2), found
        yield partial(opened.verify, count_use=True) if count_use else opened.verify


@contextmanager
def _bare(store: Store, *, count_use: bool = False) -> Iterator[Call]:
    with closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")

        def look_up(key: str) -> Any:
            hashed = hashlib.sha256(key.encode()).hexdigest()
            return connection.execute(_BARE_QUERY, (hashed,)).fetchone()

        def look_up_and_count(key: str) -> object:
            row = look_up(key)
            now = time.strftime("%Y-%m-%d %H:%M:%S.000000", time.gmtime())
            connection.execute(_BARE_UPDATE, (now, row[0]))
            return row

        assert look_up(plaintext(0)), store
        yield look_up_and_count if count_use else look_up


@contextmanager
def _langflow_slices(
    python: Path, folder: Path, store: Store, settings: Mapping[str, str]
) -> Iterator[Slice]:
    """Yield a function that measures a slice of calls in a process that has imported Langflow."""
    script = Path(__file__).with_name("langflow_verify.py")
    keys = "\n".join(map(plaintext, _sample(store)))
    log = folder / f"langflow-{len(settings)}.log"
    with log.open("w") as said, subprocess.Popen(
        [python, script, str(SLICE_SECONDS)],
        env={**store.environment, **settings},
        cwd=store.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
    ) as process:  # fmt: skip
        asking, answering = process.stdin, process.stdout
        assert asking is not None
        assert answering is not None
        print(keys, end="\n\n", file=asking, flush=True)

        def one() -> float:
            print(file=asking, flush=True)
            answer = answering.readline()
            if not answer:
                raise CommandError(f"{script.name} ended early:\n{log.read_text()[-2000:]}")
            return float(answer)

        yield one
        asking.close()


def slices(stack: ExitStack, batches: Batches) -> Slice:
    """Return a function that calls batch after batch; preparing the batches is not timed."""
    stack.callback(batches.close)

    def one() -> float:
        done, spent = 0, 0.0
        while spent < SLICE_SECONDS:
            call, keys = next(batches)
            started = time.perf_counter()
            for key in keys:
                call(key)
            spent += time.perf_counter() - started
            done += len(keys)
        return done / spent

    return one


def first_times(opening: Opening, store: Store) -> Batches:
    """Yield all keys of a store again and again; reopen the store before each round."""
    # An array, because garbage collection would repeatedly scan a list of a million entries.
    numbers = array("L", range(store.keys))
    random.Random(store.keys).shuffle(numbers)
    while True:
        with opening() as call:
            for start in range(0, len(numbers), _AT_A_TIME):
                yield call, [plaintext(number) for number in numbers[start : start + _AT_A_TIME]]


def again(opening: Opening, store: Store) -> Batches:
    """Yield the same few keys of a store endlessly."""
    keys = [plaintext(number) for number in _sample(store)]
    batches = [keys[start : start + _AT_A_TIME] for start in range(0, len(keys), _AT_A_TIME)]
    with opening() as call:
        for keys in itertools.cycle(batches):
            yield call, keys


def _sample(store: Store) -> list[int]:
    return random.Random(store.keys).sample(range(store.keys), min(SAMPLE, store.keys))


def rates_in_turn(parts: Mapping[Any, Slice], pairs: int) -> dict[Any, list[float]]:
    """Measure slices of all parts alternately; the first slice of each is not counted."""
    rounds = [{name: one() for name, one in parts.items()} for _ in range(pairs + 1)][1:]
    return {name: [rates[name] for rates in rounds] for name in parts}


def beside(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    """Return the medians of both, and the median of the ratios."""
    ratio = statistics.median(first / second for first, second in zip(a, b, strict=True))
    return statistics.median(a), statistics.median(b), ratio
