"""MultiPoseNet's people by VOC's IoU, over scales and thresholds, on a folder in VOC's layout made of real people's masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray

from benchmarks.tables import fill
from bottomup.checkpoint import Checkpoint, save_checkpoint, versions
from bottomup.data.coco import Coco
from bottomup.plan.training import train_plan
from bottomup.skeletons import COCO
from bottomup.types import Task
from tests.voc_folders import PERSON, write

TABLE = Path(__file__).parents[2] / "benchmarks" / "tables" / "multiposenet_voc.yaml"
SMALL = ["method=multiposenet", "backbone.network=test_resnet", "backbone.pretrained=false", "necks.people.channels=8",
         "necks.keypoints.channels=16", "necks.keypoints.reduced=16", "heads.proposals.count=3", "heads.prn.hidden=[4]",
         "input_size=160"]  # fmt: skip


def voc_of_real_people(shared: Path, folder: Path, count: int) -> Path:
    """VOC's layout of the first images of several people, all with masks."""
    coco = Coco(root=str(shared / "data" / "coco_person"))
    images: dict[str, tuple[NDArray[np.uint8], Any]] = {}
    for index in range(len(coco)):
        people = coco.people(index)
        if len(images) < count and len(people) > 1 and people.has_mask.all() and people.areas.min() > 1000:
            sample = coco.sample(index, frozenset({"instances"}))
            objects = [(sample.instances == n, PERSON) for n in range(1, len(people) + 1)]
            images[f"{coco.image_ids[index]:012d}"] = (sample.pixels.transpose(1, 2, 0), objects)
    return write(folder, images)


def test_the_table_of_scales_and_thresholds_is_filled(shared: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    plan = train_plan(SMALL).model
    model, _ = plan.compose(Task(COCO))
    weights = save_checkpoint(
        tmp_path / "best.pt", Checkpoint(plan.carried(), Task(COCO), model.state_dict(), None, None, versions())
    )
    described = yaml.safe_load(TABLE.read_text())
    chosen = {"480 px", "720, 480 and 240 px, mirrored too"}
    rows = [row for row in described["rows"] if row["name"] in chosen]
    ideal = [{"name": f"true {row['name']}", "overrides": [*row["overrides"], "oracle=[segmentation]"]} for row in rows]
    (tmp_path / TABLE.name).write_text(yaml.safe_dump({"common": described["common"], "rows": [*rows, *ideal]}))
    root = voc_of_real_people(shared, tmp_path / "VOC2012", 3)
    given = [f"weights={weights}", f"data.root={root}", "workers=0"]
    filled = fill(tmp_path / TABLE.name, given, tmp_path / "table.json")
    assert len(filled) == 4 and all(row["measured"] for row in filled), [row["note"] for row in filled]
    for row in filled:
        figures = row["measured"]
        above = {name: value for name, value in figures.items() if name.startswith("voc_IoU_above/")}
        assert len(above) == 19 and figures["voc_IoU_best"] == max(above.values())
        assert above["voc_IoU_above/0.50"] == figures["voc_IoU"] == pytest.approx(figures["segmentation_IoU"])
        if row["name"].startswith("true"):
            assert figures["voc_IoU"] > 0.93  # at a fortieth of the image a cell
    assert filled[0]["measured"]["voc_IoU"] < filled[2]["measured"]["voc_IoU"]
    metrics = json.loads(next((tmp_path / "table").glob("*/metrics.json")).read_text())
    assert "voc_IoU_above/0.05" in metrics
