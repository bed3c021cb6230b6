"""Train a model: ``bottomup train``, from a checkout."""

import sys

from bottomup.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
