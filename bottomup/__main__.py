"""``python -m bottomup`` is the command ``bottomup``."""

import sys

from bottomup.cli import main

if __name__ == "__main__":
    sys.exit(main())
