"""One HTML file of networks, a runtime, scripts and example pictures, which opens from a disk and reads nothing else."""

from __future__ import annotations

import base64
import gzip
import html
import importlib.resources
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bottomup.errors import ConfigError
from bottomup.page.networks import PageNetwork
from bottomup.page.onnxruntime_web import VERSION, OnnxruntimeWeb
from bottomup.runtime.pictures import pixels_of
from bottomup.version import __version__

SCRIPTS = Path(str(importlib.resources.files("bottomup.page"))) / "scripts"

_NAMED = "bottomup/"  # before the scripts' names within the page
_RELATIVE = re.compile(r'(?<=from ")(\.{1,2}/[\w./]+)(?=";)')
_PICTURES = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp"}  # which every browser reads
_MEGABYTE = 1e6
# Letters of base 85 that mean something in HTML, as two that it does not use; scripts/unpacking.js.
_HARMLESS = str.maketrans("<&", ",.")
# Nothing may be fetched: scripts are the page's own, WebAssembly among them, pictures those that are given to it.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob: data:; style-src 'unsafe-inline'; "
    "img-src blob: data:; media-src blob:; base-uri 'none'; form-action 'none'"
)


def assemble(networks: Sequence[PageNetwork], runtime: OnnxruntimeWeb, title: str, examples: Sequence[Path] = ()) -> str:
    """The page's text.

    ``examples`` are pictures that it offers, as ``check_examples`` lets pass.
    """
    check_examples(examples)
    files = {"onnxruntime-module": runtime.module, "onnxruntime-wasm": runtime.wasm}
    files |= {f"network-{index}": network.onnx for index, network in enumerate(networks)}
    folder = importlib.resources.files("bottomup.page")
    parts = {
        "POLICY": _POLICY,
        "TITLE": html.escape(title),
        "STYLE": folder.joinpath("page.css").read_text().rstrip(),
        "EXAMPLES": "".join(map(_example, examples)),
        "ABOUT": _about(networks),
        "DATA": _as_json({"networks": [_said(network) for network in networks]}),
        "FILES": "\n".join(_packed(name, content) for name, content in files.items()),
        "MODULES": _as_json({"imports": modules()}),
    }
    return re.sub(r"<!--([A-Z]+)-->", lambda found: parts[found[1]], folder.joinpath("page.html").read_text())


def modules() -> dict[str, str]:
    """The page's scripts by the names under which they import each other, as addresses that hold them."""
    found = {}
    for file in sorted(SCRIPTS.rglob("*.js")):
        place = file.relative_to(SCRIPTS)
        text = _RELATIVE.sub(lambda match, place=place: _NAMED + _joined(place.parent, match[1]), file.read_text())  # type: ignore[misc]
        found[_NAMED + place.as_posix()] = "data:text/javascript;base64," + base64.b64encode(text.encode()).decode()
    return found


def _joined(folder: Path, relative: str) -> str:
    """What a script in a folder imports, as a path below all scripts."""
    return (SCRIPTS / folder / relative).resolve().relative_to(SCRIPTS.resolve()).as_posix()


def _said(network: PageNetwork) -> Mapping[str, object]:
    """What the page is told of a network."""
    contract = json.loads(network.contract.to_json())
    return {"name": network.name, "weights": network.weights, "options": network.options, "contract": contract}


def _packed(name: str, content: bytes) -> str:
    """A file as a script tag that no browser runs, of five letters for four bytes, a sixteenth less than base64.

    The same content always gives the same text.
    """
    zipped = gzip.compress(content, compresslevel=9, mtime=0)
    padded = zipped + bytes(-len(zipped) % 4)
    letters = base64.b85encode(padded).decode().translate(_HARMLESS)
    return f'<script id="{name}" type="text/plain" data-bytes="{len(zipped)}">{letters}</script>'


def check_examples(examples: Sequence[Path]) -> None:
    """Raise ConfigError for a picture that is not JPEG, PNG or WebP, and DataError for one that cannot be read."""
    for path in examples:
        if path.suffix.lower() not in _PICTURES:
            raise ConfigError(f"images: {path} is no picture that every browser reads; give {', '.join(_PICTURES)}")
        pixels_of(path)


def _example(path: Path) -> str:
    source = f"data:image/{_PICTURES[path.suffix.lower()]};base64,{base64.b64encode(path.read_bytes()).decode()}"
    name = html.escape(path.name)
    return f'<button type="button" title="{name}"><img src="{source}" alt="{name}"></button>'


def _about(networks: Sequence[PageNetwork]) -> str:
    """What the page consists of, and under which licences."""
    sizes = ", ".join(f"{html.escape(network.name)} {len(network.onnx) / _MEGABYTE:.1f} MB" for network in networks)
    return (
        f"Made by bottomup {__version__} (Apache-2.0), with ONNX Runtime Web {VERSION} (© Microsoft Corporation, MIT licence). "
        f"Networks: {sizes}; each under the licence of its weights."
    )


def _as_json(data: object) -> str:
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")  # nothing in it may end the script
