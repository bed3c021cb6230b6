"""What is read may say anything: it is used as far as it makes sense, or refused in one sentence before anything is built."""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from bottomup import Predictor, load, registry
from bottomup.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from bottomup.cli import main
from bottomup.coco.masks import box_outline, mask_rle, read_mask
from bottomup.coco.people import people_by_image
from bottomup.coco.records import read_images
from bottomup.errors import BottomupError, BottomupWarning, CheckpointError, ConfigError, DataError
from bottomup.evaluation.masks import evaluate_masks
from bottomup.evaluation.segmentation import SegmentationOverlap
from bottomup.image_files import ImageReader
from bottomup.importers.published import read_published
from bottomup.paths import write_json
from bottomup.plan.resuming import changes
from bottomup.samples.letterbox import letterbox
from bottomup.samples.warps import warp_image, warp_map
from bottomup.skeletons import COCO
from bottomup.types import Instances, Prediction, Sample
from tests.coco_folders import untrained, write_folder

NOT_UTF8 = os.fsdecode(b"caf\xe9")
FAR = 1e8


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def predictor(weights: Path) -> Predictor:
    return load(weights)


# ---- images --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "gif", "webp", "jpg", "tiff"])
def test_names_that_are_not_utf8_are_names(suffix: str, tmp_path: Path) -> None:
    pixels = np.full((6, 7, 3), 200, np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", "jpeg" if suffix == "jpg" else suffix)
    file = (tmp_path / f"a.{suffix}").rename(tmp_path / f"{NOT_UTF8}.{suffix}")
    assert ImageReader()(file).shape == (6, 7, 3)


def test_a_folder_of_such_names_is_predicted_and_told(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    for name in (NOT_UTF8, "b"):
        (tmp_path / "photos" / f"{name}.png").write_bytes(cv2.imencode(".png", np.zeros((30, 40, 3), np.uint8))[1].tobytes())
    (tmp_path / "photos" / f"{NOT_UTF8}2.png").write_bytes(b"nothing")
    out = tmp_path / "out"
    assert main(["predict", f"weights={weights}", f"images={tmp_path}/photos", f"output={out}", "device=cpu"]) == 1
    assert "1 of 3 images could not be read" in capsys.readouterr().err
    assert sorted(path.stem for path in (out / "pictures").iterdir()) == ["b", NOT_UTF8]


def test_a_file_that_may_not_be_read_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").touch()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"a\.png: not readable \(permission denied"):
        ImageReader()(tmp_path / "a.png")


# ---- numbers that reach C ------------------------------------------------------------------------------------------------

IMAGE: dict[str, Any] = {"id": 1, "file_name": "a.png", "height": 8, "width": 9}


def of_box(box: list[float]) -> dict[str, Any]:
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": box, "area": 4.0, "iscrowd": 0, "keypoints": [1, 1, 2]}
    return {"images": [IMAGE], "annotations": [person], "categories": [{"id": 1, "name": "person"}]}


@pytest.mark.parametrize("box", [[0, 0, FAR, FAR], [-FAR, -FAR, 2 * FAR, 2 * FAR], [FAR, FAR, FAR, FAR], [1, 1, FAR, 2]])
def test_boxes_are_cut_to_their_image_before_masks_are_made(box: list[float]) -> None:
    covered = np.zeros((8, 9), bool)
    covered[max(0, int(box[1])) : int(box[1] + box[3]), max(0, int(box[0])) : int(box[0] + box[2])] = True
    assert (mask_pixels(box_outline(box, IMAGE)) == covered).all()
    assert np.isnan(evaluate_masks([], of_box(box))["mask_AP"])  # who has no mask is nobody to find
    overlap = SegmentationOverlap()
    overlap.add(Prediction(Instances.empty(1), (8, 9), torch.zeros(8, 9), 1), of_box(box)["annotations"])
    assert overlap.union == 0


def mask_pixels(outline: list[list[float]]) -> np.ndarray[Any, Any]:
    from pycocotools import mask as coco_mask

    return np.asarray(coco_mask.decode(mask_rle(outline, IMAGE)), bool)


@pytest.mark.parametrize("size", [(10**8, 8), (8, 10**8), (40_000, 40_000)])
def test_an_image_of_a_size_that_none_has_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=r"height` x `width.*2\^20 px a side"):
        read_images({"images": [IMAGE | {"height": size[0], "width": size[1]}]}, Path("a.json"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("bbox", [0, 0, FAR, 1]), ("area", 1e39), ("keypoints", [1e7, 1, 2] + [0] * 48), ("image_id", 2**60)],
)
def test_numbers_beyond_sense_are_refused(field: str, value: object) -> None:
    record = of_box([0, 0, 4, 4])["annotations"][0] | {"keypoints": [1, 1, 2] + [0] * 48, field: value}
    with pytest.raises(DataError, match=field):
        people_by_image({"annotations": [record], "categories": [{"id": 1}]}, {1: IMAGE}, [{"id": 1}], COCO, Path("a.json"))


@pytest.mark.parametrize("counts", ["p", "00P", "PPPPPPP0", "0\x7f", "ü0", "`" * 40])
def test_codes_that_c_reads_otherwise_are_refused(counts: str) -> None:
    with pytest.raises(DataError, match="counts"):
        read_mask({"size": [8, 9], "counts": counts}, IMAGE, "here")


# ---- sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (40_000, 12), (12, 70_000)])
@pytest.mark.parametrize("side", ["long", "short", "square", "native"])
def test_thin_and_long_images_come_to_bounded_inputs(shape: tuple[int, int], side: Any) -> None:
    sample = Sample.of_pixels(np.zeros((*shape, 3), np.uint8), 0, 17)
    boxed = letterbox(sample, 128, lambda length: -(-length // 32) * 32, (0, 0, 0), side)
    assert max(boxed.shape) <= 8 * 128


def test_an_input_that_nothing_warps_is_refused() -> None:
    with pytest.raises(DataError, match="lower input_size"):
        letterbox(Sample.of_pixels(np.zeros((4, 4, 3), np.uint8), 0, 17), 20_000, lambda length: length, (0, 0, 0))


def test_images_wider_than_opencv_warps_are_warped_all_the_same() -> None:
    width = 70_000
    image = np.repeat(np.linspace(0, 255, width).astype(np.uint8)[None, :, None], 3, axis=2).repeat(40, axis=0)
    matrix = np.array([[0.01, 0.0, 0.0], [0.0, 1.0, 0.0]])
    warped, labels = warp_image(image, matrix, (40, 700), (0, 0, 0)), warp_map(image[..., 0].copy(), matrix, (40, 700), 0)
    for found in (warped[20, 50:-50, 0], labels[20, 50:-50]):
        np.testing.assert_allclose(found.astype(float), np.linspace(0, 255, 700)[50:-50], atol=2)


# ---- checkpoints ---------------------------------------------------------------------------------------------------------

Change = Callable[[Checkpoint], Checkpoint]


def configured(**changed: Any) -> Change:
    return lambda checkpoint: replace(checkpoint, config=checkpoint.config | changed)


CHANGED: dict[str, tuple[Change, str]] = {
    "channels of terabytes": (
        lambda checkpoint: configured(backbone=checkpoint.config["backbone"] | {"channels": 10**12})(checkpoint),
        "no network has the sizes|is of another model",
    ),
    "a million hourglasses": (
        lambda checkpoint: configured(backbone=checkpoint.config["backbone"] | {"stacks": 10**6})(checkpoint),
        "none of the file's",
    ),
    "no mapping": (configured(heads=3), "heads should be"),
    "a head of no name": (configured(heads={"a.b": {"name": "heatmap"}}), "cannot be called 'a.b'"),
    "a head called as a method": (configured(heads={"keys": {"name": "heatmap"}}), "cannot be called 'keys'"),
    "depth": (configured(heads={"a": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}), "plain data"),
    "no decoder's name": (configured(decoder={"name": 3}), "named '3'|decoder"),
    "weights without names": (lambda checkpoint: replace(checkpoint, model={1: torch.zeros(1)}), "tensors by name"),  # type: ignore[dict-item]
    "a tensor that repeats itself": (
        lambda checkpoint: replace(checkpoint, model=checkpoint.model | {"more": torch.zeros(1).expand(10**9)}),
        "each in the file",
    ),
    "an average of another": (
        lambda checkpoint: replace(checkpoint, average={"a": torch.zeros(1)}),
        "another model than its weights",
    ),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_checkpoint_that_was_changed_is_one_sentence(change: str, weights: Path, tmp_path: Path) -> None:
    made, words = CHANGED[change]
    checkpoint = made(load_checkpoint(weights))
    file = tmp_path / "changed.pt"
    torch.save(
        torch.load(weights, weights_only=True)
        | {"config": checkpoint.config, "model": checkpoint.model, "average": checkpoint.average},
        file,
    )
    with pytest.raises(BottomupError, match=words) as error:
        load(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("read", [load_checkpoint, read_published])
def test_a_flipped_bit_is_found(read: Callable[[Path], object], weights: Path, tmp_path: Path) -> None:
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="not those that were written"):
        read(tmp_path / "a.pt")


@pytest.mark.parametrize("read", [load_checkpoint, read_published])
def test_a_record_that_pytorch_takes_for_a_folder_is_found(read: Callable[[Path], object], weights: Path, tmp_path: Path) -> None:
    """Its reader gives zeros for such, whatever bytes there are; the bit lies where no checksum looks."""
    content = bytearray(weights.read_bytes())
    with zipfile.ZipFile(weights) as archive:
        name = next(record.filename for record in archive.infolist() if record.filename.endswith("/data/0"))
    entry = content.rindex(name.encode()) - 46  # in the table of contents, of which the name is the end
    content[entry + 38] ^= 0x10
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="one of its records says that it is a folder"):
        read(tmp_path / "a.pt")


def test_weights_that_are_not_finite_are_refused_on_load(weights: Path, tmp_path: Path) -> None:
    data = torch.load(weights, weights_only=True)
    next(iter(data["model"].values())).fill_(torch.nan)
    torch.save(data, tmp_path / "nan.pt")
    with pytest.raises(CheckpointError, match="not finite"):
        load(tmp_path / "nan.pt")


# ---- one among many ------------------------------------------------------------------------------------------------------


def test_one_bad_image_of_a_list_is_an_error_or_left_out(weights: Path, tmp_path: Path) -> None:
    good = np.zeros((20, 30, 3), np.uint8)
    (tmp_path / "bad.png").write_bytes(b"nothing")
    images = [good, tmp_path / "bad.png", good]
    with pytest.raises(DataError, match=r"bad\.png"):
        load(weights)(images)
    with pytest.warns(BottomupWarning, match=r"1 image could not be read, left out; first .*bad\.png"):
        found = load(weights, on_error="skip")(images)
    assert [prediction.image_id for prediction in found] == [0, 2]


def test_one_bad_image_of_a_data_set_counts_as_missed(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path / "data", names=list(COCO.keypoints))
    first = sorted((tmp_path / "data" / "val").iterdir())[0]
    first.write_bytes(b"nothing")
    typed = ["evaluate", f"weights={weights}", "data=coco", f"data.root={tmp_path}/data", "workers=0", "device=cpu", "pictures=0"]
    assert main([*typed, f"output={tmp_path}/raised"]) == 1
    assert first.name in capsys.readouterr().err
    with pytest.warns(BottomupWarning, match="1 image could not be read"):
        assert main([*typed, f"output={tmp_path}/skipped", "on_error=skip"]) == 0
    assert len(json.loads((tmp_path / "skipped" / "metrics.json").read_text())["unreadable"]) == 1


# ---- plug-ins, options, left-overs ---------------------------------------------------------------------------------------


def test_a_plug_in_that_breaks_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ImportError("no module of that name")

    monkeypatch.setattr(registry, "entry_points", lambda group: [SimpleNamespace(name="mine", value="mine.heads", load=fail)])
    with pytest.warns(BottomupWarning, match=r"plug-in mine \(mine\.heads\) is left out.*no module of that name"):
        registry.load_plugins()


def test_a_run_that_goes_on_otherwise_says_so() -> None:
    before = {"seed": 0, "data": {"name": "a"}, "engine": {"batch_size": 8, "average": {"name": "ema"}, "steps": 3}}
    assert not changes(before, before | {"engine": before["engine"] | {"steps": 9}})  # type: ignore[dict-item]
    now = {"seed": 1, "data": {"name": "b"}, "engine": {"batch_size": 4, "average": {"name": "polyak"}}}
    said = changes(before, now)
    assert all(words in said for words in ("seed is 1, was 0", "batch_size is 4, was 8", "'polyak', was 'ema'", "data is"))


def test_nothing_is_no_checkpoint() -> None:
    with pytest.raises(ConfigError, match="takes a checkpoint's path"):
        load(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["evaluate", "head_scales=[1]"], "head_scales should be a mapping"),
        (["evaluate", "scales={a: 1}"], "scales should be a list"),
        (["evaluate", "~" + "a" * 400], "no key named|too long"),
        (["zoo", "posenet", "fetch"], "say fetch=true"),
        (["predict", "show=true", "weights=posenet", "images=a"], "first give bottomup zoo posenet fetch=true|is not here yet"),
    ],
)
def test_left_overs_are_sentences(
    typed: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BOTTOMUP_HOME", str(tmp_path))
    assert main(typed) == 1
    assert re.search(words, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_deep_yaml_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "deep.yaml").write_text("a: " + "[" * 2000 + "]" * 2000)
    (tmp_path / "experiment" / "broken.yaml").write_text("a: [")
    for name, words in (("deep", "nested too deeply"), ("broken", "not YAML")):
        assert main(["train", f"hydra.searchpath=[{tmp_path}]", f"experiment={name}"]) == 1
        assert words in capsys.readouterr().err


def test_names_that_are_no_text_can_be_written(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"file_name": NOT_UTF8})
    assert "\\udce9" in (tmp_path / "a.json").read_text()
    shutil.rmtree(tmp_path)


def test_a_checkpoint_is_written_and_read_again(weights: Path, tmp_path: Path) -> None:
    whole = load_checkpoint(weights)
    again = load_checkpoint(save_checkpoint(tmp_path / "again.pt", whole))
    assert again.config == whole.config and all(torch.equal(again.model[name], tensor) for name, tensor in whole.model.items())
