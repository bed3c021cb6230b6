"""One HTML page with everything in it: the sortable table, the plots, and the same images through every combination."""

from __future__ import annotations

import base64
import html
import importlib.resources
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bottomup.benchmark.exhibits import EXHIBITS
from bottomup.report.plots import plots
from bottomup.report.rows import Measured
from bottomup.report.tables import left_out, table

_TEMPLATE = "page.html"


def page(measured: Sequence[Measured], title: str) -> str:
    """The page's text; pictures are within it, so the file can be sent and opened anywhere."""
    template = importlib.resources.files("bottomup.report").joinpath(_TEMPLATE).read_text()
    drawn = "\n".join(f"<figure><figcaption>{html.escape(name)}</figcaption>{svg}</figure>" for name, svg in plots(measured))
    absent = "\n".join(f"<li><b>{html.escape(name)}</b>: {html.escape(reason)}</li>" for name, reason in left_out(measured))
    parts = {
        "TITLE": html.escape(title),
        "SETTING": html.escape("; ".join(dict.fromkeys(one.setting for one in measured))),
        "ABSENT": f"<details><summary>What has no figures, and why</summary><ul>{absent}</ul></details>" if absent else "",
        "PLOTS": drawn,
        "DATA": _as_script(_data(measured)),
    }
    for name, text in parts.items():
        template = template.replace(f"<!--{name}-->", text)
    return template


def _data(measured: Sequence[Measured]) -> dict[str, Any]:
    columns, rows = table(measured)
    images: dict[str, str] = {}  # of all combinations, by image: each is in the page once
    exhibits = [_exhibits(one, images) for one in measured if (one.folder / EXHIBITS).is_file()]
    return {"table": {"columns": columns, "rows": rows}, "images": images, "exhibits": exhibits}


def _exhibits(one: Measured, images: dict[str, str]) -> dict[str, Any]:
    """A combination's people and maps on each of its images."""
    found = json.loads((one.folder / EXHIBITS).read_text())
    shown = []
    for entry in found["images"]:
        key = str(entry["image_id"])
        images.setdefault(key, _embedded(one.folder / entry["file"]))
        maps = {name: _embedded(one.folder / file) for name, file in entry["maps"].items()}
        shown.append({"image": key, "size": entry["size"], "people": entry["people"], "maps": maps})
    return {"name": one.name, "edges": found["edges"], "shown": shown}


def _embedded(path: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()


def _as_script(data: dict[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":")).replace("</", "<\\/")  # nothing in it may end the script
