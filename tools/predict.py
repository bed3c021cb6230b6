"""Find people in an image, a folder or a glob: ``bottomup predict``, from a checkout."""

import sys

from bottomup.cli import main

if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
