"""Run the documents' console blocks: ``python -m tests.docs [--update] [PAGE...]``.

Without ``--update`` it says what differs; with it, the pages get what a run shows.
"""

from __future__ import annotations

import argparse
import sys

from .markdown import pages
from .pages import run_page, updated


def main() -> int:
    """Run the pages that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write what a run shows")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="README.md, docs/rotate.md ...")
    arguments = parser.parse_args()
    found = pages()
    different = 0
    for name in arguments.pages or found:
        text = found[name].read_text(encoding="utf-8")
        if arguments.update:
            after = updated(text)
            if after != text:
                found[name].write_text(after, encoding="utf-8")
                print(f"{name}: updated")
        else:
            for outcome in run_page(text):
                if outcome.difference:
                    different += 1
                    print(f"{name}, line {outcome.block.first + 1}:\n{outcome.difference}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
