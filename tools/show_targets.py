"""Draw what a method's heads are trained to predict: ``bottomup show_targets``, from a checkout."""

import sys

from bottomup.cli import main

if __name__ == "__main__":
    sys.exit(main(["show_targets", *sys.argv[1:]]))
