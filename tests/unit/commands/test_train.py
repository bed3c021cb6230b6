"""A training run judges itself by loss and poses, and never writes over an earlier one unasked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from bottomup.checkpoint import load_checkpoint
from bottomup.cli import main
from bottomup.commands.train import DEMONSTRATION, planned
from bottomup.engine.distributed import Ranks
from bottomup.errors import ConfigError
from bottomup.model import PoseModel
from bottomup.plan.training import TrainPlan, train_plan
from bottomup.workflows import pace
from bottomup.workflows.folders import check_training_folder
from bottomup.workflows.train import describe
from bottomup.workflows.validation import Judge, make_validation

DATA = ["data=synthetic", "data.size=64", "data.images=5", "input_size=64", "workers=0", "validation.limit=4"]
TINY = ["backbone=hourglass_tiny", "engine.steps=1", "engine.batch_size=2", "engine.tensorboard=false", "device=cpu", *DATA]
PYRAMIDS = ["backbone=mobilenetv2_fpn", "necks.keypoints.channels=8", "necks.keypoints.reduced=4", "necks.people.channels=8"]
KEYPOINTS = ["experiment=multiposenet/keypoints", *PYRAMIDS, "backbone.pretrained=false", *DATA, "heads.proposals.count=3"]
PERSONS = ["experiment=multiposenet/prn", *DATA, "data.people=[2,2]", "heads.prn.hidden=[4]", "engine.precision=fp32"]


def judged(options: list[str], fresh: list[str] | None = None) -> tuple[Judge, PoseModel, TrainPlan]:
    """The validation of a training run as configured, with its untrained model."""
    plan = train_plan(options)
    model, decoder = plan.model.compose(plan.data.dataset("train").task)
    fresh = list(model.state_dict()) if fresh is None else fresh
    judge = make_validation(plan, model, decoder, Ranks(), fresh)
    return judge, model.eval(), plan


@pytest.mark.parametrize("options", [TINY, PERSONS], ids=["images", "persons"])
def test_the_loss_of_a_split_is_the_mean_of_its_samples_whatever_the_batches(options: list[str]) -> None:
    (one, model, _), (three, _, _) = (judged([*options, f"engine.batch_size={size}"]) for size in (1, 3))
    alone, together = one.losses(model), three.losses(model)
    assert together == pytest.approx(alone, rel=1e-4) and all(parameter.grad is None for parameter in model.parameters())


def test_the_loss_is_weighted_as_in_training() -> None:
    judge, model, _ = judged(TINY)
    losses = judge.losses(model)
    terms = {name: losses[f"loss/{name}"] for name in ("heatmap/mse", "tags/pull", "tags/push")}
    assert losses["loss"] == pytest.approx(terms["heatmap/mse"] + 1e-3 * (terms["tags/pull"] + terms["tags/push"]), rel=1e-5)


def test_a_validation_gives_the_loss_and_the_poses() -> None:
    judge, model, _ = judged(TINY)
    found = judge(model)
    assert {"loss", "AP", "AR", "loss/heatmap/mse"} <= found.metrics.keys() and "val" in found.pictures


def test_persons_are_judged_where_persons_are_trained() -> None:
    judge, model, plan = judged(PERSONS)
    seen: list[tuple[int, ...]] = []
    model.eval().stack("prn").last.register_forward_hook(lambda *call: seen.append(tuple(call[2]["assignment_logits"].shape[:2])))
    judge.losses(model)
    assert plan.data.unit == "person" and sum(batch for batch, _ in seen) == 2 * 4  # two in each image
    assert {boxes for _, boxes in seen} == {1} and not model.stack("proposals").last.training  # neighbours do not count


def test_the_side_that_is_named_is_the_one_that_is_trained_at(capsys: pytest.CaptureFixture[str]) -> None:
    """P7, for which sides are multiples of 128, is predicted but not trained."""
    model = judged(KEYPOINTS)[1]
    describe(model, 160)
    assert (model.side(160, "all"), model.side(160)) == (160, 256) and "at 160x160" in capsys.readouterr().err


@pytest.mark.parametrize(("most", "told"), [(60.0, False), (1e-3, True)])
def test_a_first_step_that_takes_long_says_how_long_all_will(
    most: float, told: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(pace, "_LONG", most)
    assert main(["train", *TINY, "engine.validate_every=0", f"output={tmp_path}"]) == 0
    lines = capsys.readouterr().err.splitlines()
    begun = [line for line in lines if line.startswith("training on cpu in ")]
    assert len(begun) == 1 and begun[0].endswith(", 2 images a step, step 1 to 1")
    slow = [line for line in lines if line.startswith("the first step takes ")]
    assert bool(slow) is told and all(" for an epoch of 5 images, " in line for line in slow)
    assert all(
        line.endswith("; small: experiment=coco_small/associative_embedding, experiment=demo/associative_embedding")
        for line in slow
    )
    if told:  # while it is waited for, and when it is done
        assert ["more than" in line for line in slow] == [True, False] and lines.index(begun[0]) < lines.index(slow[0])


def test_heads_that_are_not_trained_are_not_decoded() -> None:
    """Keypoints are trained before boxes: there are no poses yet, and the loss alone is measured."""
    judge, model, _ = judged(KEYPOINTS)
    model.stack("retinanet").last.register_forward_hook(lambda *_: pytest.fail("costs time for nothing"))
    found = judge(model)
    assert {"loss", "loss/heatmap/mse", "loss/segmentation/mask"} <= found.metrics.keys() and "AP" not in found.metrics
    assert judged(KEYPOINTS, fresh=[])[0].decoder is not None  # all of it taken over from somewhere


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([*KEYPOINTS, "engine.best=AP"], "heads retinanet are neither trained nor"),
        ([*TINY, "engine.best=APX"], "did you mean 'AP'"),
    ],
)
def test_a_best_figure_that_there_will_never_be_is_refused_at_once(options: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        judged(options)


def test_a_run_keeps_the_weights_of_the_least_loss(tmp_path: Path) -> None:
    options = ["engine.steps=2", "engine.validate_every=1", "engine.best=loss", f"output={tmp_path}"]
    assert main(["train", *TINY, *options]) == 0
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    measured = [entry["val/loss"] for entry in entries if "val/loss" in entry]
    best = json.loads((tmp_path / "metrics.json").read_text())["best"]
    assert best == {"loss": min(measured), "step": 1 + measured.index(min(measured))}


def test_an_earlier_run_is_replaced_only_where_that_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = ["train", *TINY, f"output={tmp_path}"]
    assert main([*train, "engine.validate_every=1"]) == 0
    before = (tmp_path / "last.pt").read_bytes()
    assert main([*train, "engine.validate_every=0"]) == 1
    printed = capsys.readouterr().err
    assert all(remedy in printed for remedy in ("resume=true", "another output=", "overwrite=true"))
    assert (tmp_path / "last.pt").read_bytes() == before
    own = [f"init={tmp_path}/last.pt", "engine.validate_every=0"]
    assert main([*train, *own, "overwrite=true"]) == 0  # from itself, too
    assert not (tmp_path / "best.pt").exists()  # it was the earlier run's
    assert main([*train, "engine.steps=2", "resume=true"]) == 0
    assert main([*train, "engine.steps=2", "resume=true"]) == 0 and "all 2 steps are done" in capsys.readouterr().err


def test_a_run_is_resumed_by_its_folder_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the folder lies all that was typed; what is typed again holds from here on."""
    own = ["heads.tags.dim=2", "engine.validate_every=0", "engine.optimiser.lr=0.002", "engine.schedule.name=constant"]
    assert main(["train", *TINY, *own, f"output={tmp_path}", "overwrite=true"]) == 0
    assert main(["train", "resume=true", f"output={tmp_path}", "engine.steps=2", "engine.schedule={name: cosine}"]) == 0
    assert "going on after step 1 of 2" in capsys.readouterr().err
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert config["heads"]["tags"]["dim"] == 2 and config["engine"]["optimiser"]["lr"] == 0.002
    assert (config["engine"]["steps"], config["engine"]["schedule"]["name"], config["overwrite"]) == (2, "cosine", False)
    assert [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1]  # log_every is 20
    assert load_checkpoint(tmp_path / "last.pt").config["data"] == plan_of(tmp_path).data.carried()


def plan_of(folder: Path) -> TrainPlan:
    return TrainPlan.of(yaml.safe_load((folder / "config.yaml").read_text()))


def test_a_folder_that_holds_something_else_is_never_trained_into(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photo.jpg").touch()
    for more in ([], ["overwrite=true"]):
        assert main(["train", *TINY, f"output={tmp_path}", *more]) == 1
        assert "such as photo.jpg; give another output=" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("held", [{}, {".hidden": ""}, {"config.yaml": "engine: {}"}, {"log.jsonl": "", "evaluate": None}])
def test_a_run_that_ended_before_its_first_checkpoint_can_be_replaced(held: dict[str, str | None], tmp_path: Path) -> None:
    for name, text in held.items():
        (tmp_path / name).mkdir() if text is None else (tmp_path / name).write_text(text)
    check_training_folder(tmp_path, resume=False, overwrite=True)
    if any(not name.startswith(".") for name in held):
        with pytest.raises(ConfigError, match=r"ended before it wrote last\.pt; start it anew by overwrite=true"):
            check_training_folder(tmp_path, resume=False, overwrite=False)


def test_where_nothing_is_said_a_small_run_is_planned_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    demo = train_plan([DEMONSTRATION])
    assert planned([]) == demo and DEMONSTRATION in capsys.readouterr().err
    assert planned(["device=cpu", "engine.steps=3"]).engine == replace(demo.engine, steps=3)
    capsys.readouterr()
    for said in ("method=associative_embedding", "data=synthetic", "backbone=hourglass_tiny", "engine=personlab", "input_size=64"):
        assert planned([said]) == train_plan([said]) and not capsys.readouterr().err


def test_losses_are_lines_where_there_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["engine.steps=4", "engine.log_every=2", "engine.validate_every=0", f"output={tmp_path}"]
    assert main(["train", *TINY, *options]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("step ")]
    assert [line.split(":")[0] for line in told] == ["step 1 of 4", "step 2 of 4", "step 4 of 4"]
    assert all("images/s, loss 0." in line for line in told)


def test_batch_norm_is_judged_by_its_statistics_and_leaves_them() -> None:
    judge, model, _ = judged([*TINY, "backbone.batch_norm=true"])
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms if norm.running_mean is not None]
    judge.losses(model)
    assert norms and all(torch.equal(a, norm.running_mean) for a, norm in zip(before, norms, strict=True))
