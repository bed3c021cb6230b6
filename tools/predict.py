"""Find people in images, folders and videos: ``bottomup predict``, from a checkout."""

import sys

from bottomup.cli import main

if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
