"""The lowest versions that pyproject.toml allows of what the library, its extras and its tests import, as constraints for pip."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

TOOLS = frozenset({"dev", "docs"})  # which neither the library nor its tests import
BOUND = re.compile(r"([\w.-]+)(?:\[[^]]*\])?\s*(?:>=|==)\s*([\w.]+)")


def constraints(pyproject: Path) -> list[str]:
    """``name==version`` of every requirement that states its lowest version."""
    project = tomllib.loads(pyproject.read_text())["project"]
    extras = [line for name, lines in project["optional-dependencies"].items() if name not in TOOLS for line in lines]
    return [f"{found[1]}=={found[2]}" for line in (*project["dependencies"], *extras) if (found := BOUND.match(line))]


if __name__ == "__main__":
    sys.stdout.write("\n".join(constraints(Path(__file__).resolve().parent.parent / "pyproject.toml")) + "\n")
