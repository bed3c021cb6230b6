"""Draw the pictures of docs/images: people as the library finds and draws them, and the page of a report.

``python benchmarks/pictures.py tags=TAGS.pt masks=MASKS.pt photo=PHOTO.pt`` draws docs/images/people.jpg. It takes checkpoints of
Associative Embedding and of PersonLab that were trained on drawn people (``experiment=demo/…``), and one that knows real people, as
BodyPix's (``bottomup import-weights``). The photo is scikit-image's astronaut, in the public domain: ``pip install scikit-image``.

``python benchmarks/pictures.py grouping=OVERFIT.pt`` draws docs/images/grouping.jpg, how masks come from tags (Associative
Embedding Fig. 5), of a checkpoint of ``experiment=overfit/associative_embedding_segmentation`` and one of the scenes that it knows.

``python benchmarks/pictures.py report=outputs/bench/report.html`` lets Chromium draw the page that ``bottomup report`` wrote, into
docs/images/report.png.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bottomup import load
from bottomup.commands.predict import tags_of
from bottomup.plan.composing import load_config
from bottomup.plan.data import DataPlan
from bottomup.predictor import Look, Predictor
from bottomup.skeletons import COCO
from bottomup.visualize import contact_sheet, draw_grouping, draw_instances, plot_tags

IMAGES = Path(__file__).parents[1] / "docs" / "images"
_SIDE = 320  # px of each panel
_QUALITY = 88  # of JPEG: 150 kB, of which a reader sees nothing
_WINDOW = (1400, 1960)  # px: the table, the plots and the first image of each combination
_REPORT_WIDTH = 1000  # px
_DRAWN = 41  # the image of the demo's test split that is shown: three people
_SCENE = 1  # of those that masks are learned of: two of each category
_METHODS = {"tags": "associative_embedding", "masks": "personlab", "photo": "personlab"}

Picture = NDArray[np.uint8]  # (H, W, 3) RGB


def main(arguments: Sequence[str]) -> None:
    """Write the picture that the arguments ask for."""
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    if given.keys() == {"report"}:
        save(IMAGES / "report.png", screenshot(Path(given["report"])))
    elif given.keys() == {"grouping"}:
        save(IMAGES / "grouping.jpg", grouping(load(given["grouping"])))
    elif given.keys() == _METHODS.keys():
        save(IMAGES / "people.jpg", draw({name: load(_METHODS[name], weights=path) for name, path in given.items()}))
    else:
        raise SystemExit(__doc__)


def save(path: Path, picture: Picture) -> None:
    """Write a small file: a JPEG, or a PNG of 64 colours."""
    image = Image.fromarray(picture)
    if path.suffix == ".png":
        image = image.quantize(64)
    image.save(path, quality=_QUALITY, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def screenshot(page: Path) -> Picture:
    """The top of a page as Chromium shows it."""
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "page.png"
        size = ",".join(map(str, _WINDOW))
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size}"]
        subprocess.run(["chromium", *options, f"--screenshot={shot}", page.resolve().as_uri()], check=True, capture_output=True)
        image = Image.open(shot).convert("RGB")
    return np.asarray(image.resize((_REPORT_WIDTH, round(_WINDOW[1] * _REPORT_WIDTH / _WINDOW[0])), Image.Resampling.LANCZOS))


def draw(predictors: Mapping[str, Predictor]) -> Picture:
    """A sheet: the photo, and a drawing with poses, masks, the tag map of one keypoint and the tags of everybody."""
    drawing = _drawing()
    tags = predictors["tags"].look(drawing)
    panels = {
        "a photo, BodyPix's weights": people(predictors["photo"], _photo()),
        "poses, Associative Embedding": people(predictors["tags"], drawing),
        "masks, PersonLab": people(predictors["masks"], drawing),
        "tags of everybody found": _tags(tags),
    }
    return contact_sheet([_fitted(panel) for panel in panels.values()], columns=4, titles=list(panels))


def grouping(predictor: Predictor) -> Picture:
    """Foreground, tags and instances of each category in a scene that the network knows."""
    options = load_config("train", ["experiment=overfit/associative_embedding_segmentation"])["data"]
    scene = DataPlan.of(options).dataset("train", _SCENE + 1).sample(_SCENE, frozenset()).pixels
    look = predictor.look(scene.transpose(1, 2, 0))
    tensors = {name: tensor[0] for name, tensor in predictor.decoder.tensors(look.outputs, look.frame).items()}
    return draw_grouping(look.image, tensors, look.frame, predictor.model.task.categories)


def people(predictor: Predictor, image: Picture) -> Picture:
    """Who is found in an image, drawn over it at the size of a panel."""
    scale = _SIDE / max(image.shape)
    matrix = np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]])
    found = predictor(image).instances.transform(matrix)
    return draw_instances(_fitted(image).transpose(2, 0, 1), found, COCO, keypoint_threshold=predictor.thresholds.keypoint)


def _tags(look: Look) -> Picture:
    instances = look.prediction.instances.transform(look.to_frame)
    return plot_tags(tags_of(instances, look.outputs["tags"][0], look.frame.grids["tags"]), COCO)


def _fitted(picture: Picture) -> Picture:
    """A picture whose longer side is that of a panel."""
    scale = _SIDE / max(picture.shape)
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def _drawing() -> Picture:
    """An image of the demo's test split."""
    options = load_config("train", ["experiment=demo/associative_embedding"])["data"]
    dataset = DataPlan.of(options | {"split": "test"}).dataset("val")
    return dataset.sample(_DRAWN, frozenset()).pixels.transpose(1, 2, 0)


def _photo() -> Picture:
    from skimage import data

    return np.asarray(data.astronaut(), np.uint8)


if __name__ == "__main__":
    main(sys.argv[1:])
