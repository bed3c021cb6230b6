"""The table of all published networks beside each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import networks, zoo
from bottomup.zoo.entries import entry_named
from tests.coco_folders import write_folder

NETWORK = replace(entry_named("posenet_050_16"), architecture=[*entry_named("posenet_050_16").architecture, "backbone.depth=0.25"])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = write_folder(tmp_path_factory.mktemp("data") / "people")
    return ["data=coco", f"data.root={root}", "data.split=val", "workers=0"]


def test_a_row_has_size_cost_and_what_the_decoder_makes_of_ideal_maps(data: list[str]) -> None:
    row = zoo.measured(NETWORK, data, runs=1)
    assert row["reason"] == "" and 0 < row["parameters"] < 1e6 * NETWORK.parameters and row["gigamacs"] > 0
    assert row["ms"]["total"] == pytest.approx(sum(ms for block, ms in row["ms"].items() if block != "total"))
    assert min(row["ms"][block] for block in ("backbone", "heads", "decoder")) > 0
    assert row["ideal_AP"] > 0.5 and row["published_AP"] is None


def test_networks_that_decode_alike_are_judged_once(data: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first = zoo.measured(NETWORK, data, runs=1)["ideal_AP"]
    monkeypatch.setattr(zoo, "evaluate_dataset", lambda *_, **__: pytest.fail("judged again"))
    assert zoo.measured(replace(NETWORK, architecture=NETWORK.architecture), data, runs=1)["ideal_AP"] == first


def test_a_network_that_cannot_be_built_has_a_reason_and_the_same_keys(data: list[str]) -> None:
    built, other = (
        zoo.measured(network, data, runs=1) for network in (NETWORK, replace(NETWORK, architecture=["backbone=nowhere"]))
    )
    assert other.keys() == built.keys() and "nowhere" in other["reason"] and other["parameters"] is None


def test_the_table_has_what_was_measured_and_why_the_rest_was_not(
    data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (zoo, networks):
        monkeypatch.setattr(module, "RESULT", tmp_path / "zoo.json")
    assert "Not measured yet" in networks.measured_table()
    monkeypatch.setattr(zoo, "RUNS", 1)
    monkeypatch.setattr("torch.set_num_threads", lambda _: None)  # which other tests would keep
    monkeypatch.setattr(zoo, "entries", lambda: (NETWORK, replace(NETWORK, name="other", architecture=["backbone=nowhere"])))
    zoo.main(data)
    lines = networks.measured_table().splitlines()
    assert sum(line.startswith("| `posenet_050_16` |") for line in lines) == 1
    assert sum(line.startswith("- other: ") and "nowhere" in line for line in lines) == 1
