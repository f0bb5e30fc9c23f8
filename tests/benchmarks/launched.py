"""Run one command, and write its times, peak memory and exit status to a file.

``processes`` starts this program for each command, because on Linux a child process inherits the
peak memory of its parent: a command started by a benchmark with a million keys would seem to need
as much memory. This program imports next to nothing, so it needs less memory than any command.
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
