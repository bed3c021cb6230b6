"""One HTML page with everything in it: the sortable table, the plots, and the same images through every combination."""

from __future__ import annotations

import base64
import hashlib
import html
import importlib.resources
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bottomup.benchmark.exhibits import EXHIBITS
from bottomup.errors import ConfigError
from bottomup.report.checks import all_printable, check_exhibits, check_picture, plain_name
from bottomup.report.plots import plots
from bottomup.report.rows import Measured, Results
from bottomup.report.tables import left_out, meanings, table

_TEMPLATE = "page.html"


def page(results: Results, title: str) -> str:
    """The page's text; pictures are within it, so the file can be sent and opened anywhere."""
    template = importlib.resources.files("bottomup.report").joinpath(_TEMPLATE).read_text()
    parts = {
        "TITLE": html.escape(title),
        "CONDITIONS": "<br>".join(html.escape(line) for line in results.conditions),
        "ABSENT": _absent(results.measured),
        "PLOTS": _drawn(results),
        "DATA": _as_script(_data(results.measured)),
    }
    for name, text in parts.items():
        template = template.replace(f"<!--{name}-->", text)
    return template


def _drawn(results: Results) -> str:
    figures = "\n".join(f"<figure><figcaption>{html.escape(name)}</figcaption>{svg}</figure>" for name, svg in plots(results))
    return f'<h2>Plots</h2>\n<div class="plots">\n{figures}\n</div>' if figures else ""


def _absent(measured: Sequence[Measured]) -> str:
    reasons = [(html.escape("; ".join(names)), html.escape(reason)) for reason, names in left_out(measured)]
    lines = "\n".join(f"<li><b>{names}</b>: {reason}</li>" for names, reason in reasons)
    return f"<details><summary>What has no figures, and why</summary><ul>{lines}</ul></details>" if lines else ""


def _data(measured: Sequence[Measured]) -> dict[str, Any]:
    columns, rows = table(measured)
    images: dict[str, dict[str, str]] = {}  # of all combinations, by content: each is in the page once
    exhibits = [_exhibits(one, images) for one in measured if one.there and (one.folder / EXHIBITS).is_file()]
    shown = {"columns": columns, "meanings": meanings(columns), "rows": rows}
    return {"table": shown, "images": images, "exhibits": exhibits}


def _exhibits(one: Measured, images: dict[str, dict[str, str]]) -> dict[str, Any]:
    """A combination's people and maps on each of its images, which join ``images``."""
    file = one.folder / EXHIBITS
    try:
        found = all_printable(json.loads(file.read_bytes(), parse_constant=lambda _: None))  # browsers read no NaN
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: should be JSON, but {error}; remove it to have a page without its images") from error
    check_exhibits(found, str(file))
    shown = []
    for entry in found["images"]:
        source = _embedded(one.folder, entry["file"])
        key = hashlib.sha256(source.encode()).hexdigest()[:16]
        if key not in images:
            images[key] = {"label": _label(str(entry["image_id"]), images), "source": source}
        maps = {name: _embedded(one.folder, file) for name, file in entry["maps"].items()}
        shown.append({"image": key, "size": entry["size"], "people": entry["people"], "maps": maps})
    return {"name": one.name, "edges": found["edges"], "thresholds": found.get("thresholds", {}), "shown": shown}


def _label(image_id: str, images: dict[str, dict[str, str]]) -> str:
    """What a new image is called: its id, numbered where another one has that."""
    taken = {image["label"] for image in images.values()}
    label, number = image_id, 1
    while label in taken:
        number += 1
        label = f"{image_id} ({number})"
    return label


def _embedded(folder: Path, name: str) -> str:
    """A picture of a folder as part of the page; ConfigError for what lies elsewhere or is none."""
    path = folder / plain_name(name, f"{folder / EXHIBITS}: file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: a picture that {path.parent / EXHIBITS} names, not readable ({error.strerror})") from error
    check_picture(content, path)
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()


def _as_script(data: dict[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")  # nothing in it may end the script
