"""Nothing is lost: a killed run goes on exactly, Ctrl-C ends with a checkpoint, a bad loss stops with its images."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from bottomup.checkpoint import initialise, load_checkpoint, load_weights, save_checkpoint
from bottomup.cli import main
from bottomup.engine import interruption
from bottomup.engine.log import Log
from bottomup.engine.settings import Validation
from bottomup.engine.trainer import Trainer
from bottomup.errors import CheckpointError, InterruptedRunError, TrainingError
from bottomup.model import PoseModel
from tests.engine.runs import make_model, make_trainer, train, train_until_told
from tests.ranks import in_ranks

ROOT = Path(__file__).parents[2]


def run(folder: Path, die_at: int) -> int | None:
    (ended,) = in_ranks(train, folder, die_at, world=1)
    return ended.code


def assert_same(a: Any, b: Any, where: str = "") -> None:
    """Equal to the last bit, through all of two checkpoints."""
    assert type(a) is type(b), where
    if isinstance(a, Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for index, (one, other) in enumerate(zip(a, b, strict=True)):
            assert_same(one, other, f"{where}/{index}")
    else:
        assert a == b, where


def test_tensorboard_keeps_the_step_that_is_resumed_from(tmp_path: Path) -> None:
    for first, last in ((0, 3), (2, 4)):  # interrupted after the third step, with the second's checkpoint
        log = Log(tmp_path, first, 4)
        for step in range(first + 1, last + 1):
            log.scalars(step, {"loss": float(step + first)})
        log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"), purge_orphaned_data=True).Reload().Scalars("loss")
    assert [(event.step, event.value) for event in events] == [(1, 1.0), (2, 2.0), (3, 5.0), (4, 6.0)]


def test_what_is_configured_anew_holds_after_a_resume(tmp_path: Path) -> None:
    """A longer cosine and another learning rate take effect, at the step that the run has come to."""
    first = {"schedule": {"name": "cosine"}, "optimiser": {"name": "adam", "lr": 1e-3}, "average": None, "validate_every": 0}
    make_trainer(tmp_path, steps=4, **first).fit()
    longer = make_trainer(tmp_path, steps=8, **(first | {"optimiser": {"name": "adam", "lr": 4e-3, "betas": (0.8, 0.9)}}))
    longer.resume(tmp_path / "last.pt")
    (group,) = longer.optimiser.param_groups
    assert group["lr"] == pytest.approx(4e-3 / 2) and group["betas"] == (0.8, 0.9)  # half way of eight
    assert all(state["step"] == 4 for state in longer.optimiser.state.values())


def test_another_precision_goes_on_with_a_scaler_of_its_own(tmp_path: Path) -> None:
    """fp16 scales gradients, which fp32 before it did not; and back."""
    for steps, precision in ((2, "fp32"), (4, "fp16"), (6, "fp32")):
        trainer = make_trainer(tmp_path, steps=steps, precision=precision)
        if steps > 2:
            trainer.resume(tmp_path / "last.pt")
        trainer.fit()
        assert (trainer.step, trainer.scaler.is_enabled()) == (steps, precision == "fp16")


@pytest.mark.parametrize(
    ("optimiser", "words"),
    [
        ({"name": "adam", "lr": 1e-3, "groups": {"backbone": {"lr_scale": 0.1}}}, "engine.optimiser.groups"),
        ({"name": "sgd", "lr": 1e-3, "momentum": 0.9}, "this SGD"),
    ],
)
def test_an_optimiser_that_cannot_go_on_is_refused(optimiser: dict[str, Any], words: str, tmp_path: Path) -> None:
    make_trainer(tmp_path, steps=2).fit()
    with pytest.raises(CheckpointError, match=words):
        make_trainer(tmp_path, steps=4, optimiser=optimiser).resume(tmp_path / "last.pt")


def test_a_resumed_run_never_compares_figures_of_two_kinds(tmp_path: Path) -> None:
    make_trainer(tmp_path, steps=3).fit()
    same = make_trainer(tmp_path, steps=6)
    same.resume(tmp_path / "last.pt")
    assert same.best is not None and same.factor.best == same.best
    other = make_trainer(tmp_path, steps=6, best="loss")
    other.resume(tmp_path / "last.pt")
    assert other.best is None and other.factor.best == -math.inf


def test_a_run_killed_at_three_steps_is_the_uninterrupted_one(tmp_path: Path) -> None:
    assert run(tmp_path / "whole", die_at=-1) == 0
    for die_at in (6, 7, 13):  # between checkpoints (every 4), in the middle of epochs of 2 steps
        assert run(tmp_path / "killed", die_at) == -9
    assert run(tmp_path / "killed", die_at=-1) == 0
    whole, killed = (load_checkpoint(tmp_path / name / "last.pt") for name in ("whole", "killed"))
    assert whole.average is not None and whole.training is not None
    for part in ("model", "average", "training"):
        assert_same(getattr(whole, part), getattr(killed, part), part)
    steps = [json.loads(line)["step"] for line in (tmp_path / "killed" / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


def test_two_ranks_resume_with_the_random_numbers_of_each(tmp_path: Path) -> None:
    """Dropout differs from rank to rank, and goes on where it was."""
    options = ["experiment=multiposenet/prn", "data=synthetic", "data.size=64", "heads.prn.hidden=[8]", "limit=16", "workers=0"]
    engine = [
        "batch_size=8",
        "schedule={name:constant}",
        "precision=fp32",
        "validate_every=0",
        "checkpoint_every=0",
        "tensorboard=false",
    ]
    typed = ["train", *options, *(f"engine.{option}" for option in engine)]
    for folder, last, resume in (("whole", 4, "false"), ("halves", 2, "false"), ("halves", 4, "true")):
        arguments = [f"engine.steps={last}", f"resume={resume}", f"output={tmp_path / folder}"]
        ended = in_ranks(main, [*typed, *arguments])
        assert [one.code for one in ended] == [0, 0], ended
    whole, halves = (load_checkpoint(tmp_path / folder / "last.pt") for folder in ("whole", "halves"))
    assert_same(whole.model, halves.model)
    assert whole.training is not None and halves.training is not None
    first, second = whole.training["random"]
    assert not torch.equal(first["cpu"], second["cpu"])
    assert_same(whole.training, halves.training)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_a_checkpoint_though_it_goes_to_all_processes(ending: signal.Signals, tmp_path: Path) -> None:
    (ended,) = in_ranks(train_until_told, tmp_path, ending, world=1)
    assert ended.code and "continue with resume=true" in ended.said
    assert load_checkpoint(tmp_path / "last.pt").training is not None


def test_an_interrupted_run_ends_with_a_checkpoint(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, steps=1000, log_every=1)

    def interrupt(trainer: Any, figures: dict[str, float]) -> None:
        trainer.interruption.asked = trainer.step == 5

    trainer.on_step = interrupt
    with pytest.raises(InterruptedRunError, match="resume=true"):
        trainer.fit()
    state = load_checkpoint(tmp_path / "last.pt").training
    assert state is not None and state["progress"]["step"] == 5


def test_another_ctrl_c_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even within a validation, of hours perhaps."""
    monkeypatch.setattr(interruption, "_SAME", 0.0)
    trainer = make_trainer(tmp_path, steps=3, validate_every=1)

    def endless(_: PoseModel) -> Validation:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        pytest.fail("went on")

    trainer.validate = endless
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(InterruptedRunError, match=r"at once, at step 1; resume=true output="):
        trainer.fit()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_ctrl_c_that_is_heard_twice_counts_once() -> None:
    """torchrun hands on what the terminal has told its processes already; and SIGTERM never ends without a checkpoint."""
    heard = interruption.Interruption()
    with heard.caught():
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
            os.kill(os.getpid(), number)
            time.sleep(0.01)
    assert heard.asked


def test_a_loss_that_is_not_finite_stops_with_its_images(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, steps=20, optimiser={"name": "sgd", "lr": 1e30}, schedule={"name": "constant"}, clip=None)
    with pytest.raises(TrainingError, match="not finite"):
        trainer.fit()
    report = json.loads((tmp_path / "non_finite_rank0.json").read_text())
    assert report["images"] and "heatmap/mse" in report["images"][0]
    assert not (tmp_path / "last.pt").exists() or all(
        tensor.isfinite().all() for tensor in load_checkpoint(tmp_path / "last.pt").model.values()
    )


def test_broken_and_foreign_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.pt")
    trainer = make_trainer(tmp_path, steps=1)
    trainer.fit()
    whole = (tmp_path / "last.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"cut\.pt.*cut short"):
        load_checkpoint(tmp_path / "cut.pt")
    torch.save({"state_dict": {}}, tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match=r"not a bottomup checkpoint; .*backbone\.weights=FILE"):
        load_checkpoint(tmp_path / "foreign.pt")
    held = torch.load(tmp_path / "last.pt", weights_only=True)
    for change, told in (
        ({"format": "bottomup checkpoint 2"}, "a bottomup checkpoint 2, of a later version"),
        ({"config": None, "model": []}, "without its config, model"),
    ):
        torch.save(held | change, tmp_path / "changed.pt")
        with pytest.raises(CheckpointError, match=told):
            load_checkpoint(tmp_path / "changed.pt")
    trainer.save("best.pt", training=False)
    with pytest.raises(CheckpointError, match="weights alone"):
        make_trainer(tmp_path, steps=1).resume(tmp_path / "best.pt")


def test_weights_that_are_not_finite_end_the_run_and_leave_the_last_good_checkpoint(tmp_path: Path) -> None:
    """Even where the last step spoils them, after which no loss would tell."""
    trainer = make_trainer(tmp_path, steps=6, checkpoint_every=2, validate_every=0, log_every=1)

    def spoil(trainer: Trainer, figures: dict[str, float]) -> None:
        if trainer.step == 6:
            torch.nn.init.constant_(next(trainer.model.parameters()), torch.inf)

    trainer.on_step = spoil
    with pytest.raises(TrainingError, match=r"after step 6 weights are not finite \(backbone\..*engine\.optimiser\.lr"):
        trainer.fit()
    training = load_checkpoint(tmp_path / "last.pt").training
    assert training is not None and training["progress"]["step"] == 4


def test_a_last_step_that_is_too_long_ends_with_an_error(tmp_path: Path) -> None:
    options: dict[str, Any] = {"optimiser": {"name": "sgd", "lr": 1e38}, "schedule": {"name": "constant"}, "clip": None}
    trainer = make_trainer(tmp_path, steps=1, batch_size=2, average=None, validate_every=0, **options)
    for parameter in trainer.model.parameters():
        parameter.register_hook(lambda gradient: gradient + 10)
    with pytest.raises(TrainingError, match="after step 1 weights are not finite"):
        trainer.fit()
    assert not (tmp_path / "last.pt").exists()


@pytest.mark.parametrize("what", ["model", "average"])
def test_weights_that_are_not_finite_are_neither_written_nor_read(what: str, tmp_path: Path) -> None:
    make_trainer(tmp_path, steps=4).fit()
    good = load_checkpoint(tmp_path / "last.pt")
    weights = {name: tensor.clone() for name, tensor in getattr(good, what).items()}
    spoiled = next(name for name, tensor in weights.items() if tensor.is_floating_point())
    weights[spoiled].fill_(torch.nan)
    with pytest.raises(CheckpointError, match=f"not written: .*not finite.*{spoiled}"):
        save_checkpoint(tmp_path / "bad.pt", replace(good, **{what: weights}))
    assert not (tmp_path / "bad.pt").exists()
    data = torch.load(tmp_path / "last.pt", weights_only=True) | {what: weights}
    torch.save(data, tmp_path / "bad.pt")
    for load in (load_checkpoint, make_trainer(tmp_path / "new").resume, lambda path: initialise(make_model(), [path])):
        with pytest.raises(CheckpointError, match=f"bad.pt: .*not finite.*{spoiled}"):
            load(tmp_path / "bad.pt")
    if what == "model":
        with pytest.raises(CheckpointError, match="not finite"):
            load_weights(make_model(), weights, "somewhere")
