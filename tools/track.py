"""Find people along a video, and who is who: ``bottomup track``, from a checkout."""

import sys

from bottomup.cli import main

if __name__ == "__main__":
    sys.exit(main(["track", *sys.argv[1:]]))
