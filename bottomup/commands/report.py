"""``bottomup report``: what was measured, as Markdown, plots and one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bottomup.errors import ConfigError
from bottomup.paths import path_of, write_text
from bottomup.plan.parts import Place
from bottomup.plan.reporting import report_plan
from bottomup.report.markdown import plain
from bottomup.report.page import page
from bottomup.report.plots import plots
from bottomup.report.rows import read_results
from bottomup.report.tables import legend, markdown, table


def run(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Write report.md, plots and report.html; returns where the page lies."""
    plan = report_plan(overrides)
    if not plan.results:
        raise ConfigError("results= is missing: give the output= folder of bottomup benchmark, or a list of such")
    paths = [path_of(path) for path in plan.results]
    results = read_results(paths)
    title = plan.title
    content, drawn = page(results, title), list(plots(results))  # what is refused is refused before anything is written
    beside = paths[0].parent if paths[0].suffix == ".json" else paths[0]
    output = Place(output=plan.output or str(beside)).folder("report")
    conditions = "  \n".join(map(plain, results.conditions))  # two spaces: a new line in Markdown
    told = legend(table(results.measured)[0])
    write_text(output / "report.md", f"# {plain(title)}\n\n{conditions}\n\n{markdown(results.measured)}\n\n{told}\n")
    for name, svg in drawn:
        write_text(output / f"{name.replace(' ', '_').lower()}.svg", svg)
    path = write_text(output / "report.html", content)
    print(path)
    return {"page": str(path), "rows": len(results.measured)}
