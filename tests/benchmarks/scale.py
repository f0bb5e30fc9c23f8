"""Commands on very many keys and users, compared with 100 keys and 10 users."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from processes import LANGKEYS, Pairs, Run, in_turn, run
from stores import Store, create_store, has_name_of_its_own, key_id, key_name, plaintext
from tables import Table

SECONDS_AIM = 1.3
MEMORY_AIM = 1.2

SMALL_KEYS, SMALL_USERS = 100, 10

ID_DIGITS = 12
VISIBLE = len("sk-") + 7

_SLOW_PAIRS = 3


@dataclass(frozen=True)
class Case:
    """A command: functions that return its arguments and stdin for the number of a key."""

    label: str
    arguments: Callable[[int], list[str]]
    stdin: Callable[[int], str] = lambda _: ""
    writes: bool = False
    expected: int = 0
    why: str = ""
    """Why the command takes longer with more rows."""
    pairs: int | None = None


def _fixed(text: str, **more: object) -> Case:
    return Case(text, lambda _: text.split(), **more)  # type: ignore[arg-type]


def _by(verb: str, way: str, ref: Callable[[int], str], *options: str, writes: bool) -> Case:
    whole = way == "-"
    return Case(
        " ".join(("api-key", verb, way, *options, *(("< KEY",) if whole else ()))),
        lambda number: ["api-key", verb, ref(number), *options],
        plaintext if whole else lambda _: "",
        writes=writes,
    )


_WAYS: tuple[tuple[str, Callable[[int], str]], ...] = (
    ("ID", key_id),
    ("ID-START", lambda number: key_id(number)[:ID_DIGITS]),
    ("NAME", key_name),
    ("-", lambda _: "-"),
)

CASES = (
    _fixed("api-key create", writes=True),
    *(_by("show", way, ref, writes=False) for way, ref in _WAYS),
    *(_by("revoke", way, ref, "--yes", writes=True) for way, ref in _WAYS),
    _by("rotate", "NAME", key_name, writes=True),
    _fixed("whoami"),
    Case("whoami --api-key - < KEY", lambda _: ["whoami", "--api-key", "-"], plaintext),
    Case(
        "whoami --api-key - < UNKNOWN-KEY",
        lambda _: ["whoami", "--api-key", "-"],
        lambda number: plaintext(-1 - number),
        expected=4,
    ),
    _fixed("api-key list --limit 50"),
    _fixed("api-key list --all-users --limit 50"),
)

LINEAR_CASES = (
    _fixed(
        "api-key list --all-users --status expired --limit 50",
        why="no index on `expires_at`: every row is read, and none matches",
        pairs=_SLOW_PAIRS,
    ),
    _fixed(
        "api-key list --all-users --unused-for 90d --limit 50",
        why="no index on `last_used_at`: every row is read, and none matches",
        pairs=_SLOW_PAIRS,
    ),
    Case(
        "variable show NAME",
        lambda _: ["variable", "show", "CREDENTIAL_1_KEY"],
        why="no index on `variable.name` or `user_id`: every variable of every user is read",
        pairs=_SLOW_PAIRS,
    ),
    Case(
        "api-key show sk-XXXXXXX",
        lambda number: ["api-key", "show", plaintext(number)[:VISIBLE]],
        why="every key must be decrypted to compare its start",
        pairs=1,
    ),
)


def measure(folder: Path, big: Store, *, users: int, pairs: int) -> None:
    """Print the tables that compare ``big``, which is not changed, with a new small store."""
    # The administrator owns 50 keys of the small store, too, so that a list of 50 has 50 rows.
    small = create_store(
        folder / "small", keys=SMALL_KEYS, users=SMALL_USERS, administrator_every=2
    )
    big_copy = big.copied(folder / "big")
    small_size = f"{SMALL_KEYS} keys and {SMALL_USERS} users"
    sizes = f"{big.keys:,} keys and {users:,} users compared with {small_size}"
    numbers = numbers_of(big.keys)
    table = Table(
        f"Commands on {sizes}: whole processes, medians of {pairs} pairs.",
        ("command", "seconds", "at 100", "ratio", "aim", "peak MB", "at 100", "ratio", "aim"),
    )
    for place, case in enumerate(CASES):
        # Each case has its own small store: one would not have enough keys for all cases.
        other = small.copied(folder / f"small-{place}") if case.writes else small
        measured = measured_pairs(case, big_copy if case.writes else big, other, numbers, pairs)
        seconds, memory = _seconds(measured), _memory(measured)
        table.row(f"`{case.label}`", *seconds, f"≤ {SECONDS_AIM:g}", *memory, f"≤ {MEMORY_AIM:g}")
    table = Table(
        f"Commands for which Langflow has no index, on {sizes}: medians.",
        ("command", "seconds", "at 100", "ratio", "peak MB", "at 100", "ratio", "pairs", "why"),
    )
    for case in LINEAR_CASES:
        measured = measured_pairs(case, big, small, numbers, pairs)
        seconds, memory = _seconds(measured), _memory(measured)
        table.row(f"`{case.label}`", *seconds, *memory, measured.count, case.why)


def measured_pairs(
    case: Case, big: Store, small: Store, big_numbers: Iterator[int], pairs: int
) -> Pairs:
    """Measure a case on a big store, with the next key of ``big_numbers``, and on a small one."""
    small_numbers = numbers_of(small.keys)

    def one(store: Store, numbers: Iterator[int]) -> Run:
        number = next(numbers)
        return run(
            [*LANGKEYS, *case.arguments(number)],
            store.environment,
            store.folder,
            stdin=case.stdin(number).encode(),
            expected=case.expected,
        )

    return in_turn(
        lambda: one(big, big_numbers),
        lambda: one(small, small_numbers),
        min(pairs, case.pairs or pairs),
        # A case that only runs once is so slow that a warm-up makes no difference.
        warm_up=case.pairs != 1,
    )


def numbers_of(keys: int) -> Iterator[int]:
    """Yield the numbers of keys with a unique name in random order, so that caches do not help."""
    numbers = [number for number in range(keys) if has_name_of_its_own(number)]
    random.Random(keys).shuffle(numbers)
    return iter(numbers)


def _seconds(measured: Pairs) -> tuple[float, float, float]:
    return measured.a.seconds, measured.b.seconds, measured.seconds_ratio


def _memory(measured: Pairs) -> tuple[float, float, float]:
    return measured.a.megabytes, measured.b.megabytes, measured.megabytes_ratio
