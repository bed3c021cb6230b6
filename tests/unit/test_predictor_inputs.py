"""What the Predictor takes for an image, in which frame, and where it looks for images."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow

from bottomup import Predictor
from bottomup.assembly import HeadSpec, assemble
from bottomup.backbones.hourglass import Hourglass
from bottomup.decoders.associative_embedding import AssociativeEmbedding
from bottomup.errors import BottomupWarning, ConfigError, DataError
from bottomup.heads.heatmap import Heatmap
from bottomup.heads.tags import Tags
from bottomup.image_files import ImageReader
from bottomup.images import find_images
from bottomup.skeletons import COCO
from bottomup.types import Prediction, Task
from tests.coco_folders import HEIGHT, WIDTH, drawn, save_deep, save_jpeg

H, W = 48, 64
LEFT_SIDE_DOWN = 6  # EXIF's orientation of a camera held upright: rows and columns change places


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.manual_seed(0)
    decoder = AssociativeEmbedding(Task(COCO), detection_threshold=0.001)
    heads = {"heatmap": HeadSpec(partial(Heatmap, sigma=8.0)), "tags": HeadSpec(partial(Tags, dim=1))}
    model = assemble(Hourglass(stacks=1, levels=2, channels=8, growth=4), Task(COCO), heads, decoder=decoder)
    # an untrained network's maps are full of near ties, and what it finds is not worth showing
    return Predictor(model.double(), decoder, input_size=64, score_threshold=0.0)


def picture(h: int = H, w: int = W) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (h, w, 3), np.uint8)


def assert_same(a: Prediction, b: Prediction) -> None:
    assert a.size == b.size
    torch.testing.assert_close(a.instances.keypoints, b.instances.keypoints, equal_nan=True, atol=1e-3, rtol=1e-4)


def test_a_path_an_array_and_a_pillow_image_are_one_image(predictor: Predictor, tmp_path: Path) -> None:
    pixels = picture()
    Pillow.fromarray(pixels).save(tmp_path / "a.png")
    of_array = predictor(pixels)
    assert len(of_array.instances)
    for image in (tmp_path / "a.png", str(tmp_path / "a.png"), Pillow.fromarray(pixels), Pillow.open(tmp_path / "a.png")):
        assert_same(predictor(image), of_array)
    for prediction in predictor([pixels, tmp_path / "a.png", Pillow.fromarray(pixels)]):
        assert_same(prediction, of_array)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1"])
def test_a_pillow_image_of_any_mode_is_its_rgb(predictor: Predictor, mode: str) -> None:
    image = Pillow.fromarray(picture()).convert(mode)
    assert_same(predictor(image), predictor(np.array(image.convert("RGB"))))


def test_a_pillow_image_of_a_cut_file_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    save_jpeg(tmp_path / "a.jpg", drawn(0, 17))
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-100])
    with pytest.raises(DataError, match=r"a Pillow image cannot be read \(.*truncated.*downloaded whole"):
        predictor(Pillow.open(tmp_path / "a.jpg"))


def test_a_pillow_image_deeper_than_a_byte_is_refused(predictor: Predictor) -> None:
    for mode in ("I", "F", "I;16"):
        with pytest.raises(DataError, match="8 bits a channel"):
            predictor(Pillow.new(mode, (W, H)))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 0, 3), np.uint8),
        np.zeros((5, 5), np.uint8),
        np.zeros((5, 5, 4), np.uint8),
        np.zeros((3, 5, 5), np.uint8),
        np.zeros((5, 5, 3), np.float32),
        np.zeros((2, 5, 5, 3), np.uint8),
    ],
    ids=lambda image: f"{image.shape} {image.dtype}",
)
def test_an_array_that_is_no_image_is_refused_by_its_shape(predictor: Predictor, image: NDArray[np.uint8]) -> None:
    for given in (image, [image]):
        with pytest.raises(DataError) as error:
            predictor(given)
        assert "(H, W, 3)" in str(error.value) and str(image.shape) in str(error.value)


def test_what_is_no_image_at_all_is_named(predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got Tensor"):
        predictor([torch.zeros(5, 5, 3, dtype=torch.uint8)])  # type: ignore[list-item]
    with pytest.raises(DataError, match="no such file"):
        predictor([tmp_path / "none.png"])
    with pytest.raises(DataError, match="a folder"):
        predictor([tmp_path])
    (tmp_path / "broken.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"broken\.png: not readable"):
        predictor(tmp_path / "broken.png")


def test_a_file_is_seen_upright_and_a_data_set_s_as_stored(predictor: Predictor, tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = LEFT_SIDE_DOWN
    Pillow.fromarray(picture()).save(tmp_path / "a.jpg", exif=exif)
    assert ImageReader()(tmp_path / "a.jpg").shape == (W, H, 3)
    assert predictor(tmp_path / "a.jpg").size == (W, H)
    assert ImageReader("stored")(tmp_path / "a.jpg").shape == (H, W, 3)
    assert predictor(Pillow.open(tmp_path / "a.jpg")).size == (H, W)  # as its pixels lie


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("x.png", "a/x.png", "a/y.JPG", "b/x.png", "b/deep/z.png", "b/notes.txt"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", picture(4, 4))[1].tobytes())
    (tmp_path / "photos" / "a" / "folder.png").mkdir()
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("", ["x.png"]),
        ("a", ["a/x.png", "a/y.JPG"]),
        ("a/*", ["a/x.png", "a/y.JPG"]),
        ("*/x.png", ["a/x.png", "b/x.png"]),
        ("[ab]/x.png", ["a/x.png", "b/x.png"]),
        ("**/*.png", ["a/x.png", "b/deep/z.png", "b/x.png", "x.png"]),
        ("**/deep/*", ["b/deep/z.png"]),
        ("x.png", ["x.png"]),
        ("b/notes.txt", ["b/notes.txt"]),  # who names one file means it
    ],
)
def test_globs_reach_into_every_part_of_a_path(where: str, names: list[str], photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_images(photos / where) == [photos / name for name in names]
    monkeypatch.chdir(photos.parent)
    assert find_images(f"photos/{where}") == [Path("photos") / name for name in names]


@pytest.mark.parametrize("where", ["", "/", "/*"])
def test_a_folder_of_folders_is_told_how_to_reach_into_them(where: str, photos: Path) -> None:
    (photos / "x.png").unlink()
    with pytest.raises(DataError, match=r"images in its folders: give .*photos(/\*)?/\*\* for all of them") as error:
        find_images(f"{photos}{where}")
    said = str(error.value).split("give ")[1].split(" for")[0]
    assert find_images(said) == [photos / name for name in ("a/x.png", "a/y.JPG", "b/deep/z.png", "b/x.png")]


def test_pictures_that_are_not_read_are_said_beside_images_and_alone(photos: Path) -> None:
    for name in ("a/c.mp4", "a/d.HEIC", "a/e.heic", "b/deep/f.mov", "b/notes.json"):
        (photos / name).write_bytes(b"")
    with pytest.warns(
        BottomupWarning, match=r"passed over 1 such as c.mp4: a video.*; 2 such as d.HEIC: a HEIC image.*JPEG"
    ) as said:
        assert find_images(photos / "a") == [photos / "a" / "x.png", photos / "a" / "y.JPG"]
    assert len(said) == 1
    (photos / "b" / "deep" / "z.png").unlink()
    with pytest.raises(DataError, match=r"deep: no such image.*, but 1 such as f.mov: a video.*images=f.mov"):
        find_images(photos / "b" / "deep")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_images(photos / "b") == [photos / "b" / "x.png"]  # notes are no pictures


def test_home_is_where_its_folder_is(photos: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(photos))
    monkeypatch.setenv("USERPROFILE", str(photos))
    assert find_images("~") == find_images("~/x.png") == find_images("~/*.png") == [photos / "x.png"]
    assert predictor("~/x.png").size == predictor(["~/x.png"])[0].size == (4, 4)
    assert len(predictor("~/a")) == 2


def test_a_prediction_is_of_stored_pixels_where_that_is_asked_for(predictor: Predictor, tmp_path: Path) -> None:
    save_jpeg(tmp_path / "a.jpg", drawn(0, 17), LEFT_SIDE_DOWN)
    save_deep(tmp_path / "a.png", drawn(0, 17), 12)
    stored = Predictor(predictor.model, predictor.decoder, input_size=64, orientation="stored", bit_depth=12)
    assert predictor(tmp_path / "a.jpg").size == (HEIGHT, WIDTH) and stored(tmp_path / "a.jpg").size == (WIDTH, HEIGHT)
    assert_same(stored(tmp_path / "a.png"), stored(drawn(0, 17)))
    with pytest.raises(DataError, match="bit_depth=12"):
        predictor(tmp_path / "a.png")
    for options in ({"orientation": "left"}, {"bit_depth": 20}):
        with pytest.raises(ConfigError):
            Predictor(predictor.model, predictor.decoder, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("where", ["none.png", "none/*.png", "**/*.gif", "b/*.txt", "a/folder.png"])
def test_a_search_in_vain_says_so(where: str, photos: Path) -> None:
    with pytest.raises(DataError, match="no such image, folder or glob"):
        find_images(photos / where)
