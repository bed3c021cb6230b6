"""Trainings one after another: each starts from the best weights of earlier ones, and all become one checkpoint."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from bottomup.engine.distributed import Ranks, ranks
from bottomup.errors import CheckpointError, ConfigError, InterruptedRunError
from bottomup.plan.chain import ChainPlan, Stage
from bottomup.plan.training import TrainPlan
from bottomup.workflows.combine import combine
from bottomup.workflows.folders import BEST, LAST, holds_training, remove_earlier, write_config
from bottomup.workflows.train import train

_DONE = "metrics.json"  # what a training writes at its end


def train_chain(plan: ChainPlan) -> dict[str, float]:
    """Train every stage into a folder of its name, and join them in ``best.pt``; returns the last stage's figures.

    With ``resume`` stages that are finished stay as they are, and the one that was interrupted goes on from its ``last.pt``.
    """
    folder = plan.whole.place.folder("train")
    with ranks(plan.whole.place.chosen_device()) as place:
        if place.first:
            _check_folder(folder, plan)
            if plan.whole.overwrite:
                for name in plan.stages:
                    remove_earlier(folder / name)
                (folder / BEST).unlink(missing_ok=True)
            write_config(folder, plan.plain())
        place.wait()  # nobody writes before the folder is checked
        figures = _train_stages(plan, folder, place)
        if place.first:
            files = [best_of(folder / name) for name in plan.last]
            print(combine(plan.whole.model, files, folder / BEST, plan.whole.data), file=sys.stderr)
        return figures


def _train_stages(plan: ChainPlan, folder: Path, place: Ranks) -> dict[str, float]:
    """Train those stages that are not finished; returns the last one's figures."""
    figures: dict[str, float] = {}
    for number, (name, stage) in enumerate(plan.stages.items(), 1):
        if plan.whole.resume and (folder / name / _DONE).is_file():
            continue
        if place.first:
            print(f"stage {number} of {len(plan.stages)}: {name}, into {folder / name}", file=sys.stderr)
        try:
            figures = train(_placed(stage, name, folder, plan.whole.resume))
        except InterruptedRunError as error:
            raise InterruptedRunError(f"stage {name} was interrupted; continue with resume=true output={folder}") from error
    return figures


def best_of(folder: Path) -> Path:
    """The best weights of a finished training, the last ones where nothing was validated."""
    return folder / (BEST if (folder / BEST).is_file() else LAST)


def _placed(stage: Stage, name: str, folder: Path, resume: bool) -> TrainPlan:
    """A stage's plan in its folder, from the weights that it comes after, or from where it was interrupted."""
    place = replace(stage.plan.place, output=str(folder / name))
    begun = resume and (folder / name / LAST).is_file()
    init = tuple(str(best_of(folder / earlier)) for earlier in stage.after) or stage.plan.init
    overwrite = not begun and holds_training(folder / name)  # it ended before its first checkpoint, or is to be replaced
    return replace(stage.plan, place=place, init=init, resume=begun, overwrite=overwrite)


def _check_folder(folder: Path, plan: ChainPlan) -> None:
    """Refuse to go on from nothing, and to train into a folder that holds something, unless that is to be replaced."""
    begun, held = holds_training(folder), sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if plan.whole.resume and plan.whole.overwrite:
        raise ConfigError("resume=true goes on with a run and overwrite=true replaces it; give one of them")
    if plan.whole.resume and not begun:
        raise CheckpointError(f"resume=true, but there is no run in {folder}; give the output= folder of the interrupted run")
    if held and not begun:
        raise ConfigError(
            f"output={folder} holds something else than a training run, such as {held[0]}; give another output=, a new folder"
        )
    if held and not (plan.whole.resume or plan.whole.overwrite):
        raise ConfigError(
            f"{folder} holds an earlier run; go on with it by resume=true, give another output=, or replace it by overwrite=true"
        )
