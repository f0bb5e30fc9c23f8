"""Runs one command and writes its times, peak memory and exit status to a file.

Started as a process of its own by ``processes``, because Linux hands a process's peak memory on to
what it starts: below a benchmark that holds a million keys every command would seem to need as
much. This one imports nothing, so that what it hands on is less than any Python program needs.
"""

import os
import sys
import time


def main() -> None:
    report, program, *arguments = sys.argv[1:]
    started = time.perf_counter()
    process = os.posix_spawn(program, [program, *arguments], os.environ)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - started
    with open(report, "w") as handle:  # noqa: PTH123 - pathlib alone is 3 MB
        cpu = usage.ru_utime + usage.ru_stime
        handle.write(f"{seconds} {cpu} {usage.ru_maxrss} {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
