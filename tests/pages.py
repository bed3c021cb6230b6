"""The project's pages, and what stands in them to be run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RENDERED = frozenset({"reproduction.md", "defaults.md"})  # whose commands tests/test_reproduction.py tries
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
}
WRITTEN = {name: text for name, text in PAGES.items() if name.rpartition("/")[2] not in RENDERED}


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """The lines of a page's shell blocks, without their comments."""
    lines = (line.partition("  #")[0].strip() for block in blocks(text, "bash") for line in block.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def section(text: str, title: str) -> str:
    """What stands under a heading, to the next one."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]
