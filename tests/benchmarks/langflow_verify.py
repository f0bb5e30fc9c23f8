"""Langflow's own verification, in slices: run by the Python that Langflow is installed in.

Takes API keys on stdin, one a line up to an empty one; for each empty line after that it calls for
SECONDS (its one argument) and answers with the number of calls a second.
"""

import asyncio
import itertools
import os
import sys
import time

_AT_A_TIME = 10


async def main() -> None:
    # What Langflow logs goes to stderr, whatever it writes it to.
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
