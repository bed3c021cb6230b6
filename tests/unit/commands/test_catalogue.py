"""``bottomup list`` shows options that are there, with the defaults they have."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from bottomup.cli import main
from bottomup.commands.catalogue import KINDS
from bottomup.engine.settings import Settings
from bottomup.plan.composing import load_config
from bottomup.samples.augment import Augment


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_lists_something(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", kind]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == kind and lines and all(line.startswith("  ") for line in lines)


@pytest.mark.parametrize(("kind", "component"), [("engine", Settings), ("augment", Augment)])
def test_every_option_of_the_engine_and_of_augmentation_is_listed(
    kind: str, component: type, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list"]) == 0
    _, _, rest = capsys.readouterr().out.partition(f"\n{kind}\n")
    shown = [line.strip() for line in rest.splitlines()]
    options = [one for one in inspect.signature(component).parameters.values() if one.kind is one.KEYWORD_ONLY]
    assert options
    for option in options:
        (line,) = [line for line in shown if line.startswith((f"{option.name}: ", f"{option.name}."))][:1]  # . of a group's
        plain = isinstance(option.default, int | float | str | None) and ":" in line.partition(".")[0]  # no group of options
        assert not plain or line.endswith(f" = {option.default!r}")


def test_one_component_is_listed_with_units_choices_and_meanings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "head", "heatmap", "decoders", "personlab"]) == 0
    shown = capsys.readouterr().out
    assert "sigma: a number above 0 (input px) = 8.0" in shown and "start: torch or background = 'torch'" in shown
    assert "start says how the weights begin" in shown and "voting.stride: a whole number from 1 on (input px) or null" in shown
    assert "tags: " not in shown and "posenet: " not in shown


def test_what_lies_in_a_folder_of_one_s_own_is_listed_and_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "experiment" / "lab").mkdir(parents=True)
    (tmp_path / "experiment" / "lab" / "mice.yaml").write_text("# @package _global_\ninput_size: 99\n")
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone" / "tiny_mice.yaml").write_text("name: hourglass\nstacks: 1\nchannels: 8\n")
    place = f"hydra.searchpath=[{tmp_path}]"
    assert main(["list", "configs", place]) == 0
    shown = capsys.readouterr().out
    assert "lab/mice" in shown and "tiny_mice" in shown and "demo/personlab" in shown and "_common" not in shown
    assert main(["train", place, "experiment=lab/mise"]) == 1
    assert "did you mean experiment=lab/mice?" in capsys.readouterr().err
    assert main(["train", place, "backbone=tiny_mise"]) == 1
    assert "did you mean backbone=tiny_mice?" in capsys.readouterr().err


def test_a_backbone_of_one_s_own_counts_before_what_an_experiment_says(tmp_path: Path) -> None:
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone" / "own.yaml").write_text("name: hourglass\nstacks: 3\n")
    said = ["experiment=demo/associative_embedding", "backbone=own"]
    assert load_config("train", [f"hydra.searchpath=[{tmp_path}]", *said])["backbone"]["stacks"] == 3


def test_an_unknown_component_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "head", "tag"]) == 1
    assert "did you mean 'tags'" in capsys.readouterr().err


def test_an_unknown_kind_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "engines"]) == 1
    assert "did you mean 'engine'" in capsys.readouterr().err
