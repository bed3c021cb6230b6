"""The page of ``bottomup page`` in Chromium beside Python: whom each finds, how large the page is, and how long it takes.

``python benchmarks/page.py photos=FOLDER weights=FILE,FILE,… [page=FILE.html]`` makes the page of the
checkpoints (or takes one of them that was made before), opens it from the disk in a browser without a network, and gives it photos
as they are, the same photos as PNG, and drawn people as PNG. Every network's people are compared with those of ``bottomup.load``.
It writes ``benchmarks/results/page.json``, and what the page looks like into ``docs/images/page.jpg``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.browser import Browser  # noqa: E402
from bottomup.benchmark.results import Row, circumstances, write_result  # noqa: E402
from bottomup.commands.page import run  # noqa: E402
from bottomup.data.synthetic import Synthetic  # noqa: E402
from bottomup.grouping.found import Found  # noqa: E402
from bottomup.images import find_images  # noqa: E402
from bottomup.loading import load  # noqa: E402
from bottomup.runtime.pictures import pixels_of  # noqa: E402
from bottomup.types import Prediction  # noqa: E402

RESULT = Path(__file__).parent / "results" / "page.json"
PICTURE = ROOT / "docs" / "images" / "page.jpg"
PHOTOS, DRAWN = 16, 16  # how many of each
WITHIN = 0.1  # px of the picture

_DRAWN: dict[str, Any] = {  # as experiment=demo/… trains on them, in twice as many px
    "size": 256, "people": (2, 3), "height": (0.65, 0.95), "overlap": 0.0, "inside": (0.25, 0.47), "occluders": 0.0, "turned": 0.15,
    "lying": 0.0,
}  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Measure, and write what was measured."""
    given = dict(argument.split("=", 1) for argument in arguments)
    if not {"photos", "weights"} <= given.keys():
        raise SystemExit(__doc__)
    weights = given["weights"].split(",")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(given.get("page") or run([f"weights=[{','.join(weights)}]", f"output={folder}/page.html"])["path"])
        kinds = pictures(find_images(given["photos"])[:PHOTOS], Path(folder))
        with Browser.opened(page) as browser:
            browser.wait("document.body.dataset.ready")
            ready = float(browser.value("document.body.dataset.ready")) / 1e3
            sizes = browser.value("[...document.querySelectorAll('figure select')].map((one) => one.value)")
            found = {kind: [seen(browser, file) for file in files] for kind, files in kinds.items()}
            told = {"megabytes": page.stat().st_size / 1e6, "ready_s": ready, "requests": len(browser.requests)}
            told |= {"browser": browser.ask("Browser.getVersion")["product"], "within": WITHIN}
            PICTURE.write_bytes(portrait(browser, kinds["drawn people"][1]))
        rows = [row(index, name, kinds, found, int(sizes[index])) for index, name in enumerate(weights)]
    write_result(RESULT, "page", told, [one | dict(circumstances("cpu")) for one in rows])
    print(told, *rows, sep="\n")


def pictures(photos: Sequence[Path], folder: Path) -> dict[str, list[Path]]:
    """Photos as they are, the same pixels as PNG, and drawn people."""
    kinds: dict[str, list[Path]] = {"photos": list(photos), "photos as PNG": [], "drawn people": []}
    for photo in photos:
        kinds["photos as PNG"].append(_written(folder / f"{photo.stem}.png", pixels_of(photo)[..., ::-1]))
    drawn = Synthetic(split="val", images=DRAWN, **_DRAWN)
    for index in range(DRAWN):
        pixels = np.ascontiguousarray(np.asarray(drawn.sample(index, frozenset()).image).transpose(1, 2, 0)[..., ::-1])
        kinds["drawn people"].append(_written(folder / f"drawn_{index}.png", pixels))
    return kinds


def _written(path: Path, pixels: Any) -> Path:
    cv2.imwrite(str(path), pixels)
    return path


def seen(browser: Browser, file: Path) -> list[dict[str, Any]]:
    """What each network of the page finds in a picture: ``people`` and ``ms``."""
    before = browser.value("document.body.dataset.seen ?? ''")
    browser.give("#file", file)
    browser.wait(f"(document.body.dataset.seen ?? '') !== {json.dumps(before)}")
    one = "{people: JSON.parse(one.querySelector('.json').textContent), ms: Number(one.dataset.ms)}"
    return list(browser.value(f"[...document.querySelectorAll('figure')].map((one) => ({one}))"))


def portrait(browser: Browser, picture: Path) -> bytes:
    """The page with drawn people, a JPEG; networks that see photos at 513 px know them at half of that."""
    browser.value("document.querySelectorAll('figure select').forEach((one) => { if (one.value > 512) one.value = 257; })")
    seen(browser, picture)
    browser.resize((1280, 860))
    return browser.photograph(kind="jpeg")


def row(index: int, weights: str, kinds: dict[str, list[Path]], found: dict[str, list[Any]], size: int) -> Row:
    """One network, seen at a ``size``: of each kind of pictures how many people there are, how many differ, and by how much, px."""
    predictor, figures = load(weights, input_size=size), {}
    for kind, files in kinds.items():
        pairs: list[float] = []
        count, python_ms = 0, []
        for file, networks in zip(files, found[kind], strict=True):
            start = time.perf_counter()
            prediction: Prediction = predictor(file)
            python_ms.append(1e3 * (time.perf_counter() - start))
            count += len(prediction.instances)
            pairs += apart(prediction.instances.found(), networks[index]["people"])
        near = [px for px in pairs if px <= WITHIN]
        figures[kind] = {
            "pictures": len(files), "people": count, "differ": len(pairs) - len(near), "px": max(near, default=0.0),
            "ms": median(networks[index]["ms"] for networks in found[kind]), "python_ms": median(python_ms),
        }  # fmt: skip
    return {"name": Path(weights).parent.name, "input_size": size, "figures": figures}


def apart(ours: Found, theirs: Sequence[dict[str, Any]]) -> list[float]:
    """Of each person, of whichever there are more, how far the furthest keypoint is from the nearest other's; infinite without."""
    other = [np.array(one["keypoints"], float) for one in theirs]
    left = list(ours.keypoints.astype(float))
    distances = []
    for points in other:
        far = [_furthest(points, own) for own in left]
        nearest = int(np.argmin(far)) if far else -1
        distances.append(far[nearest] if far else float("inf"))
        if far:
            left.pop(nearest)
    return distances + [float("inf")] * len(left)


def _furthest(one: Any, other: Any) -> float:
    if (np.isnan(one) != np.isnan(other)).any():
        return float("inf")
    return float(np.nan_to_num(np.abs(one - other)).max(initial=0.0))


if __name__ == "__main__":
    main(sys.argv[1:])
