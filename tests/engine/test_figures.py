"""A figure that stays below what its head must reach is told of; one that was there once is not."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from bottomup.engine.figures import FigureWatch
from bottomup.errors import BottomupWarning
from bottomup.heads.tags import Tags
from tests.engine.runs import make_trainer

LEAST = Tags.least["between"].value


def watch(tmp_path: Path) -> FigureWatch:
    return FigureWatch(make_trainer(tmp_path).model, steps=1000)


def test_tags_that_stay_together_are_told_of_once(tmp_path: Path) -> None:
    figures = watch(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for step in range(0, 500, 20):
            figures(step, {"tags/between": 0.9 * LEAST})
    with pytest.warns(BottomupWarning, match=r"tags/between is .* heads\.tags\.pull"):
        figures(500, {"tags/between": 0.9 * LEAST})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures(2000, {"tags/between": 0.0})


@pytest.mark.parametrize("reached", [{"tags/between": 1.1 * LEAST}])
def test_tags_that_came_apart_are_not(reached: dict[str, float], tmp_path: Path) -> None:
    figures = watch(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for step in range(0, 2000, 20):
            figures(step, reached if step == 480 else {"tags/between": 0.9 * LEAST})


def test_steps_without_two_people_say_nothing(tmp_path: Path) -> None:
    figures = watch(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for step in range(0, 2000, 20):
            figures(step, {"tags/between": float("nan")} if step % 40 else {})


def test_training_tells_of_tags_that_stay_together(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, steps=6, log_every=1, validate_every=0, optimiser={"name": "sgd", "lr": 1e-9})
    trainer.figures.patience = 3
    with pytest.warns(BottomupWarning, match="tags/between"):
        trainer.fit()
