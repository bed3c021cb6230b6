"""Several weights in one command: they are joined, what was run is written down, and what cannot be is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
import yaml

import bottomup
from bottomup.cli import main
from bottomup.commands.benchmark import run as benchmark
from bottomup.crops import Crops
from bottomup.ensemble import Ensemble
from bottomup.errors import BottomupError
from bottomup.plan.composing import load_config
from bottomup.plan.judging import EvaluatePlan, evaluate_plan
from bottomup.plan.predicting import PredictPlan
from bottomup.skeletons import AIC
from tests.coco_folders import untrained

DRAWN = ["data=synthetic", "data.images=2", "data.size=64", "limit=2", "workers=0", "pictures=1"]
EVERYBODY = ["score_threshold=0", "decoder.detection_threshold=0.0001", "decoder.fill_threshold=null", "batch_size=1"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("ensemble")
    files = []
    for name in "ab":
        (folder / name).mkdir()
        files.append(str(untrained(folder / name)))
    return f"[{','.join(files)}]"


def test_ideal_maps_of_two_networks_are_judged_and_both_are_written_down(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["oracle=[heatmap,tags]", "crops={size: 48, overlap: 0.5}", f"output={tmp_path / 'judged'}"]
    assert main(["evaluate", f"weights={weights}", *DRAWN, *options]) == 0
    assert "2 networks joined as maps, 64 px, crops of 48 px" in capsys.readouterr().out
    assert json.loads((tmp_path / "judged" / "metrics.json").read_text())["AP"] > 0.8
    written = yaml.safe_load((tmp_path / "judged" / "config.yaml").read_text())
    plan = EvaluatePlan.of(written)
    assert len(plan.others) == 1 and plan.viewing.crops == Crops(size=48, overlap=0.5)
    assert plan.plain() == written


@pytest.mark.parametrize("views", ["maps", "oks_nms"])
def test_photos_are_predicted_by_two_networks(weights: str, views: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(2):
        cv2.imwrite(
            str(tmp_path / "photos" / f"{number}.png"), np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
        )
    output = tmp_path / "predicted"
    options = [f"images={tmp_path / 'photos'}", f"output={output}", f"views={views}", "maps=true", *EVERYBODY]
    assert main(["predict", f"weights={weights}", *options]) == 0
    assert json.loads((output / "predictions.json").read_text()) and (output / "pictures" / "1_heatmap.png").is_file()
    assert len(PredictPlan.of(yaml.safe_load((output / "config.yaml").read_text())).others) == 1


def test_load_makes_an_ensemble_of_a_list_or_of_crops(weights: str) -> None:
    files = weights.strip("[]").split(",")
    both, cut = bottomup.load(files, flip=True), bottomup.load(files[0], crops={"size": 32})
    assert isinstance(both, Ensemble) and [member.flip for member in both.members] == [True, True] and both.merged
    assert isinstance(cut, Ensemble) and len(cut.members) == 1 and cut.crops == Crops(size=32)
    assert isinstance(bottomup.load(files[0]), bottomup.Predictor)


def test_networks_of_other_keypoints_are_refused(weights: str, tmp_path: Path) -> None:
    other = untrained(tmp_path, AIC)
    with pytest.raises(BottomupError, match="the same keypoints; the first has 17"):
        bottomup.load([weights.strip("[]").split(",")[0], other])


def test_a_benchmark_times_one_network_at_a_time(weights: str, tmp_path: Path) -> None:
    with pytest.raises(BottomupError, match=r"weights should be one checkpoint of each combination.*bottomup evaluate"):
        benchmark([f"weights={weights}", f"output={tmp_path}", "data=synthetic"])


def test_multiposenets_recipe_of_test_dev_is_a_preset() -> None:
    viewing = evaluate_plan(["experiment=multiposenet/test_dev"]).viewing
    assert (viewing.scales, viewing.flip, viewing.views) == ((1.0, 1.5, 0.5), True, "oks_nms")
    assert viewing.crops == Crops(size=448, overlap=0.5)
    assert load_config("predict", ["experiment=multiposenet/test_dev"])["views"] == "oks_nms"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("crops={size: 0}", "crops.size should be a whole number from 1 on"),
        ("crops={sise: 64}", "did you mean crops.size?"),
        ("crops={overlap: 0.5}", "crops needs size"),
        ("crops=3", "crops should be"),
        ("views=people", "known: maps, instances, oks_nms"),
        ("votes=[1,2]", "votes should be 1 number from 0 on"),
        ("refine.threshold=0.5", "refine.threshold is given, but refine= is missing"),
        ("refine.sizes=[]", "refine.sizes should be a list of numbers above 0 with at least one entry"),
        ("refine.sizes=[1,0.5]", "refine.sizes is given, but refine= is missing"),
    ],
)
def test_what_does_not_fit_is_refused(said: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", said, *DRAWN, "oracle=[heatmap,tags]"]) != 0
    assert told in capsys.readouterr().err


def test_votes_are_judged_of_one_network_as_of_several(weights: str) -> None:
    """Before, those of one network were not looked at, and texts ended in a TypeError."""
    one, other = weights.strip("[]").split(",")
    assert isinstance(bottomup.load(one, votes=[1]), Ensemble)
    for file, votes in ((one, [1, 2]), ([one, other], ["a", 1]), ([one, other], [float("nan"), 1]), ([one, other], 1)):
        with pytest.raises(BottomupError, match="votes should be"):
            bottomup.load(file, votes=cast(Any, votes))


@pytest.mark.parametrize("given", [{"crops": 640}, {"refine": 3}])
def test_what_is_no_group_is_refused_in_python_too(weights: str, given: dict[str, int]) -> None:
    with pytest.raises(BottomupError, match=f"{next(iter(given))} should be"):
        bottomup.load(weights.strip("[]").split(","), **cast(Any, given))


@pytest.mark.parametrize("crops", [Crops(size=1), Crops(size=64, overlap=0.99)])
def test_crops_without_end_are_refused(crops: Crops) -> None:
    """Each is held at the networks' input size: they would fill any memory."""
    with pytest.raises(BottomupError, match=r"480 x 640 px would be seen in .* give a larger crops.size"):
        crops.of((480, 640))
    assert len(Crops(size=448).of((3000, 4000))) < 200
