"""Photos as cameras and copies leave them, in a data set: what arrives in training and evaluation, and what is said."""

from __future__ import annotations

import json
import pickle
import re
import sys
import warnings
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader

from bottomup.cli import main
from bottomup.data.coco import Coco
from bottomup.errors import BottomupWarning, DataError
from bottomup.image_files import ImageReader
from tests.coco_folders import (
    HEIGHT,
    IMAGES,
    TURNS,
    WIDTH,
    Save,
    assert_on_dots,
    drawn,
    evaluation_batch,
    ideal_ap,
    save_deep,
    save_jpeg,
    training_batch,
    untrained,
    write_folder,
)

UPRIGHT = "data.orientation=upright"
KEEPING, SWAPPING = (2, 3, 4), (5, 6, 7, 8)  # the size


def turned(orientation: int) -> Save:
    return partial(save_jpeg, orientation=orientation)


def cut(path: Path, image: object) -> None:
    save_jpeg(path, image)  # type: ignore[arg-type]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


# ---- orientation -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", TURNS)
def test_upright_annotations_lie_on_upright_images(orientation: int, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", save=turned(orientation))
    with warnings.catch_warnings():
        warnings.simplefilter("error", BottomupWarning)  # who chose is told nothing
        assert_on_dots(training_batch(root, UPRIGHT))
        assert_on_dots(evaluation_batch(root, UPRIGHT))
    if orientation in (3, 6):
        assert ideal_ap(root, tmp_path / "output", UPRIGHT) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("batch", [training_batch, evaluation_batch])
@pytest.mark.parametrize("orientation", KEEPING)
def test_an_orientation_that_no_size_tells_is_said_once(orientation: int, batch: object, tmp_path: Path) -> None:
    root = write_folder(tmp_path, save=turned(orientation))
    with pytest.warns(
        BottomupWarning, match=rf"0\.jpg: its EXIF turns it \(orientation {orientation}\).*orientation=upright"
    ) as said:
        batch(root)  # type: ignore[operator]
    assert sum("EXIF" in str(one.message) for one in said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", BottomupWarning)
        batch(root, "data.orientation=stored")  # type: ignore[operator]


@pytest.mark.parametrize("orientation", SWAPPING)
def test_an_orientation_that_the_size_contradicts_names_exif_and_the_option(orientation: int, tmp_path: Path) -> None:
    root = write_folder(tmp_path, save=turned(orientation))
    said = rf"{WIDTH} x {HEIGHT} px.*is {HEIGHT} x {WIDTH} stored: its EXIF.*{orientation}.*data\.orientation=upright"
    for batch in (training_batch, evaluation_batch):
        with pytest.raises(DataError, match=said):
            batch(root)


def test_annotations_of_stored_pixels_are_not_read_upright(tmp_path: Path) -> None:
    root = write_folder(tmp_path, save=turned(6))
    path = root / "annotations" / "person_keypoints_train.json"
    content = json.loads(path.read_text())
    for image in content["images"]:
        image |= {"width": HEIGHT, "height": WIDTH}
    path.write_text(json.dumps(content))
    with warnings.catch_warnings():
        warnings.simplefilter("error", BottomupWarning)  # the size says that stored pixels were annotated
        warnings.filterwarnings("ignore", ".*labelled out of the image")  # the points are those of the upright one
        assert Coco(root=str(root), split="train").sample(0, frozenset()).file_size == (WIDTH, HEIGHT)
    with pytest.raises(DataError, match=r"EXIF.*made on the stored image.*data\.orientation=stored"):
        Coco(root=str(root), split="train", orientation="upright").sample(0, frozenset())


def test_workers_say_it_once_together(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "showwarning", lambda message, *_: print(message, file=sys.stderr))  # pytest keeps them else
    dataset = Coco(root=str(write_folder(tmp_path, save=turned(3))), split="train")
    assert len(pickle.loads(pickle.dumps(dataset))) == IMAGES
    said = 0
    for _ in range(2):  # as each validation starts workers anew
        loader = DataLoader(_Sizes(dataset), batch_size=1, num_workers=1, collate_fn=list)
        assert [size for (size,) in loader] == [(HEIGHT, WIDTH)] * IMAGES
        said += capfd.readouterr().err.count("its EXIF turns it")
    assert said == 1


class _Sizes:
    def __init__(self, dataset: Coco) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[int, int]:
        return self.dataset.sample(index, frozenset()).file_size


# ---- cut, deep, large --------------------------------------------------------------------------------------------------------


def test_a_cut_photo_is_refused_by_name_in_training_evaluation_and_prediction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_folder(tmp_path / "photos", save=cut)
    for batch in (training_batch, evaluation_batch):
        with pytest.raises(DataError, match=r"0\.jpg: not readable, a JPEG without its end"):
            batch(root)
    data, weights = ["data=coco", f"data.root={root}", "workers=0"], f"weights={untrained(tmp_path)}"
    run, judged, found = (f"output={tmp_path}/{name}" for name in ("run", "judged", "found"))
    train = ["train", *data, "backbone=hourglass_tiny", "input_size=64", "engine.steps=1", "engine.batch_size=2", run]
    assert main(train) == main(["evaluate", *data, weights, judged]) == 1
    assert main(["predict", f"images={root}/val/0.jpg", weights, found]) == 1
    assert len(re.findall(r"\d\.jpg: not readable, a JPEG without its end", capsys.readouterr().err)) == 3


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_camera_s_bits_are_scaled_by_an_option_or_refused(bits: int, suffix: str, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", suffix=suffix, save=partial(save_deep, bits=bits))
    for batch in (training_batch, evaluation_batch):
        with pytest.raises(DataError, match=rf"0\{suffix}: has 16 bits.*data\.bit_depth"):
            batch(root)
        assert_on_dots(batch(root, f"data.bit_depth={bits}"))


def test_all_sixteen_bits_are_read_as_they_are(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", suffix=".png", save=save_deep)
    assert_on_dots(training_batch(root))
    assert_on_dots(evaluation_batch(root))


# ---- prediction ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("option", "size"), [([], (HEIGHT, WIDTH)), (["orientation=stored"], (WIDTH, HEIGHT))])
def test_predictions_are_drawn_on_the_image_that_was_asked_for(option: list[str], size: tuple[int, int], tmp_path: Path) -> None:
    save_jpeg(tmp_path / "a.jpg", drawn(0, 17), 6)
    save_deep(tmp_path / "b.png", drawn(0, 17), 12)
    output, weights = tmp_path / "output", f"weights={untrained(tmp_path)}"
    assert main(["predict", f"images={tmp_path}/*.*g", weights, f"output={output}", "bit_depth=12", *option]) == 0
    assert cv2.imread(str(output / "pictures" / "a.png")).shape[:2] == size
    for name, orientation in (("a", 6 if option else 1), ("b", 1)):
        shown = cv2.imread(str(output / "pictures" / f"{name}.png"))[..., ::-1]
        save_jpeg(tmp_path / "expected.jpg", drawn(0, 17), orientation)
        assert np.abs(shown.astype(int) - ImageReader("stored")(tmp_path / "expected.jpg")).mean() < 3  # of 255
