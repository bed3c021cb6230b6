"""List every component with its options: ``bottomup list``, from a checkout."""

import sys

from bottomup.cli import main

if __name__ == "__main__":
    sys.exit(main(["list", *sys.argv[1:]]))
