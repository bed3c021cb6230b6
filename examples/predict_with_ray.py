"""People in more images than one machine holds, by Ray Data: a folder, WebDataset's shards or Parquet in, Parquet of people out.

``python examples/predict_with_ray.py outputs/demo/best.pt photos people workers=2`` finds the people of a folder's images by two
processes; ``'shards/*.tar'`` reads tar shards, ``'bytes/*.parquet'`` Parquet with the columns ``path`` and ``bytes``. ``gpus=1``
gives each process a GPU; other options are the predictor's, as ``score_threshold=0.3``. It needs ``pip install 'bottomup[ray]'``.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

import bottomup

Columns = dict[str, Any]  # of a batch of images or of people, each as long as there are such


class FindPeople:
    """Finds the people of batches of encoded images; each worker loads the model once."""

    def __init__(self, weights: str, **options: Any) -> None:
        self.predictor = bottomup.load(weights, **options)

    def __call__(self, images: Columns) -> Columns:
        """The people of images with ``path``, no two alike, and ``bytes``: one row each, keypoints and boxes xywh as COCO has them.

        An image that cannot be read is a row by itself, without a score, whose ``unreadable`` says why.
        """
        people: list[dict[str, Any]] = []
        readable: dict[str, Any] = {}
        for path, content in zip(images["path"], images["bytes"], strict=True):
            try:
                readable[path] = pixels_of(content)
            except OSError as error:
                people.append({"path": path, "score": np.nan, "keypoints": [], "bbox": [], "unreadable": str(error)})
        found = self.predictor.predict(list(readable.values()))
        for path, prediction in zip(readable, found, strict=True):
            people += [{"path": path, "unreadable": ""} | record for record in prediction.to_coco()]
        return {name: column([person[name] for person in people], kind) for name, kind in COLUMNS.items()}


COLUMNS: dict[str, type] = {"path": str, "score": float, "keypoints": list, "bbox": list, "unreadable": str}


def column(values: list[Any], kind: type) -> Any:
    """Values as a column of a batch; lists may have several lengths."""
    if kind is not list:
        return np.array(values, dtype=float if kind is float else object)
    rows = np.empty(len(values), dtype=object)
    rows[:] = [np.asarray(value, np.float64) for value in values]
    return rows


def pixels_of(content: bytes) -> Any:
    """An encoded image as (H, W, 3) uint8 RGB, upright."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def read(images: str) -> Any:
    """The rows, ``path`` and ``bytes``, of a folder, of tar shards or of Parquet."""
    import ray.data

    if images.endswith(".parquet"):
        return ray.data.read_parquet(files_of(images), columns=["path", "bytes"])
    if images.endswith(".tar"):
        return ray.data.read_webdataset(files_of(images), decoder=None).map(of_webdataset)
    return ray.data.read_binary_files(images, include_paths=True)


def files_of(pattern: str) -> list[str]:
    """The files of a pattern, by name."""
    return sorted(str(path) for path in Path(pattern).parent.glob(Path(pattern).name))


def of_webdataset(sample: Columns) -> Columns:
    """A sample of a tar shard: its key, and the file beside it that is an image."""
    kind = next(name for name in ("jpg", "jpeg", "png", "webp") if name in sample)
    return {"path": f"{sample['__key__']}.{kind}", "bytes": sample[kind]}


def main(weights: str, images: str, output: str, *options: str) -> None:
    """Find the people of all images and write them to a folder of Parquet files, which holds none yet."""
    if any(Path(output).glob("*.parquet")):
        sys.exit(f"{output} holds people already, to which Ray would add; give another folder, or remove this one")
    import ray.data

    said = dict(option.split("=", 1) for option in options)
    workers, gpus = int(said.pop("workers", 1)), float(said.pop("gpus", 0))
    device = {"device": "cuda" if gpus else "cpu"}
    found = read(images).map_batches(
        FindPeople,
        fn_constructor_args=(str(Path(weights).resolve()) if Path(weights).is_file() else weights,),
        fn_constructor_kwargs=device | {name: json.loads(value) for name, value in said.items()},
        batch_size=16,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=0.5,  # of a machine whose cores are all workers' nobody would read the images
        num_gpus=gpus,
    )
    found.write_parquet(str(Path(output).resolve()))
    print(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
