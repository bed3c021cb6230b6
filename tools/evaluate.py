"""Evaluate a model on a data set: ``bottomup evaluate``, from a checkout."""

import sys

from bottomup.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
