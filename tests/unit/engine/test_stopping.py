"""A plateau lowers the learning rate as torch's own schedule does, and ends a run that nothing brings on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from bottomup.checkpoint import load_checkpoint
from bottomup.engine.optim import Schedule
from bottomup.engine.settings import Validation
from bottomup.engine.trainer import Trainer
from bottomup.model import PoseModel
from tests.engine.runs import make_trainer


@pytest.mark.parametrize("patience", [0, 1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_a_plateau_is_torchs(patience: int, seed: int) -> None:
    optimiser = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    theirs = ReduceLROnPlateau(optimiser, mode="max", factor=0.1, patience=patience, threshold=0.0, threshold_mode="abs")
    _, ours = Schedule(name="plateau", gamma=0.1, patience=patience).over(torch.optim.SGD(nn.Linear(1, 1).parameters()), 100)
    for score in torch.randint(5, (40,), generator=torch.Generator().manual_seed(seed)).tolist():
        theirs.step(score)
        ours.observe(float(score))
        rate = optimiser.param_groups[0]["lr"]
        if rate > 1e-7:  # torch leaves a rate alone that would change by less than 1e-8
            assert ours(0) == pytest.approx(rate)


def trainer_of(folder: Path, scores: list[float], **options: object) -> Trainer:
    """A run whose validations, one a step, give these scores."""
    trainer = make_trainer(folder, validate_every=1, checkpoint_every=100, steps=len(scores), average=None, **options)

    def judge(model: PoseModel) -> Validation:
        return Validation({"AP": scores[trainer.step - 1]})

    trainer.validate = judge
    return trainer


SCORES = [0.1, 0.3, 0.2, 0.3, 0.25, 0.9, 0.9]


@pytest.mark.parametrize(("stop_after", "last"), [(1, 3), (2, 4), (3, 5), (4, 7), (None, 7)])
def test_a_run_ends_where_validations_bring_nothing_better(stop_after: int | None, last: int, tmp_path: Path) -> None:
    """As good is no better; the best weights stay, and last.pt is of the last step."""
    trainer = trainer_of(tmp_path, SCORES, stop_after=stop_after)
    trainer.fit()
    assert trainer.step == last and trainer.finished
    training = load_checkpoint(tmp_path / "last.pt").training
    assert training is not None and training["progress"]["step"] == last
    assert (trainer.best, trainer.best_step) == ((0.9, 6) if last == 7 else (0.3, 2))


def test_a_resumed_run_has_waited_as_long_as_the_uninterrupted_one(tmp_path: Path) -> None:
    """Whatever its schedule; and what is over stays over."""
    for schedule in ("constant", "plateau"):
        folder = tmp_path / schedule
        trainer_of(folder, SCORES[:4], stop_after=3, schedule={"name": schedule}).fit()
        resumed = trainer_of(folder, SCORES, stop_after=3, schedule={"name": schedule})
        resumed.resume(folder / "last.pt")
        assert resumed.factor.stale == 2
        resumed.fit()
        assert resumed.step == 5
        over = trainer_of(folder, SCORES, stop_after=3, schedule={"name": schedule})
        over.resume(folder / "last.pt")
        over.fit()
        assert over.step == 5
        steps = [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]
        assert max(steps) == 5
