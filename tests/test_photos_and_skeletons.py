"""The photos and skeletons among the inputs that users really have: the right value of each, from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bottomup.errors import BottomupWarning, DataError
from bottomup.image_files import ImageReader
from bottomup.plan.training import train_plan
from bottomup.skeletons import COCO
from tests.coco_folders import ideal_ap, training_batch

SKELETONS = {  # what is said beside the sigmas that all but COCO's own lack
    "plain": None,
    "names_without_sides": "no left/right pair",
    "names_squeezed": None,
    "edges_from_zero": None,  # COCO's names have COCO's tree, whatever is drawn
    "sided_first": None,
}
TREES = ("edges_from_zero", "sided_first")  # of which PersonLab is made


@pytest.mark.parametrize("case", SKELETONS)
def test_skeletons_of_files_train_and_are_judged(case: str, cases: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    batch = training_batch(cases / case, "augment.flip=0.5")
    assert batch.present.sum() == 4 and batch.visibility[:, 0].bool().all() and batch.keypoints.shape[2] == 17
    assert ideal_ap(cases / case, tmp_path, "flip=true") == pytest.approx(1, abs=0.01)
    said = {str(one.message) for one in recwarn if one.category is BottomupWarning} - _of_sigmas(recwarn)
    assert len(said) == (SKELETONS[case] is not None) and all(str(SKELETONS[case]) in one for one in said)


def _of_sigmas(recwarn: pytest.WarningsRecorder) -> set[str]:
    return {str(one.message) for one in recwarn if "sigmas" in str(one.message)}


@pytest.mark.filterwarnings("ignore:.*sigmas:UserWarning")
@pytest.mark.parametrize("case", TREES)
def test_personlab_mirrors_the_skeletons_of_files(case: str, cases: Path, tmp_path: Path) -> None:
    oracle = "oracle=[heatmap,short_offsets,mid_offsets,long_offsets,segmentation]"
    options = ["method=personlab", "backbone=dilated_resnet10", oracle, "flip=true"]
    assert ideal_ap(cases / case, tmp_path, *options) == pytest.approx(1, abs=0.01)


@pytest.mark.filterwarnings("ignore:.*sigmas:UserWarning")
def test_squeezed_names_have_coco_s_mirror_image(cases: Path) -> None:
    plan = train_plan(["data=coco", f"data.root={cases}/names_squeezed"])
    skeleton = plan.data.dataset("train").task.skeleton
    assert skeleton is not None and skeleton.flip_order == COCO.flip_order and len(skeleton.flip_pairs) == 8


def test_photos_show_one_picture_or_are_refused(cases: Path) -> None:
    photos, upright = cases / "photos", ImageReader()
    whole = upright(photos / "whole.jpg").astype(int)
    for name in ("exif3.jpg", "exif6.jpg", "sixteen_bits.png"):
        assert np.abs(upright(photos / name) - whole).mean() < 3  # of 255, what JPEG changes
    assert np.abs(ImageReader(bit_depth=12)(photos / "twelve_bits.png") - whole).mean() < 3
    assert ImageReader("stored")(photos / "exif6.jpg").shape[:2] == whole.shape[1::-1]
    for name, said in (("cut.jpg", "without its end"), ("twelve_bits.png", "nearly black.*bit_depth=12")):
        with pytest.raises(DataError, match=f"{name}: .*{said}"):
            upright(photos / name)
