"""Which image of COCO a photo is: by its name, by a COCO file, else by a number of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bottomup.commands.photos import Listing, photos_of, read_listing
from bottomup.errors import BottomupWarning, ConfigError, DataError


def ids(*names: str) -> dict[str, int]:
    return {photo.file_name: photo.image_id for photo in photos_of([Path("images") / name for name in sorted(names)])}


def listing(path: Path, *names: str, **more: Any) -> Listing:
    """What is read of a COCO file of images of these names, numbered from 100 on."""
    images = [{"id": 100 + number, "file_name": name, "height": 4, "width": 4} for number, name in enumerate(names)]
    categories = [{"id": 7, "name": "kite"}, {"id": 5, "name": "person"}]
    path.write_text(json.dumps({"images": images, "categories": categories, **more}))
    found = read_listing(None, str(path), ("person",))
    assert found is not None
    return found


def test_an_image_named_by_an_id_has_it() -> None:
    assert ids("000000123456.jpg", "COCO_val2014_000000000042.jpg", "107.png") == {
        "000000123456.jpg": 123456,
        "COCO_val2014_000000000042.jpg": 42,
        "107.png": 107,
    }


def test_images_named_otherwise_have_the_numbers_that_are_free() -> None:
    found = ids("a.jpg", "b.jpg", "000000000000.jpg", "000000000002.jpg", "c.jpg", "20260314151617.jpg")  # the last is a time
    assert found["000000000000.jpg"] == 0 and found["000000000002.jpg"] == 2
    assert sorted(found.values()) == [0, 1, 2, 3, 4, 5]


def test_an_id_in_two_names_is_neither_s_and_that_is_said() -> None:
    with pytest.warns(BottomupWarning, match="2 images have an id in their name that another one has"):
        found = ids("a/000000000139.jpg", "b/000000000139.jpg", "b/000000000140.jpg")
    assert found["b/000000000140.jpg"] == 140 and 139 not in found.values() and len(set(found.values())) == 3


def test_a_coco_file_says_which_images_which_ids_and_which_category(tmp_path: Path) -> None:
    given = listing(tmp_path / "info.json", "x.jpg", "y.jpg")
    photos = photos_of([Path("photos/x.jpg"), Path("photos/y.jpg")], given)
    assert [(photo.image_id, photo.file_name) for photo in photos] == [(100, "x.jpg"), (101, "y.jpg")]
    assert given.category_ids == (5,)
    assert read_listing(None, None, ("person",)) is None


@pytest.mark.parametrize(
    ("listed", "path"),
    [("val/x.jpg", "coco/val/x.jpg"), ("val/x.jpg", "flat/x.jpg"), ("x.jpg", "deep/er/x.jpg"), ("val/x.jpg", "val/x.jpg")],
)
def test_images_are_found_by_as_much_of_their_path_as_both_have(tmp_path: Path, listed: str, path: str) -> None:
    (photo,) = photos_of([Path(path)], listing(tmp_path / "info.json", listed))
    assert (photo.image_id, photo.file_name) == (100, listed)


def test_images_of_one_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    given = listing(tmp_path / "info.json", "a/x.jpg", "b/x.jpg")
    photos = photos_of([Path("coco/a/x.jpg"), Path("coco/b/x.jpg")], given)
    assert [photo.image_id for photo in photos] == [100, 101] and len({photo.picture for photo in photos}) == 2
    with pytest.raises(DataError, match="lists none of the 1 images"):  # which of the two lies flat nobody knows
        photos_of([Path("flat/x.jpg")], given)


def test_what_is_on_one_side_alone_is_said(tmp_path: Path) -> None:
    given = listing(tmp_path / "info.json", "x.jpg", "absent.jpg", "another.jpg")
    with pytest.warns(BottomupWarning) as told:
        photos = photos_of([Path("x.jpg"), Path("stranger.jpg")], given)
    assert [photo.image_id for photo in photos] == [100]
    said = " ".join(str(warning.message) for warning in told)
    assert "1 of 2 images are not listed" in said and "2 of 3 images that" in said and "first absent.jpg" in said


def test_two_images_that_are_one_of_the_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a/x\.jpg and b/x\.jpg are both x\.jpg"):
        photos_of([Path("a/x.jpg"), Path("b/x.jpg")], listing(tmp_path / "info.json", "x.jpg"))


def test_one_coco_file_is_enough(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give one COCO file"):
        read_listing("a.json", "b.json", ("person",))
    with pytest.raises(DataError, match="no such file"):
        read_listing(str(tmp_path / "none.json"), None, ("person",))
