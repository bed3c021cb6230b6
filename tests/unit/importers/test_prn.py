"""The authors' Pose Residual Network is imported as it computes, and gives keypoints to people as ours does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bottomup.checkpoint import load_checkpoint, save_checkpoint
from bottomup.cli import main
from bottomup.errors import CheckpointError
from bottomup.heads.prn import Prn
from bottomup.importers.prn import import_prn
from bottomup.ops.crops import CROP
from bottomup.skeletons import COCO
from tests.coco_folders import write_folder
from tests.unit.importers import published

TOLERANCE = 1e-4  # of the largest value
UNITS = CROP[0] * CROP[1] * len(COCO)
WIDTH = 8  # of the hidden layers of small ones


def layout(width: int) -> dict[str, tuple[int, ...]]:
    """The names and shapes of their tensors."""
    shapes = {"dens1": (width, UNITS), "bneck": (width, width), "dens2": (UNITS, width)}
    return {f"{name}.{part}": shape[:axes] for name, shape in shapes.items() for part, axes in (("weight", 2), ("bias", 1))}


def small() -> dict[str, Tensor]:
    """One that corrects nothing: what is added to a person's crops is 0."""
    return {name: torch.zeros(shape) for name, shape in layout(WIDTH).items()}


def write(folder: Path, tensors: Mapping[str, Tensor]) -> Path:
    file = folder / "PRN.pth.tar"
    torch.save(dict(tensors), file)
    return file


def activation(head: Prn, crops: Tensor) -> Tensor:
    """What our head makes of crops (P, 56, 36, K) as the authors lay them out, in their layout."""
    with torch.no_grad():
        return head.relate(crops.permute(0, 3, 1, 2)[None]).exp()[0].permute(0, 2, 3, 1)


def head_of(file: Path) -> Prn:
    """The imported head."""
    checkpoint, unused = import_prn(file)
    assert unused == []
    head = published.built(checkpoint)[0].stack("prn").last
    assert isinstance(head, Prn)
    return head


@pytest.mark.slow
def test_it_computes_what_its_authors_code_does(shared: Path, tmp_path: Path) -> None:
    reference = np.load(shared / "reference/networks/prn_pytorch.npz")
    shapes = json.loads(str(reference["layout"]))
    tensors = {f"module.{name}": published.drawn(name, shape) for name, shape in shapes.items()}
    file = tmp_path / "PRN.pth.tar"
    torch.save({"epoch": 16, "state_dict": tensors, "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3}]}}, file)
    assert shapes == {name: list(shape) for name, shape in layout(1024).items()}
    given = activation(head_of(file), torch.from_numpy(reference["output_prn_input"]))
    expected = torch.from_numpy(reference["output_prn"])
    assert (given - expected).abs().max() <= TOLERANCE * expected.abs().max()


def test_a_cell_of_theirs_is_the_same_cell_of_ours(tmp_path: Path) -> None:
    """One unit of the first layer that sees a single cell, one of the last that answers in another."""
    tensors = small()
    tensors["dens1.weight"].view(WIDTH, *CROP, len(COCO))[3, 50, 30, 16] = 1.0
    tensors["bneck.weight"][5, 3] = 1.0
    tensors["dens2.weight"].view(*CROP, len(COCO), WIDTH)[7, 20, 4, 5] = 2.0
    head = head_of(write(tmp_path, tensors))
    crops = torch.zeros(2, *CROP, len(COCO))
    crops[1, 50, 30, 16] = 3.0
    nothing, something = activation(head, crops)
    assert torch.allclose(nothing, torch.full_like(nothing, 1 / UNITS))
    ratio = (something / something[0, 0, 0]).log()
    assert ratio[7, 20, 4] == pytest.approx(6.0, abs=1e-4) and ratio[50, 30, 16] == pytest.approx(3.0, abs=1e-4)
    assert int((ratio.abs() > 1e-4).sum()) == 2


def test_one_that_corrects_nothing_gives_people_the_keypoints_in_their_boxes(tmp_path: Path) -> None:
    """Judged on true boxes and keypoints, as the authors judge theirs."""
    save_checkpoint(tmp_path / "best.pt", import_prn(write(tmp_path, small()))[0])
    data = ["data=coco", f"data.root={write_folder(tmp_path / 'coco')}", "workers=0", "pictures=0"]
    given = [f"weights={tmp_path}/best.pt", *data, "oracle=[candidates,proposals]", f"output={tmp_path}/judged"]
    assert main(["evaluate", *given]) == 0
    assert json.loads((tmp_path / "judged/metrics.json").read_text())["AP"] > 0.99


def test_it_is_joined_with_a_network_that_finds_boxes_and_keypoints(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "best.pt", import_prn(write(tmp_path, small()))[0])
    model = ["method=multiposenet", "backbone=mobilenetv2_fpn", "input_size=64", "necks.keypoints.channels=8"]
    model += ["necks.keypoints.reduced=4", "necks.people.channels=8", "augment=none"]
    quick = ["data=synthetic", "data.size=64", "data.images=2", "workers=0", "engine.steps=1", "engine.batch_size=2"]
    quick += ["engine.validate_every=0", "heads.prn.relation=max"]
    assert main(["train", *model, *quick, f"output={tmp_path}/network"]) == 0
    own = [f"heads.prn.hidden=[{WIDTH},{WIDTH}]", "heads.prn.input_mass=1"]
    parts = f"init=[{tmp_path}/network/last.pt,{tmp_path}/best.pt]"
    assert main(["combine", *model, *own, parts, f"output={tmp_path}/whole"]) == 0
    whole, imported = load_checkpoint(tmp_path / "whole/best.pt"), load_checkpoint(tmp_path / "best.pt")
    assert all(torch.equal(whole.model[name], tensor) for name, tensor in imported.model.items())


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("dens1.weight", (WIDTH, 100), rf"dens1\.weight: expected \({WIDTH}, {UNITS}\), found \({WIDTH}, 100\)"),
        ("dens1.weight", (), "at least 1 axes"),
        ("bneck.weight", (WIDTH, 9), rf"bneck\.weight: expected \({WIDTH}, {WIDTH}\), found \({WIDTH}, 9\)"),
        ("dens2.bias", (UNITS - 1,), rf"dens2\.bias: expected {UNITS} along axis 0, found {UNITS - 1}"),
        ("dens2.bias", None, r"dens2\.bias: expected such a tensor, found none"),
        ("dens3.weight", (1,), r"dens3\.weight: expected no such tensor, found \(1,\)"),
    ],
)
def test_another_network_is_refused_at_its_first_difference(
    name: str, shape: tuple[int, ...] | None, expected: str, tmp_path: Path
) -> None:
    tensors = {key: tensor for key, tensor in small().items() if key != name}
    if shape is not None:
        tensors[name] = torch.zeros(shape)
    with pytest.raises(CheckpointError, match=expected):
        import_prn(write(tmp_path, tensors))
