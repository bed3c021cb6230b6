"""Render what was measured: ``bottomup report``, from a checkout."""

import sys

from bottomup.cli import main

if __name__ == "__main__":
    sys.exit(main(["report", *sys.argv[1:]]))
