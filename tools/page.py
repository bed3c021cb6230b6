"""Write networks and their decoders as one HTML page: ``bottomup page``, from a checkout."""

import sys

from bottomup.cli import main

if __name__ == "__main__":
    sys.exit(main(["page", *sys.argv[1:]]))
