"""Published networks that run by name: ``bottomup zoo``, from a checkout."""

import sys

from bottomup.cli import main

if __name__ == "__main__":
    sys.exit(main(["zoo", *sys.argv[1:]]))
