"""``bottomup predict``: every image keeps its own number, name and picture, and a broken one costs nothing but itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bottomup.cli import main
from bottomup.commands import predict
from bottomup.commands.predict import photos_of
from bottomup.compose import MODEL_KEYS, compose_model, load_config
from bottomup.engine.checkpoint import Checkpoint, save_checkpoint, versions
from bottomup.image_files import ImageReader
from bottomup.skeletons import COCO
from bottomup.types import Task

TINY = ["experiment=demo", "input_size=64", "backbone.channels=8", "backbone.growth=4"]
OPTIONS = [
    *("decoder.detection_threshold=0.0001", "decoder.fill_threshold=null"),  # even an untrained network finds somebody
    "batch_size=1",  # its maps are full of near ties, which batches of other sizes decide otherwise
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = load_config("train", TINY)
    model, _ = compose_model(config, Task(COCO))
    kept = {key: config[key] for key in MODEL_KEYS if key in config}
    checkpoint = Checkpoint(kept, Task(COCO), model.state_dict(), None, None, versions())
    return save_checkpoint(tmp_path_factory.mktemp("weights") / "best.pt", checkpoint)


def write_image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8))


def write_images(folder: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        write_image(folder / name, seed)


def run(weights: Path, images: object, output: Path, *more: str) -> int:
    return main(["predict", f"weights={weights}", f"images={images}", f"output={output}", *OPTIONS, *more])


def read(output: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    return json.loads((output / "predictions.json").read_text()), json.loads((output / "metrics.json").read_text())


def by_name(records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """What was found in each image, whatever its number."""
    found: dict[str, list[Any]] = {}
    for record in records:
        found.setdefault(record["file_name"], []).append((record["keypoints"], record["score"]))
    return found


def test_image_ids_are_places_in_the_sorted_list_across_chunks(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number}.png" for number in range(5)]
    write_images(tmp_path / "images", *names)
    assert run(weights, tmp_path / "images", tmp_path / "at_once") == 0
    monkeypatch.setattr(predict, "_CHUNK", 2)
    assert run(weights, tmp_path / "images", tmp_path / "in_chunks") == 0
    records, metrics = read(tmp_path / "in_chunks")
    assert {(record["image_id"], record["file_name"]) for record in records} == set(enumerate(names))
    assert metrics == {"images": 5, "instances": len(records), "unreadable": []}
    assert records == read(tmp_path / "at_once")[0]


def test_images_of_one_name_keep_their_own_records_and_pictures(weights: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    write_images(images, "x.png", "a/x.png", "b/x.png", "b/x.bmp")
    assert run(weights, images / "**" / "*.*", tmp_path / "all", "maps=true") == 0
    records, _ = read(tmp_path / "all")
    assert by_name(records).keys() == {"x.png", "a/x.png", "b/x.png", "b/x.bmp"}
    assert len({record["image_id"] for record in records}) == 4
    pictures = {path.name for path in (tmp_path / "all" / "pictures").iterdir()}
    assert {f"{number}_x{kind}.png" for number in range(4) for kind in ("", "_heatmap")} <= pictures
    for name in ("a/x.png", "b/x.bmp"):
        assert run(weights, images / name, tmp_path / "alone") == 0
        (alone,) = by_name(read(tmp_path / "alone")[0]).values()
        assert alone == by_name(records)[name]


def test_pictures_are_called_as_their_images_unless_two_would_share_a_name() -> None:
    apart = photos_of([Path("images/a.png"), Path("images/b.jpg")])
    assert [photo.picture for photo in apart] == ["a", "b"]
    alike = [Path("images/A.png"), Path("images/a.jpg"), Path("images/b.png"), Path("images/deep/b.png"), Path("images/0_a.png")]
    assert len({photo.picture.casefold() for photo in photos_of(alike)}) == len(alike)


def test_a_broken_image_is_named_and_the_rest_is_written(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path / "images", "a.png", "c.png", "e.png")
    assert run(weights, tmp_path / "images", tmp_path / "whole") == 0
    (tmp_path / "images" / "b.png").write_bytes(b"no picture")
    (tmp_path / "images" / "d.jpg").write_bytes(b"")
    capsys.readouterr()
    assert run(weights, tmp_path / "images", tmp_path / "broken") == 1
    said = capsys.readouterr().err
    assert "b.png: not readable" in said and "d.jpg: not readable" in said and "2 of 5 images" in said and "Traceback" not in said
    records, metrics = read(tmp_path / "broken")
    assert by_name(records) == by_name(read(tmp_path / "whole")[0])
    assert {record["image_id"] for record in records} == {0, 2, 4}
    assert (metrics["images"], metrics["unreadable"]) == (3, ["b.png", "d.jpg"])


def test_what_was_found_before_an_interruption_is_written(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path / "images", "a.png", "b.png", "c.png")
    monkeypatch.setattr(predict, "_CHUNK", 1)
    read_image = ImageReader.__call__

    def interrupted(reader: ImageReader, path: Path) -> Any:
        if path.name == "c.png":
            raise KeyboardInterrupt
        return read_image(reader, path)

    monkeypatch.setattr(ImageReader, "__call__", interrupted)
    assert run(weights, tmp_path / "images", tmp_path / "output") == 130
    assert capsys.readouterr().err == "bottomup predict: interrupted\n"
    assert by_name(read(tmp_path / "output")[0]).keys() == {"a.png", "b.png"}


def test_a_refused_call_leaves_no_folder(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["predict", f"weights={weights}", "images=nowhere"]) == 1
    assert main(["predict", f"weights={weights}", "images=[a.png,b.png]"]) == 1
    assert main(["predict", "weights=none.pt", "images=nowhere"]) == 1
    assert main(["evaluate", *TINY, "data.images=2"]) == 1  # no weights
    assert main(["evaluate", *TINY, "data.images=2", f"weights={weights}", "oracle=[heatmaps]"]) == 1
    assert not list(tmp_path.iterdir())
