import json
from pathlib import Path

import numpy as np
import torch

from bottomup.evaluation.report import format_table, write_metrics


def test_written_metrics_are_valid_json(tmp_path: Path) -> None:
    metrics = {
        "keypoints": {"AP": np.float64(0.5), "APM": float("nan"), "AR": torch.tensor(0.25)},
        "images": 3,
        "runs": [1.0, np.inf],
    }
    path = write_metrics(tmp_path / "new", metrics)
    assert path == tmp_path / "new" / "metrics.json"
    read = json.loads(path.read_text(), parse_constant=lambda name: 1 / 0)
    assert read == {"keypoints": {"AP": 0.5, "APM": None, "AR": 0.25}, "images": 3, "runs": [1.0, None]}
    assert [entry.name for entry in path.parent.iterdir()] == ["metrics.json"]


def test_tables_are_aligned() -> None:
    metrics = {"AP": 0.61349, "left_shoulder": 1.0, "APM": float("nan"), "AR": 0.0}
    lines = format_table(metrics, per_row=3).splitlines()
    assert [line.split() for line in lines] == [["AP", "left_shoulder", "APM"], ["61.35", "100.00", "n/a"], ["AR"], ["0.00"]]
    ends = [[index for index, char in enumerate(line + " ") if char == " " and line[index - 1 : index].strip()] for line in lines]
    assert ends[0] == ends[1] and ends[2] == ends[3]


def test_an_empty_table_is_empty() -> None:
    assert format_table({}) == ""
