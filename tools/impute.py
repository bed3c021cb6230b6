"""Give people without annotated keypoints those that a network finds: ``bottomup impute``, from a checkout."""

import sys

from bottomup.cli import main

if __name__ == "__main__":
    sys.exit(main(["impute", *sys.argv[1:]]))
