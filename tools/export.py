"""Write network and decoder as one file: ``bottomup export``, from a checkout."""

import sys

from bottomup.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
