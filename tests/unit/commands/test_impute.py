"""``bottomup impute``: who has no keypoints gets some, everybody else stays, and PersonLab learns from the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bottomup import load, save
from bottomup.cli import main
from bottomup.commands import impute
from bottomup.data.coco import Coco
from bottomup.errors import ConfigError
from bottomup.plan.model import ModelPlan
from bottomup.plan.training import train_plan
from bottomup.refine import Refined
from bottomup.skeletons import COCO
from bottomup.types import Task
from tests.coco_folders import content, write

PLAIN = ["method=single_person", "backbone=hourglass_tiny", "input_size=64", "data=none"]
EVERYTHING = ["impute.threshold=0.0", "workers=0"]  # of an untrained network, whose maps are above 0 somewhere


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan: ModelPlan = train_plan([*PLAIN, "heads.heatmap.start=torch"]).model
    return save(tmp_path_factory.mktemp("network") / "single.pt", plan, plan.compose(Task(COCO))[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Six people, of whom every other has no keypoints, and one of those is a crowd."""

    def edit(record: dict[str, Any]) -> dict[str, Any]:
        if record["id"] % 2:
            return record
        return record | {"keypoints": [0] * 51, "num_keypoints": 0, "iscrowd": int(record["id"] == 6), "area": 500.0}

    return write(tmp_path_factory.mktemp("people"), content(edit, people=2))


def test_people_without_keypoints_get_them_and_nobody_else_does(network: Path, folder: str, tmp_path: Path) -> None:
    output = tmp_path / "imputed_train.json"
    told = impute.run([f"weights={network}", f"data.root={folder}", f"output={output}", *EVERYTHING])
    before = Coco(root=folder, split="train").ground_truth()
    written = json.loads(output.read_text())
    assert told["people"] == 2 and told["imputed"] == 2 and told["keypoints"] > 0
    assert written["images"] == before["images"] and written["categories"] == before["categories"]
    for old, new in zip(before["annotations"], written["annotations"], strict=True):
        if old["id"] in (2, 4):
            assert new["imputed"] is True and new["num_keypoints"] == sum(new["keypoints"][2::3]) / 2 > 0
            assert {name: new[name] for name in ("bbox", "area", "id")} == {name: old[name] for name in ("bbox", "area", "id")}
        else:
            assert new == old


def test_the_reader_takes_them_where_asked_for(network: Path, folder: str, tmp_path: Path) -> None:
    output = tmp_path / "imputed_train.json"
    impute.run([f"weights={network}", f"data.root={folder}", f"output={output}", *EVERYTHING])
    images = f"{folder}/train"
    for sizes, people in ((["small"], 5), ([], 3)):
        data = Coco(annotations=str(output), images=images, imputed=sizes)
        assert sum(int(data.people(index).labelled.any(1).sum()) for index in range(len(data))) == people
    assert sum(record["num_keypoints"] > 0 for record in data.ground_truth()["annotations"]) == 3


def test_a_file_that_is_there_stays(network: Path, folder: str, tmp_path: Path) -> None:
    output = tmp_path / "there.json"
    output.write_text("{}")
    options = [f"weights={network}", f"data.root={folder}", f"output={output}", *EVERYTHING]
    with pytest.raises(ConfigError, match="is there already"):
        impute.run(options)
    assert output.read_text() == "{}" and list(tmp_path.iterdir()) == [output]
    impute.run([*options, "overwrite=true"])
    assert json.loads(output.read_text())["annotations"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["weights={network}"], "output= should be the JSON file"),
        (["weights={network}", "output=folder"], "output= should be the JSON file"),
        (["output=x.json"], "weights= is missing"),
        (["weights={network}", "output=x.json", "impute.threshold=2"], "impute.threshold should be"),
        (["weights={network}", "output=x.json", "impute.thresh=.2"], "did you mean impute.threshold"),
    ],
)
def test_mistakes_are_said(given: list[str], said: str, network: Path, folder: str) -> None:
    with pytest.raises(ConfigError, match=said):
        impute.run([text.format(network=network) for text in given] + [f"data.root={folder}"])


def test_a_network_of_several_people_neither_imputes_nor_refines(network: Path, folder: str, tmp_path: Path) -> None:
    plan = train_plan(["experiment=demo/associative_embedding", "backbone=hourglass_tiny"]).model
    several = save(tmp_path / "several.pt", plan, plan.compose(Task(COCO))[0])
    with pytest.raises(ConfigError, match="finds several people"):
        impute.run([f"weights={several}", f"data.root={folder}", f"output={tmp_path}/x.json"])
    with pytest.raises(ConfigError, match="finds several people"):
        load(several, refine=several)
    for second in (network, {"weights": str(network), "threshold": 0.3}):
        assert isinstance(load(several, refine=second), Refined)
        assert isinstance(load([several, several], refine=second), Refined)


def test_personlab_learns_from_the_file(network: Path, folder: str, tmp_path: Path) -> None:
    output = tmp_path / "imputed_train.json"
    impute.run([f"weights={network}", f"data.root={folder}", f"output={output}", *EVERYTHING])
    small = ["experiment=coco_small/personlab", "backbone.pretrained=false", "input_size=64", "workers=0", "engine.steps=1"]
    data = ["data=coco", f"data.annotations={output}", f"data.images={folder}/train", "data.imputed=[small]"]
    assert main(["train", *small, *data, "engine.validate_every=0", "engine.tensorboard=false", f"output={tmp_path}/run"]) == 0


def test_predict_and_evaluate_refine(network: Path, folder: str, tmp_path: Path) -> None:
    """From the command line by either form; the figures say so."""
    plan = train_plan(["experiment=demo/associative_embedding", "backbone=hourglass_tiny"]).model
    several = save(tmp_path / "several.pt", plan, plan.compose(Task(COCO))[0])
    common = [f"weights={several}", f"refine={network}", "refine.sizes=[1,0.5]", "input_size=64", "workers=0"]
    judged = [*common, "data=coco", f"data.root={folder}", "pictures=0", f"output={tmp_path}/judged"]
    assert main(["evaluate", *judged]) == 0
    assert "refined" in json.loads((tmp_path / "judged" / "metrics.json").read_text())["judged"]
    assert main(["predict", *common, f"images={folder}/val", f"output={tmp_path}/found"]) == 0
