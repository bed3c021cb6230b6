"""A peer that finds everybody exactly is judged to be right, and stands in our own table; its decoder reads our maps."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.peers import keypoint_rcnn, mmpose_grouping
from benchmarks.scenes import COMES_BACK
from benchmarks.scenes_associative_embedding import people_scene
from bottomup.benchmark.results import read_result
from bottomup.checkpoint import Checkpoint, save_checkpoint, versions
from bottomup.cli import main
from bottomup.data.synthetic import Synthetic
from bottomup.decoders.associative_embedding import AssociativeEmbedding
from bottomup.errors import CheckpointError, ConfigError
from bottomup.plan.composing import load_config
from bottomup.plan.model import ModelPlan
from bottomup.skeletons import COCO
from bottomup.types import Task

TINY = ["data=synthetic", "data.size=64", "input_size=64", "workers=0", "device=cpu", "judge.limit=2"]
QUICK = ["measure.runs=1", "measure.batch_sizes=[1]", "measure.pictures=1", "measure.training_steps=0"]
SMALL = "peer={min_size:32,max_size:64,box_detections_per_img:2,rpn_post_nms_top_n_test:4}"


class Flawless:
    """Answers as torchvision does, with the annotated people of one image after the other."""

    def __init__(self, dataset: Synthetic) -> None:
        self.people = (dataset.people(index) for index in range(len(dataset)))

    def __call__(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        people = next(self.people)
        count = len(people)
        points = torch.from_numpy(people.keypoints) - 0.5  # COCO's pixel indices
        return [
            {
                "keypoints": torch.cat((points.nan_to_num(), torch.ones(count, 17, 1)), dim=-1),
                "keypoints_scores": torch.full((count, 17), 5.0),
                "scores": torch.linspace(0.9, 0.8, count),
                "boxes": torch.from_numpy(people.boxes),
            }
        ]


def test_true_keypoints_are_all_right() -> None:
    dataset = Synthetic(split="val", size=128, images=5)
    figures = keypoint_rcnn.judge(keypoint_rcnn.predict(Flawless(dataset), dataset, "cpu"), dataset, 20)
    assert figures["AP"] == 1.0 and figures["box_AP"] == 1.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where an untrained peer and an untrained model of ours are laid side by side."""
    where = tmp_path_factory.mktemp("peers")
    kept = load_config("benchmark", [*TINY, "backbone=hourglass_tiny"])
    model, _ = ModelPlan.of(kept).compose(Task(COCO))
    save_checkpoint(where / "best.pt", Checkpoint(kept, Task(COCO), model.state_dict(), None, None, versions()))
    keypoint_rcnn.main([SMALL, f"ours={where}/best.pt", f"output={where}/out", *TINY, *QUICK])
    return where / "out"


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return list(read_result(folder / "benchmark.json")["rows"])


def test_a_peer_stands_beside_ours_in_the_report(folder: Path) -> None:
    peer, ours = rows_of(folder)
    assert "untrained" in peer["name"] and {"AP", "AR", "box_AP"} <= peer["figures"].keys()
    assert peer["latency"]["total"]["p50_ms"] > 0 and peer["gigamacs"] > 0 and sum(peer["parameters"].values()) > 50e6
    assert main(["report", f"results=[{folder}]"]) == 0
    told, page = (folder / "report.md").read_text(), (folder / "report.html").read_text()
    assert peer["name"] in told and ours["name"] in told
    assert page.count('"shown":[') == 2  # the same image through both


def test_a_peers_row_is_one_of_bottomup_benchmark(folder: Path, tmp_path: Path) -> None:
    assert main(["benchmark", *TINY, "backbone=hourglass_tiny", "decoder=personlab", f"output={tmp_path}"]) == 1
    (refused,) = rows_of(tmp_path)  # a row in no time
    assert all(row.keys() == refused.keys() for row in rows_of(folder))


def test_weights_of_something_else_and_unknown_options_are_refused(tmp_path: Path) -> None:
    for path, content in (("absent.pth", None), ("other.pth", {"bias": torch.zeros(1)})):
        if content:
            torch.save(content, tmp_path / path)
        with pytest.raises(CheckpointError, match="not readable as this network's"):
            keypoint_rcnn.network(str(tmp_path / path), {})
    with pytest.raises(ConfigError, match="did you mean 'min_size'"):
        keypoint_rcnn.network(None, {"min_sise": 64})


# ---- mmpose's decoder ----------------------------------------------------------------------------------------------------


def test_both_decoders_are_given_the_same_options() -> None:
    ours, theirs = (inspect.signature(kind).parameters for kind in (AssociativeEmbedding, mmpose_grouping.MmposeGrouping))
    shared = theirs.keys() & ours.keys() - {"task"}
    assert {"max_people", "window", "detection_threshold", "tag_threshold"} == shared
    assert all(theirs[name].default == ours[name].default for name in shared)


@pytest.mark.parametrize("people", [1, 10])
def test_a_decoder_agrees_with_itself_and_with_the_scene(people: int) -> None:
    scene = people_scene(people, weak=False)
    (found,) = AssociativeEmbedding(Task(COCO))(scene.outputs, scene.frame)
    assert len(found.instances) == people and (scene.recall(found) or 0.0) >= COMES_BACK
    assert mmpose_grouping.agreement(scene, found, found) == pytest.approx(1.0)
    (nobody,) = AssociativeEmbedding(Task(COCO), detection_threshold=0.99)(scene.outputs, scene.frame)
    assert mmpose_grouping.agreement(scene, found, nobody) == 0.0


def test_what_is_missing_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(mmpose_grouping, "import_module", absent)
    with pytest.raises(SystemExit, match=r"pip install .*mmpose==1\.3\.2"):
        mmpose_grouping.main([])


@pytest.fixture
def mmpose() -> None:
    pytest.importorskip("mmpose.codecs", reason=f"needs mmpose: {mmpose_grouping.INSTALL}")


@pytest.mark.usefixtures("mmpose")
@pytest.mark.parametrize("people", [1, 3, 10, 30])
def test_mmpose_finds_the_same_people_on_the_same_maps(people: int) -> None:
    scene = people_scene(people, weak=False)
    (ours,) = AssociativeEmbedding(Task(COCO))(scene.outputs, scene.frame)
    (theirs,) = mmpose_grouping.MmposeGrouping(Task(COCO))(scene.outputs, scene.frame)
    assert (scene.recall(theirs) or 0.0) >= COMES_BACK
    assert mmpose_grouping.agreement(scene, ours, theirs) >= COMES_BACK


@pytest.mark.usefixtures("mmpose")
def test_a_networks_maps_go_through_both(tmp_path: Path) -> None:
    rows = mmpose_grouping.compare([*TINY, *QUICK, "backbone=hourglass_tiny", "augment=none", f"output={tmp_path}"])
    assert [row["status"] for row in rows] == ["measured"] * 2, json.dumps(rows)
    assert all(row["oracle"]["AP"] > 0.5 for row in rows)
