"""Trainings one after another: each begins with the best of those before, an interrupted chain goes on exactly, all become one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from bottomup.checkpoint import load_checkpoint
from bottomup.cli import main
from bottomup.commands import evaluate, train
from bottomup.engine.trainer import Trainer
from bottomup.errors import ConfigError
from bottomup.plan.chain import ChainPlan, resumed_training, training_plan
from bottomup.plan.overrides import overrides_of
from bottomup.workflows import chain
from tests.engine.test_resume import assert_same
from tests.ranks import in_ranks

STAGES = "experiment=demo/multiposenet_stages"
NAMES = ("keypoints", "boxes", "prn")
TINY = [
    STAGES, "data.size=64", "data.images=6", "input_size=64", "workers=0", "backbone.network=test_resnet", "validation.limit=2",
    "necks.keypoints.channels=8", "necks.keypoints.reduced=8", "necks.people.channels=8", "heads.proposals.count=4",
    "heads.prn.hidden=[4]", "engine.batch_size=2", "engine.precision=fp32", "engine.average=null", "engine.checkpoint_every=1",
    *(f"stages.{name}.engine.steps={steps}" for name, steps in (("keypoints", 4), ("boxes", 3), ("prn", 2))),
    *(f"stages.{name}.engine.{option}" for name in NAMES for option in ("tensorboard=false", "validate_every=2")),
    "stages.boxes.input_size=96", "stages.prn.engine.batch_size=4", "stages.prn.input_size=64", "head_scales.retinanet=[1.5]",
]  # fmt: skip


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a chain that was trained in one go."""
    folder = tmp_path_factory.mktemp("whole")
    train.run([*TINY, f"output={folder}"])
    return folder


def test_a_chain_ends_with_one_network_of_the_best_of_each_stage(uninterrupted: Path, tmp_path: Path) -> None:
    whole = load_checkpoint(uninterrupted / "best.pt")
    parts = {name: load_checkpoint(uninterrupted / name / "best.pt").weights for name in ("keypoints", "boxes", "prn")}
    for name, tensor in whole.weights.items():
        stage = "prn" if name.startswith("heads.prn.") else "boxes"
        assert torch.equal(tensor, parts[stage][name])
        if not name.startswith(("heads.prn.", "heads.retinanet.", "necks.people.")):  # frozen since
            assert torch.equal(tensor, parts["keypoints"][name])
    assert whole.config["head_scales"] == {"retinanet": [1.5]}  # boxes see what they were trained at, without being told
    assert whole.config["input_size"] == 64
    metrics = evaluate.run([f"weights={uninterrupted}/best.pt", "limit=2", "workers=0", "pictures=0", f"output={tmp_path}"])
    assert "retinanet at 1.5" in metrics["judged"] and {"AP", "box_AP", "segmentation_IoU"} <= metrics.keys()


def test_a_chain_that_is_interrupted_in_every_stage_is_the_uninterrupted_one(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the last bit, whatever was typed to go on with it."""
    advance, halves = Trainer._advance, tmp_path / "halves"
    command = ["train", *TINY, f"output={halves}"]
    for die_in, at in (("keypoints", 3), ("boxes", 1), ("prn", 1)):

        def interrupted(self: Trainer, *given: Any, die_in: str = die_in, at: int = at) -> None:
            advance(self, *given)
            self.interruption.asked = self.output.name == die_in and self.step == at

        monkeypatch.setattr(Trainer, "_advance", interrupted)
        assert main(command) == 130
        assert f"stage {die_in} was interrupted; continue with resume=true output={halves}" in capsys.readouterr().err
        assert not (halves / "best.pt").exists()
        command = ["train", "resume=true", f"output={halves}"]
    monkeypatch.setattr(Trainer, "_advance", advance)
    assert main(command) == 0
    for file in ("best.pt", *(f"{name}/last.pt" for name in NAMES)):
        one, other = (load_checkpoint(folder / file) for folder in (uninterrupted, halves))
        for part in ("model", "average"):
            assert_same(getattr(one, part), getattr(other, part), f"{file} {part}")
        assert_same(*(without_figures(checkpoint.training) for checkpoint in (one, other)), where=file)
    monkeypatch.setattr(Trainer, "_advance", lambda *_: pytest.fail("what is finished is trained again"))
    assert main(command) == 0


def without_figures(training: dict[str, Any] | None) -> dict[str, Any] | None:
    """What resuming needs, without the last validation's figures, some of which are no numbers."""
    if training is None:
        return None
    return training | {"progress": {key: value for key, value in training["progress"].items() if key != "last_metrics"}}


def test_nothing_is_trained_over_and_nothing_old_is_taken_for_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that replaces another does not go on with stages of that."""
    (tmp_path / "stage").mkdir()
    (tmp_path / "config.yaml").write_text("engine: {}\n")
    for stage in ("keypoints", "boxes", "prn"):
        (tmp_path / stage).mkdir()
        for name in ("metrics.json", "last.pt", "best.pt"):
            (tmp_path / stage / name).touch()
    with pytest.raises(ConfigError, match="earlier run; go on with it by resume=true"):
        train.run([*TINY, f"output={tmp_path}"])
    with pytest.raises(ConfigError, match="give one of them"):
        train.run([*TINY, f"output={tmp_path}", "resume=true", "overwrite=true"])
    seen = []
    monkeypatch.setattr(chain, "train", lambda plan: seen.append(plan) or {})
    monkeypatch.setattr(chain, "combine", lambda *given: Path())
    train.run([*TINY, f"output={tmp_path}", "overwrite=true"])
    assert not any(plan.resume for plan in seen) and [Path(plan.place.output).name for plan in seen] == [
        "keypoints",
        "boxes",
        "prn",
    ]


def test_what_is_typed_holds_where_it_says_something(tmp_path: Path) -> None:
    plan = training_plan(
        ["experiment=multiposenet/all", "data.root=here", "backbone=resnet101_fpn", "stages.boxes.engine.steps=7", "seed=3"]
    )
    assert isinstance(plan, ChainPlan)
    keypoints, boxes, prn = (plan.stages[name] for name in ("keypoints", "boxes", "prn"))
    assert {stage.plan.data.options["root"] for stage in plan.stages.values()} == {"here"}
    assert {stage.plan.place.seed for stage in plan.stages.values()} == {3}
    networks = [
        one.model.backbone and one.model.backbone.options["network"] for one in (keypoints.plan, boxes.plan, plan.whole, prn.plan)
    ]
    assert networks == ["resnet101", "resnet101", "resnet101", None]  # labels need no backbone, and get none
    assert (keypoints.plan.engine.steps, boxes.plan.engine.steps) == (300000, 7)
    assert (boxes.after, plan.last) == (("keypoints",), ("boxes", "prn"))
    assert plan.whole.model.head_scales == {"retinanet": [1.667]} and boxes.plan.model.input_size == 800
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(plan.plain())), sort_keys=False))
    again = resumed_training(tmp_path, ["resume=true", f"output={tmp_path}", "stages.prn.engine.steps=9", "stages.boxes.seed=4"])
    assert isinstance(again, ChainPlan) and again.whole.resume
    assert [stage.plan.engine.steps for stage in again.stages.values()] == [300000, 7, 9]
    assert [stage.plan.place.seed for stage in again.stages.values()] == [3, 4, 3]


def test_two_ranks_train_a_chain_that_is_typed(tmp_path: Path) -> None:
    """They meet anew for each stage; and any experiment may be one."""
    stages = "stages={first: {experiment: multiposenet/prn}, second: {experiment: multiposenet/prn, after: [first], seed: 1}}"
    options = ["data=synthetic", "data.size=64", "heads.prn.hidden=[8]", "limit=8", "workers=0", f"output={tmp_path}"]
    engine = {"steps": 1, "batch_size": 4, "precision": "fp32", "validate_every": 0, "tensorboard": "false"}
    typed = [*options, *(f"engine.{name}={value}" for name, value in engine.items())]
    ended = in_ranks(main, ["train", "experiment=multiposenet/prn", stages, *typed])
    assert [one.code for one in ended] == [0, 0], ended
    whole, first, second = (load_checkpoint(tmp_path / name) for name in ("best.pt", "first/last.pt", "second/last.pt"))
    assert_same(whole.model, second.model)
    assert any(not torch.equal(tensor, first.model[name]) for name, tensor in second.model.items())
    assert second.training is not None and second.training["progress"]["step"] == 1 and len(second.training["random"]) == 2


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("stages.boxes.after=[keypoint]", "did you mean 'keypoints'"),
        ("stages.keypoints.after=[boxes]", "stages.keypoints.after"),
        ("stages.box.engine.steps=3", "no stage named 'box'; did you mean 'boxes'?"),
        ("stages.boxes.engine.step=3", "stage boxes: no key named 'engine.step'; did you mean engine.steps?"),
        ("stages=3", "stages should be a mapping"),
        ("stages.prn.takes=data", "stages.prn.takes should be a list"),
        ("stages.prn.takes=[dta]", "stages.prn.takes: no key named 'dta'; did you mean 'data'?"),
        ("stages.boxs.engine.steps=3", "no stage named 'boxs'; did you mean 'boxes'?"),
    ],
)
def test_a_mistake_in_any_stage_is_told_before_the_first_begins(typed: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        training_plan(["experiment=multiposenet/all", typed])
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("stages.boxs.engine.steps=3", "no stage named 'boxs'; did you mean 'boxes'?"),
        ("~stages.prn", "goes on with the stages that it began with"),
        ("stages={more: {experiment: multiposenet/prn}}", "goes on with the stages that it began with"),
    ],
)
def test_what_goes_on_refuses_other_stages(typed: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(training_plan(TINY).plain()))))
    with pytest.raises(ConfigError) as error:
        resumed_training(tmp_path, ["resume=true", f"output={tmp_path}", typed])
    assert words in str(error.value)


def test_plain_data_become_overrides_that_say_the_same() -> None:
    said = {
        "a": {"b": 1, "c": None},
        "d": [1, "x y", True],
        "e": "null",
        "f": "train[100:]",
        "g": {},
        "h": 1e-5,
        "i": "it's",
        "j": False,
    }
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(overrides_of(said))
    values = {entry.get_key_element(): entry.value() for entry in parsed}
    assert (
        values["a.b"] == 1
        and values["a.c"] is None
        and values["d"][0] == 1
        and str(values["d"][1]) == "x y"
        and values["d"][2] is True
    )
    texts = {key: str(getattr(values[key], "text", values[key])) for key in "efi"}
    assert texts == {"e": "null", "f": "train[100:]", "i": "it's"}
    assert values["g"] == {} and values["h"] == 1e-5 and values["j"] is False
