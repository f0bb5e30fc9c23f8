"""Run the documents' console blocks: ``python -m tests.docs [--update] [PAGE...]``.

Without ``--update`` it prints the differences; with it, it writes the actual outputs into the
pages. Without PAGE it runs all pages, and also draws the pictures.
"""

from __future__ import annotations

import argparse
import sys

from ..support import postgresql
from . import rooms
from .markdown import ROOT, pages
from .pages import run_page, updated
from .pictures import PICTURES, content, draw, update


def main() -> int:
    """Run the given pages, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the actual outputs")
    parser.add_argument("--uid", type=int, help="run as this user; needs root")
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
            for outcome in run_page(text, uid=arguments.uid):
                if outcome.difference:
                    different += 1
                    print(f"{name}, line {outcome.block.first + 1}:\n{outcome.difference}")
    if arguments.update:
        text = rooms.PATH.read_text(encoding="utf-8")
        rooms.PATH.write_text(rooms.with_map(text), encoding="utf-8")
    for picture in () if arguments.pages else PICTURES:
        if arguments.update and update(picture):
            print(f"{picture.path.relative_to(ROOT)}: drawn")
        elif not arguments.update and content(draw(picture)) != content(picture.drawn):
            different += 1
            print(f"{picture.path.relative_to(ROOT)}: differs")
    return 1 if different else 0


if __name__ == "__main__":
    postgresql.prepare()
    try:
        code = main()
    finally:
        postgresql.stop()
    sys.exit(code)
