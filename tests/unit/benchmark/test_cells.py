"""Which combinations a command line and a matrix make."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from bottomup.benchmark.cells import cells_of, training_key
from bottomup.compose import compose_model, load_config
from bottomup.errors import ConfigError
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
        "data=synthetic", "input_size=128", "backbone=hourglass_small", "method=associative_embedding", "seed=3"
    )  # fmt: skip
    assert cells["wide, ae"].choices == {"network": "wide", "method": "ae"}
    assert len({cell.slug for cell in cells.values()}) == len(cells)


@pytest.mark.parametrize(
    ("content", "message"),
    [("axis: {}", "did you mean 'axes'"), ("common: [seed=1]", "at least one combination")],
)
def test_a_matrix_that_says_nothing_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(content)
    with pytest.raises(ConfigError, match=message):
        cells_of(str(tmp_path / "m.yaml"), [])


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
    compose_model(load_config("benchmark", cell.overrides), Task(COCO))  # type: ignore[attr-defined]


def test_the_whole_matrix_is_every_method_and_every_crossing_that_fits() -> None:
    fitting = []
    for cell in cells_of("synthetic", []):
        with contextlib.suppress(ConfigError):
            compose_model(load_config("benchmark", cell.overrides), Task(COCO))
            fitting.append(cell.name)
    assert len(fitting) == 30
    assert not any("hourglass, boxes" in name or "tags, walked" in name.replace("tags and", "") for name in fitting)
