"""Measure Langflow's own verification, with the Python in which Langflow is installed.

It reads API keys from stdin, one per line, up to an empty line. For each further empty line it
verifies keys for SECONDS (its only argument), and prints the number of calls per second.
"""

import asyncio
import itertools
import os
import sys
import time

_AT_A_TIME = 10


async def main() -> None:
    # Redirect everything that Langflow prints to stderr.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    seconds = float(sys.argv[1])

    from langflow.services.database.models.api_key.crud import authenticate_api_key
    from langflow.services.utils import register_all_service_factories

    register_all_service_factories()
    lines = iter(sys.stdin.readline, "")
    keys = itertools.cycle([line.strip() for line in itertools.takewhile(str.strip, lines)])
    for _ in range(100):
        assert await authenticate_api_key(next(keys)) is not None, "a key is not let in"
    for _ in lines:
        done, started = 0, time.perf_counter()
        while (now := time.perf_counter()) < started + seconds:
            for _ in range(_AT_A_TIME):
                await authenticate_api_key(next(keys))
            done += _AT_A_TIME
        print(done / (now - started), file=answers, flush=True)


asyncio.run(main())
