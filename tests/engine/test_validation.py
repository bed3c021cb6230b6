"""The best checkpoint is that of the best score, whatever else validation says."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bottomup.checkpoint import load_checkpoint
from bottomup.engine.settings import Validation
from bottomup.errors import ConfigError
from tests.engine.runs import make_trainer

NAN = math.nan


@pytest.mark.parametrize(
    ("scores", "best", "step"),
    [([0.2, 0.5, 0.4], 0.5, 2), ([NAN, 0.5, NAN], 0.5, 2), ([NAN, NAN, 0.1], 0.1, 3), ([0.3, NAN, 0.2], 0.3, 1)],
)
def test_the_best_score_is_kept_and_one_that_is_no_number_never_stays(
    tmp_path: Path, scores: list[float], best: float, step: int
) -> None:
    trainer = make_trainer(tmp_path, steps=3, validate_every=1)
    given = iter(scores)
    trainer.validate = lambda model: Validation({"AP": next(given)}, {})
    trainer.fit()
    assert (trainer.best, trainer.best_step) == (best, step)
    assert load_checkpoint(tmp_path / "best.pt").training is None


def test_the_least_loss_is_the_best_and_a_plateau_waits_for_a_lesser_one(tmp_path: Path) -> None:
    trainer = make_trainer(
        tmp_path, steps=4, validate_every=1, best="loss", schedule={"name": "plateau", "patience": 0, "gamma": 0.5}
    )
    given = iter([0.9, 0.3, 0.5, 0.2])
    trainer.validate = lambda model: Validation({"AP": 0.0, "loss": next(given)})
    scales = []
    trainer.on_validate = lambda trainer, metrics: scales.append(trainer.factor.scale)
    trainer.fit()
    assert (trainer.best, trainer.best_step, scales) == (0.2, 4, [1, 1, 0.5, 0.5])


def test_a_best_figure_that_a_validation_does_not_give_is_refused(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, steps=2, validate_every=1, best="APP")
    with pytest.raises(ConfigError, match="did you mean 'AP'"):
        trainer.fit()


def test_without_any_number_there_is_a_best_checkpoint_all_the_same(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, steps=2, validate_every=1)
    trainer.validate = lambda model: Validation({"AP": NAN}, {})
    trainer.fit()
    assert (tmp_path / "best.pt").is_file()
