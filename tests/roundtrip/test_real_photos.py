"""Google's weights on photos as anybody would give them: as many people as there are, nobody twice, maps of the photo itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from pycocotools import mask as coco_mask

from bottomup.cli import main
from bottomup.commands import predict
from bottomup.commands.import_weights import run as import_weights
from bottomup.loading import load
from bottomup.ops.suppression import oks
from bottomup.predictor import Look
from bottomup.skeletons import COCO

PHOTOS = "data/coco_person/val"
WEIGHTS = {
    "posenet": "weights/posenet_mobilenetv1_075_stride16/posenet.json",
    "bodypix": "weights/bodypix_mobilenetv1_050_float/model-stride16.json",
}


@pytest.fixture(scope="module")
def weights(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    made = {name: import_weights(["tfjs", str(shared / path), f"output={folder / name}"]) for name, path in WEIGHTS.items()}
    return {name: Path(told["path"]) for name, told in made.items()}


def annotated(shared: Path, names: set[str]) -> int:
    """How many people are in photos of these names, crowds apart."""
    data = json.loads((shared / "data/coco_person/annotations/person_keypoints_val.json").read_text())
    images = {image["id"] for image in data["images"] if image["file_name"] in names}
    return sum(entry["image_id"] in images and not entry["iscrowd"] for entry in data["annotations"])


@pytest.mark.parametrize("name", WEIGHTS)
def test_as_many_people_are_found_as_there_are_and_nobody_twice(
    name: str, shared: Path, weights: dict[str, Path], tmp_path: Path
) -> None:
    photos = sorted(path.name for path in (shared / PHOTOS).glob("*.jpg"))[:20]
    given = [f"weights={weights[name]}", f"images={shared / PHOTOS}", "limit=20", "draw=false"]
    assert main(["predict", *given, f"output={tmp_path}/shown"]) == 0
    assert main(["predict", *given, f"output={tmp_path}/all", "score_threshold=0"]) == 0
    found, everybody = (json.loads((tmp_path / which / "predictions.json").read_text()) for which in ("shown", "all"))
    people = annotated(shared, {*photos})
    assert 0.6 * people < len(found) < 1.3 * people < len(everybody)
    assert {record["image_id"] for record in found} <= {int(photo.removesuffix(".jpg")) for photo in photos}
    for record in found if name == "bodypix" else []:
        assert record["bbox"] == coco_mask.toBbox(record["segmentation"]).tolist()


def test_nobody_is_shown_on_top_of_somebody_alike(shared: Path, weights: dict[str, Path]) -> None:
    predictor = load("personlab", weights=weights["bodypix"])
    assert predictor.decoder.recommended.alike < 1
    for number in ("000000055528", "000000079031"):  # one person each, whom the decoder finds two and three times
        instances = predictor(shared / PHOTOS / f"{number}.jpg").instances
        points = torch.where(instances.usable(predictor.thresholds.keypoint)[..., None], instances.keypoints, torch.nan)
        alike = oks(points, points, instances.areas, instances.areas, COCO.sigmas).fill_diagonal_(0.0)
        assert float(alike.max()) <= predictor.thresholds.alike and len(instances) == 1


def test_maps_of_photos_are_those_of_the_untouched_files(
    shared: Path, weights: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit; people are found in each and drawn before its maps are."""
    looks: list[Look] = []
    monkeypatch.setattr(predict, "draw_maps", lambda look, *_: looks.append(look))
    given = [f"weights={weights['posenet']}", f"images={shared / PHOTOS}", "limit=3", "maps=true", f"output={tmp_path}"]
    assert main(["predict", *given]) == 0
    predictor = load("personlab", weights=weights["posenet"])
    photos = sorted((shared / PHOTOS).glob("*.jpg"))[:3]
    for photo, look in zip(photos, looks, strict=True):
        _, outputs, _ = predictor.maps(photo)
        assert outputs.keys() == look.outputs.keys()
        assert all(torch.equal(maps, look.outputs[key]) for key, maps in outputs.items())
        assert len(look.prediction.instances) and (tmp_path / "pictures" / f"{photo.stem}.png").is_file()
