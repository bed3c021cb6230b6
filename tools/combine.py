"""Join the parts of a model that were trained apart: ``bottomup combine``, from a checkout."""

import sys

from bottomup.cli import main

if __name__ == "__main__":
    sys.exit(main(["combine", *sys.argv[1:]]))
