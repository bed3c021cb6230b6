"""Results as bottomup benchmark writes them, made up, and a browser to open their page in."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bottomup.benchmark.exhibits import EXHIBITS
from bottomup.benchmark.results import write_result

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")

_OFFLINE = ("background-networking", "component-update", "sync", "quic", "gpu")


def row(name: str, figures: dict[str, float | None] | None = None, ms: float | None = 10.0, **changed: Any) -> dict[str, Any]:
    """A combination that was measured."""
    return {
        "name": name, "folder": name.replace(" ", "_"), "choices": {"cell": name}, "device": "cpu", "status": "measured",
        "reason": "", "figures": {"AP": 0.5} if figures is None else figures, "spread": {}, "oracle": {}, "grouping": {},
        "training": None, "latency": {"total": {"p50_ms": ms, "p90_ms": ms}}, "parameters": {"b": 1000}, "images_per_second": {},
        "peak_mebibytes": None, "gigamacs": None, "training_images_per_second": None,
    } | changed  # fmt: skip


def refused(name: str, reason: str) -> dict[str, Any]:
    """A combination that does not compose."""
    return row(name, {}, status="refused", reason=reason, latency={}, parameters={})


def written(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """A folder with the benchmark of these rows."""
    write_result(folder / "benchmark.json", "benchmark", {}, rows)
    return folder


def show(folder: Path, grey: int, ids: Sequence[int] = (1,), maps: Sequence[str] = (), scores: Sequence[Any] = (1.0,)) -> None:
    """Images, each of a grey level of its own from ``grey`` on, and the people and maps that a combination has of them."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = []
    for level, image_id in enumerate(ids, grey):
        for name in (str(image_id), *(f"{image_id}_{kind}" for kind in maps)):
            cv2.imwrite(str(folder / f"{name}.jpg"), np.full((8, 8, 3), level, np.uint8))
        people = [{"score": score, "keypoints": [[1, 1, 1], [5, level, 1]], "outlines": []} for score in scores]
        files = {kind: f"{image_id}_{kind}.jpg" for kind in maps}
        shown.append({"image_id": image_id, "file": f"{image_id}.jpg", "maps": files, "size": [8, 8], "people": people})
    (folder / EXHIBITS).write_text(json.dumps({"edges": [[0, 1]], "images": shown}))


def told_by_browser(content: str, folder: Path, script: str) -> Any:
    """What ``script``, a function's body that runs after the page's own scripts, returns."""
    told = f"<script>document.body.append(element('pre', {{ id: 'told' }}, JSON.stringify((() => {{ {script} }})())));</script>"
    page = folder / "told.html"
    page.write_text(content.replace("</html>", f"{told}</html>"))
    options = ["--headless", "--no-sandbox", "--no-first-run", f"--user-data-dir={folder}/profile", "--dump-dom"]
    options += [f"--disable-{what}" for what in _OFFLINE]
    done = subprocess.run([str(BROWSER), *options, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, "the page's scripts ended with an error"
    return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
