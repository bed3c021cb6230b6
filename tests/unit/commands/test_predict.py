"""``bottomup predict``: every image keeps its own number, name and picture, and a broken one costs nothing but itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from PIL import Image as Pillow
from pycocotools.coco import COCO as CocoFile

from bottomup import load
from bottomup.cli import main
from bottomup.commands import predict
from bottomup.commands.photos import photos_of
from bottomup.data.synthetic import Synthetic
from bottomup.image_files import ImageReader
from bottomup.model import PoseModel
from bottomup.predictor import Look, Predictor
from bottomup.skeletons import COCO
from bottomup.visualize import draw_outputs
from tests.coco_folders import untrained

TINY = ["experiment=demo/associative_embedding", "input_size=64", "backbone.channels=8", "backbone.growth=4"]
OPTIONS = [
    *("decoder.detection_threshold=0.0001", "decoder.fill_threshold=null"),  # even an untrained network finds somebody
    "score_threshold=0",  # whom nobody would recommend to show
    "batch_size=1",  # its maps are full of near ties, which batches of other sizes decide otherwise
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("weights"))


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
    names = [f"{letter}.png" for letter in "abcde"]
    write_images(tmp_path / "images", *names)
    assert run(weights, tmp_path / "images", tmp_path / "at_once") == 0
    monkeypatch.setattr(predict, "_CHUNK", 2)
    assert run(weights, tmp_path / "images", tmp_path / "in_chunks") == 0
    records, metrics = read(tmp_path / "in_chunks")
    assert {(record["image_id"], record["file_name"]) for record in records} == set(enumerate(names))
    assert (metrics["images"], metrics["instances"], metrics["unreadable"]) == (5, len(records), [])
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
        output = tmp_path / "alone" / name
        assert run(weights, images / name, output) == 0
        (alone,) = by_name(read(output)[0]).values()
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


FORMS = {"coco": "json", "jsonl": "jsonl", "parquet": "parquet"}


def read_as(form: str, output: Path) -> bytes:
    return (output / f"predictions.{FORMS[form]}").read_bytes()


def test_an_interrupted_run_goes_on_and_is_the_uninterrupted_one(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever ended it: what it left is whole lines, and half of one where it was killed while it wrote."""
    write_images(tmp_path / "images", *(f"{letter}.png" for letter in "abcdefg"))
    monkeypatch.setattr(predict, "_CHUNK", 2)
    batched = ["format=jsonl", "batch_size=2", "draw=false"]
    assert run(weights, tmp_path / "images", tmp_path / "whole", *batched) == 0
    read_image, seen = ImageReader.__call__, list[str]()

    def interrupted(reader: ImageReader, path: Path) -> Any:
        if path.name == "f.png":
            raise KeyboardInterrupt
        return read_image(reader, path)

    def noted(reader: ImageReader, path: Path) -> Any:
        seen.append(path.name)
        return read_image(reader, path)

    monkeypatch.setattr(ImageReader, "__call__", interrupted)
    capsys.readouterr()
    halves = tmp_path / "halves"
    assert run(weights, tmp_path / "images", halves, *batched) == 130
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith(f"4 of 7 images done; resume=true output={halves} goes on with the others")
    assert said[1:] == ["bottomup predict: interrupted"] and not list(halves.glob("predictions.*"))
    (part,) = (halves / "parts").iterdir()
    part.write_bytes(part.read_bytes()[:-9])
    monkeypatch.setattr(ImageReader, "__call__", noted)
    assert run(weights, tmp_path / "images", halves, *batched) == 1
    assert "holds an interrupted run; go on with it by resume=true" in capsys.readouterr().err
    assert run(weights, tmp_path / "images", halves, *batched, "resume=true", "batch_size=1") == 1
    assert "holds a run with batch_size=2" in capsys.readouterr().err and not seen
    assert run(weights, tmp_path / "images", halves, *batched, "resume=true") == 0
    assert seen == ["c.png", "d.png", "e.png", "f.png", "g.png"]  # d's line was torn; c was seen beside it
    assert read_as("jsonl", halves) == read_as("jsonl", tmp_path / "whole")
    assert run(weights, tmp_path / "images", halves, *batched, "resume=true") == 0 and len(seen) == 5  # nothing is missing
    assert not (halves / "parts").exists()


def test_a_run_goes_on_with_the_images_that_it_began_with_alone(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path / "images", "b.png", "c.png")
    with monkeypatch.context() as patched:
        patched.setattr(predict, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert run(weights, tmp_path / "images", tmp_path / "out") == 130
    write_images(tmp_path / "images", "a.png")
    assert run(weights, tmp_path / "images", tmp_path / "out", "resume=true") == 1
    assert "holds what was found in b.png, and images= has other images now" in capsys.readouterr().err
    assert run(weights, tmp_path / "images", tmp_path / "out", "resume=true", "overwrite=true") == 1
    assert run(weights, tmp_path / "images", tmp_path / "out", "overwrite=true") == 0
    assert read(tmp_path / "out")[1]["images"] == 3


def test_what_was_found_in_some_images_never_passes_for_what_others_show(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path / "images", "b.png", "c.png")
    assert run(weights, tmp_path / "images", tmp_path / "out") == 0
    (tmp_path / "images" / "c.png").rename(tmp_path / "images" / "d.png")
    assert run(weights, tmp_path / "images", tmp_path / "out", "resume=true") == 1
    assert "images of other names than those of images= now" in capsys.readouterr().err


def test_all_forms_hold_the_same(weights: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_images(tmp_path / "images", "a.png", "b.png")
    (tmp_path / "images" / "none.png").write_bytes(b"no picture")
    for form in FORMS:
        assert run(weights, tmp_path / "images", tmp_path / form, f"format={form}") == 1
    records = json.loads(read_as("coco", tmp_path / "coco"))
    lines = [json.loads(line) for line in read_as("jsonl", tmp_path / "jsonl").splitlines()]
    rows = parquet.read_table(tmp_path / "parquet" / "predictions.parquet").to_pylist()
    assert [(line["image_id"], line["file_name"], line["height"], line["width"]) for line in lines] == [
        (0, "a.png", 48, 64),
        (1, "b.png", 48, 64),
    ]
    assert records == [record | {"file_name": line["file_name"]} for line in lines for record in line["instances"]]
    assert records == [{name: value for name, value in row.items() if value is not None} for row in rows] != []
    assert read_as("coco", tmp_path / "coco").decode() == json.dumps(records, indent=1)


def test_parquet_without_its_package_is_refused_before_anything_is_predicted(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    write_images(tmp_path / "images", "a.png")
    assert run(weights, tmp_path / "images", tmp_path / "out", "format=parquet") == 1
    assert "needs pyarrow; pip install 'bottomup[parquet]'" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert run(weights, tmp_path / "images", tmp_path / "out", "format=onnx") == 1
    assert "known: coco, jsonl, parquet" in capsys.readouterr().err


def test_a_refused_call_leaves_no_folder(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["predict", f"weights={weights}", "images=nowhere"]) == 1
    assert main(["predict", f"weights={weights}", "images=[a.png,b.png]"]) == 1
    assert main(["predict", "weights=none.pt", "images=nowhere"]) == 1
    assert main(["evaluate", *TINY, "data.images=2"]) == 1  # no weights
    assert main(["evaluate", *TINY, "data.images=2", f"weights={weights}", "oracle=[heatmaps]"]) == 1
    assert not list(tmp_path.iterdir())


def predictor_of(weights: Path, **options: Any) -> Predictor:
    return load("associative_embedding", weights=weights, overrides=OPTIONS[:2], **options)


@pytest.mark.parametrize("views", ["maps", "instances"])
def test_maps_are_those_of_the_image_as_it_is_and_the_network_runs_once(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: str
) -> None:
    """Whoever is drawn on it; with maps and without the network sees an image in each of its views once."""
    write_images(tmp_path / "images", "a.png", "b.png", "c.png")
    runs, looks = [0], list[Look]()
    forward, draw_maps = PoseModel.forward, predict.draw_maps

    def counted(model: PoseModel, *images: Any, **options: Any) -> Any:
        runs[0] += 1
        return forward(model, *images, **options)

    def noted(look: Look, *rest: Any) -> None:
        looks.append(look)
        draw_maps(look, *rest)

    monkeypatch.setattr(PoseModel, "forward", counted)
    monkeypatch.setattr(predict, "draw_maps", noted)
    seen = ["scales=[1,0.5]", f"views={views}"]
    assert run(weights, tmp_path / "images", tmp_path / "with", "maps=true", *seen) == 0
    assert runs == [3 * 2] and len(looks) == 3
    assert run(weights, tmp_path / "images", tmp_path / "without", *seen) == 0
    assert runs == [2 * 3 * 2]
    assert read(tmp_path / "with")[0] == read(tmp_path / "without")[0] != []
    predictor = predictor_of(weights, scales=[1, 0.5], views=views)
    for name, look in zip("abc", looks, strict=True):
        image, outputs, frame = predictor.maps(tmp_path / "images" / f"{name}.png")
        np.testing.assert_array_equal(look.image, image)
        assert look.outputs.keys() == outputs.keys() and all(torch.equal(look.outputs[key], outputs[key]) for key in outputs)
        for kind, picture in draw_outputs(image, outputs, frame, COCO).items():
            written = cv2.imread(str(tmp_path / "with" / "pictures" / f"{name}_{kind}.png"))[..., ::-1]
            np.testing.assert_array_equal(written, picture)


def test_an_array_of_one_s_own_is_not_painted_on(weights: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    before = pixels.copy()
    look = predictor_of(weights, score_threshold=0.0).look(pixels)
    assert len(look.prediction.instances)
    predict.draw_instances(pixels.transpose(2, 0, 1), look.prediction.instances, COCO)
    np.testing.assert_array_equal(pixels, before)


def test_instances_of_a_low_score_are_neither_written_nor_drawn(weights: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "images", "a.png", "b.png")
    assert run(weights, tmp_path / "images", tmp_path / "all") == 0
    everybody, _ = read(tmp_path / "all")
    least = sorted(record["score"] for record in everybody)[len(everybody) // 2]
    more = f"score_threshold={least}"
    assert run(weights, tmp_path / "images", tmp_path / "some", more) == 0
    assert read(tmp_path / "some")[0] == [record for record in everybody if record["score"] >= least]
    assert run(weights, tmp_path / "images", tmp_path / "nobody", "score_threshold=0.99") == 0
    assert read(tmp_path / "nobody")[0] == []
    for name in ("a.png", "b.png"):
        drawn = cv2.imread(str(tmp_path / "nobody" / "pictures" / name))
        np.testing.assert_array_equal(drawn, cv2.imread(str(tmp_path / "images" / name)))


def test_commands_and_load_take_what_the_decoder_recommends_unless_told_otherwise(weights: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "images", "a.png")
    recommended = predictor_of(weights)
    assert recommended.thresholds == recommended.decoder.recommended
    own = predictor_of(weights, score_threshold=0.0, keypoint_threshold=0.7).thresholds
    assert (own.score, own.keypoint, own.alike) == (0.0, 0.7, recommended.thresholds.alike)
    assert main(["predict", f"weights={weights}", f"images={tmp_path}/images", f"output={tmp_path}/out", *OPTIONS[:2]]) == 0
    assert len(recommended(tmp_path / "images" / "a.png").instances) == len(read(tmp_path / "out")[0])
    told = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert (told["score_threshold"], told["keypoint_threshold"]) == (0.15, 0.15)


def test_a_data_set_is_judged_by_everybody(weights: Path) -> None:
    dataset = Synthetic(split="val", images=4, size=64)
    for least in (0.0, 0.9):
        found = dict(predictor_of(weights, score_threshold=least).predict_dataset(dataset))
        assert sum(len(prediction.instances) for prediction in found.values()) > 4


def test_results_of_a_test_split_have_its_ids_and_pycocotools_reads_them(weights: Path, tmp_path: Path) -> None:
    """COCO's image_info files list images without annotations, and not every image of the folder."""
    write_images(tmp_path / "images", "000000000001.png", "000000000002.png", "000000000003.png")
    listed = [{"id": 70 + n, "file_name": f"00000000000{n}.png", "height": 48, "width": 64} for n in (1, 3)]
    info = tmp_path / "image_info_test-dev.json"
    info.write_text(json.dumps({"images": listed, "categories": [{"id": 1, "name": "person"}]}))
    assert run(weights, tmp_path / "images", tmp_path / "out", f"image_info={info}", "draw=false") == 0
    records, metrics = read(tmp_path / "out")
    assert {(record["image_id"], record["file_name"]) for record in records} == {
        (71, listed[0]["file_name"]),
        (73, listed[1]["file_name"]),
    }
    assert metrics["images"] == 2 and not (tmp_path / "out" / "pictures").exists()
    info.write_text(json.dumps({"images": listed, "annotations": [], "categories": [{"id": 1, "name": "person"}]}))
    results = CocoFile(str(info)).loadRes(str(tmp_path / "out" / "predictions.json"))
    assert sorted(results.getImgIds()) == [71, 73] and len(results.getAnnIds()) == len(records)


def test_listed_images_are_read_as_stored_which_annotations_refer_to(weights: Path, tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # a camera held upright
    (tmp_path / "images").mkdir()
    Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)).save(
        tmp_path / "images" / "5.jpg", exif=exif
    )
    info = tmp_path / "info.json"
    images = [{"id": 9, "file_name": "5.jpg", "height": 48, "width": 64}]
    info.write_text(json.dumps({"images": images, "annotations": [], "categories": [{"id": 1, "name": "person"}]}))
    for more, size in (([], (64, 48)), ([f"annotations={info}"], (48, 64))):
        assert run(weights, tmp_path / "images", tmp_path / "out", "overwrite=true", *more) == 0
        assert cv2.imread(str(tmp_path / "out" / "pictures" / "5.png")).shape[:2] == size


def test_pictures_are_told_of_where_there_are_some(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path / "images", "a.png")
    for folder, draw in (("drawn", True), ("bare", False)):
        assert run(weights, tmp_path / "images", tmp_path / folder, f"draw={draw}") == 0
        pictures = tmp_path / folder / "pictures"
        assert (str(pictures) in capsys.readouterr().out) == pictures.is_dir() == draw


def test_a_limit_takes_the_first_by_name(weights: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "images", "b.png", "a.png", "c.png")
    assert run(weights, tmp_path / "images", tmp_path / "out", "limit=2") == 0
    records, metrics = read(tmp_path / "out")
    assert metrics["images"] == 2 and by_name(records).keys() == {"a.png", "b.png"}


@pytest.mark.parametrize("wrong", ["score_threshold=2", "keypoint_threshold=-1", "score_threshold=nan", "score_threshold=low"])
def test_a_threshold_beyond_all_scores_is_refused(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    write_images(tmp_path / "images", "a.png")
    assert run(weights, tmp_path / "images", tmp_path / "out", wrong) == 1
    assert wrong.split("=")[0] in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_earlier_predictions_are_replaced_only_where_that_is_asked_for(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path / "images", "a.png")
    assert run(weights, tmp_path / "images", tmp_path / "out") == 0
    before = (tmp_path / "out" / "config.yaml").stat().st_mtime_ns
    assert run(weights, tmp_path / "images", tmp_path / "out") == 1
    assert "overwrite=true" in capsys.readouterr().err and (tmp_path / "out" / "config.yaml").stat().st_mtime_ns == before
    assert run(weights, tmp_path / "images", tmp_path / "out", "overwrite=true") == 0
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.pt").touch()
    assert run(weights, tmp_path / "images", tmp_path / "run", "overwrite=true") == 1
    assert f"as {tmp_path}/run/predict" in capsys.readouterr().err
