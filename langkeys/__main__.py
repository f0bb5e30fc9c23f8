"""Run the command line: ``python -m langkeys``."""

import sys

from langkeys.cli import main

if __name__ == "__main__":
    sys.exit(main())
