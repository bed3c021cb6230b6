"""A published network that is made up, and a server on the loopback address that it is downloaded from."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 0.25  # of the made network
MODEL = "model-stride16.json"
_OUT = (64, 128, 128, 256, 256, *(512,) * 8)  # channels of MobileNetV1's blocks at width one
_HEADS = {"heatmap_2": 17, "offset_2": 34, "displacement_fwd_2": 32, "displacement_bwd_2": 32}


def posenet_files(shards: int = 2, seed: int = 0) -> dict[str, bytes]:
    """A PoseNet of small width with drawn weights as TF.js publishes it: a graph's JSON, and its weights in some shards."""
    random = np.random.default_rng(seed)
    nodes: list[dict[str, Any]] = []
    tensors: list[tuple[str, np.ndarray[Any, Any]]] = []

    def add(name: str, shape: tuple[int, ...], depthwise: bool = False) -> None:
        outputs = shape[2] if depthwise else shape[3]
        tensors.append((f"{name}/weights", (random.standard_normal(shape) * 0.1).astype(np.float32)))
        tensors.append((f"{name}/biases", np.zeros(outputs, np.float32)))
        kind = "DepthwiseConv2dNative" if depthwise else "Conv2D"
        nodes.append({"name": name, "op": kind, "input": ["x", f"{name}/weights"]})
        nodes.append({"name": f"{name}/bias", "op": "BiasAdd", "input": [name, f"{name}/biases"]})

    channels = int(32 * WIDTH)
    add("stem", (3, 3, 3, channels))
    for block, width in enumerate(_OUT):
        add(f"block_{block}_depthwise", (3, 3, channels, 1), depthwise=True)
        add(f"block_{block}", (1, 1, channels, int(width * WIDTH)))
        channels = int(width * WIDTH)
    for head, outputs in _HEADS.items():
        add(head, (1, 1, channels, outputs))
    data = b"".join(values.tobytes() for _, values in tensors)
    cuts = [len(data) * part // shards for part in range(shards + 1)]
    names = [f"group1-shard{part + 1}of{shards}.bin" for part in range(shards)]
    entries = [{"name": name, "shape": list(values.shape), "dtype": "float32"} for name, values in tensors]
    model = {"modelTopology": {"node": nodes}, "weightsManifest": [{"paths": names, "weights": entries}]}
    parts = {name: data[cuts[part] : cuts[part + 1]] for part, name in enumerate(names)}
    return {MODEL: json.dumps(model).encode()} | parts


def write_posenet(folder: Path) -> Path:
    """The made network's files in a folder; the path of the JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in posenet_files().items():
        (folder / name).write_bytes(content)
    return folder / MODEL


@dataclass
class Site:
    """What a server gives and how: a file in ``cut`` ends half-way that many times, each takes ``pause`` seconds."""

    files: dict[str, bytes]
    url: str = ""
    cut: Counter[str] = field(default_factory=Counter)
    pause: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)


@contextmanager
def served(site: Site) -> Iterator[Site]:
    """The site on a free port of the loopback address, whose address it then says."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            site.asked[name] += 1
            if name not in site.files:
                self.send_error(404)
                return
            content = site.files[name]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            time.sleep(site.pause)
            if site.cut[name]:
                site.cut[name] -= 1
                content = content[: len(content) // 2]
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}/published"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
