"""Which combinations a command line and a matrix make."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import torch

from bottomup.benchmark.cells import cells_of, training_key
from bottomup.errors import ConfigError
from bottomup.plan.composing import load_config
from bottomup.plan.model import ModelPlan
from bottomup.skeletons import COCO
from bottomup.types import Task

MATRIX = """
common: [data=synthetic, input_size=64]
axes:
  network: {small: [backbone=hourglass_tiny], wide: [backbone=hourglass_small, input_size=128]}
  method: {ae: [method=associative_embedding], personlab: [method=personlab]}
cells:
  alone: [decoder=posenet]
"""


def test_options_of_several_values_are_swept_and_lists_are_not() -> None:
    cells = cells_of(None, ["method=personlab", "input_size=64,128", "precision=fp32,bf16", "heads.prn.hidden=[8,16]"])
    assert [cell.name for cell in cells] == [
        f"input_size={size}, precision={kind}" for size in (64, 128) for kind in ("fp32", "bf16")
    ]
    assert cells[1].choices == {"input_size": "64", "precision": "bf16"}
    assert cells[1].overrides == ("method=personlab", "input_size=64", "precision=bf16", "heads.prn.hidden=[8,16]")


def test_a_matrix_is_every_combination_of_its_axes_and_its_single_cells(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MATRIX)
    cells = {cell.name: cell for cell in cells_of(str(tmp_path / "m.yaml"), ["seed=3"])}
    assert list(cells) == ["alone", "small, ae", "small, personlab", "wide, ae", "wide, personlab"]
    assert cells["wide, ae"].overrides == (
        "data=synthetic", "backbone=hourglass_small", "input_size=128", "method=associative_embedding", "seed=3"
    )  # fmt: skip
    assert cells["wide, ae"].choices == {"network": "wide", "method": "ae"}
    assert len({cell.slug for cell in cells.values()}) == len(cells)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("axis: {}", "did you mean 'axes'"),
        ("common: [seed=1]", "at least one combination"),
        ("common: seed=1", "m.yaml: common should be a list of overrides .* got 'seed=1'"),
        ("common: [seed: 1]", "m.yaml: common should be a list of overrides"),
        ("cells: {a: method=personlab}", "m.yaml: cells: a should be a list of overrides"),
        ("cells: [a]", "m.yaml: cells should be `name: …` entries"),
        ("axes: {size: [128]}", "m.yaml: axes: size should be `name: …` entries"),
        ("axes: {size: {128: [personlab]}}", "m.yaml: axes: size: 128 should be a list of overrides"),
        ("- seed=1", "m.yaml should be `name: …` entries"),
        ("cells: {a: [", "m.yaml: not YAML"),
    ],
)
def test_a_matrix_that_says_nothing_sensible_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(content)
    with pytest.raises(ConfigError, match=message):
        cells_of(str(tmp_path / "m.yaml"), [])


def test_names_may_be_numbers_and_a_combination_may_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("axes: {size: {128: [input_size=128], as it is: }}\ncells: {plain: , 7: [~heads.tags]}")
    cells = {cell.name: cell.overrides for cell in cells_of(str(tmp_path / "m.yaml"), [])}
    assert cells == {"plain": (), "7": ("~heads.tags",), "128": ("input_size=128",), "as it is": ()}


def test_what_is_said_last_holds_also_against_parts_of_what_was_said_before(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("cells: {a: ['heads.prn={hidden:[8]}', heads.prn.dropout=0.1, seed=1]}")
    (cell,) = cells_of(str(tmp_path / "m.yaml"), ["heads.prn={hidden:[16]}"])
    assert cell.overrides == ("heads.prn.dropout=0.1", "seed=1", "heads.prn={hidden:[16]}")


def test_an_unknown_matrix_and_a_broken_override_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'small'"):
        cells_of("smal", [])
    with pytest.raises(ConfigError):
        cells_of(None, ["input_size=[64"])


def test_networks_that_differ_in_the_decoder_alone_share_a_training() -> None:
    of = ("backbone", "heads", "engine")
    one, other, third = (
        training_key(load_config("benchmark", [text]), of)
        for text in ("decoder.window=3", "decoder.window=5", "engine.optimiser.lr=7e-4")
    )
    assert one == other != third


@pytest.mark.parametrize("cell", cells_of("small", []), ids=lambda cell: cell.slug)
def test_every_cell_of_the_small_matrix_composes(cell: object) -> None:
    ModelPlan.of(load_config("benchmark", cell.overrides)).compose(Task(COCO))  # type: ignore[attr-defined]


@pytest.mark.slow  # half a minute of compositions; those of the small matrix are above
def test_the_whole_matrix_is_every_method_and_every_crossing_that_fits() -> None:
    fitting = []
    for cell in cells_of("synthetic", []):
        with contextlib.suppress(ConfigError), torch.device("meta"):
            ModelPlan.of(load_config("benchmark", cell.overrides)).compose(Task(COCO))
            fitting.append(cell.name)
    assert len(fitting) == 30
    assert not any("hourglass, boxes" in name or "tags, walked" in name.replace("tags and", "") for name in fitting)
