"""``bottomup report``: what was measured, as Markdown, plots and one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bottomup.errors import ConfigError
from bottomup.report.page import page
from bottomup.report.plots import plots
from bottomup.report.rows import read_rows
from bottomup.report.tables import markdown
from bottomup.types import write_text


def run(config: dict[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Write report.md, plots and report.html; returns where the page lies."""
    if not config["results"]:
        raise ConfigError("results= is missing: give the output= folder of bottomup benchmark, or a list of such")
    folders = [config["results"]] if isinstance(config["results"], str) else list(config["results"])
    measured = read_rows([Path(folder) for folder in folders])
    output = Path(config["output"] or folders[0])
    write_text(output / "report.md", f"# {config['title']}\n\n{markdown(measured)}\n")
    for name, svg in plots(measured):
        write_text(output / f"{name.replace(' ', '_').lower()}.svg", svg)
    path = write_text(output / "report.html", page(measured, str(config["title"])))
    print(path)
    return {"page": str(path), "rows": len(measured)}
