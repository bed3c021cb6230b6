"""``bottomup train``: read, augment, train, validate, keep the best; ``resume=true output=FOLDER`` goes on with a run.

With ``stages`` it is several trainings, each from the best weights of earlier ones, and one checkpoint of all at the end. Where
nothing says what is to be trained, that is a small network on drawn people, for minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bottomup.errors import ConfigError
from bottomup.paths import path_of
from bottomup.plan.chain import ChainPlan, resumed_training, training_plan
from bottomup.plan.overrides import key_of, parts_of, value_of
from bottomup.plan.training import TrainPlan
from bottomup.workflows.chain import train_chain
from bottomup.workflows.train import train

DEMONSTRATION = "experiment=demo/associative_embedding"

# Keys that say how and where something is trained, not what.
_OF_ANY_RUN = ("show", "output", "seed", "device", "workers", "resume", "overwrite", "engine", "validation")


def run(overrides: Sequence[str] = ()) -> dict[str, float]:
    """Train as the overrides say; returns the last validation's figures."""
    plan = planned(overrides)
    return train_chain(plan) if isinstance(plan, ChainPlan) else train(plan)


def planned(overrides: Sequence[str]) -> TrainPlan | ChainPlan:
    """The plan of what is typed: of the run that is resumed, and where nothing is said of a demonstration."""
    said = {key_of(override): override for override in overrides}
    if "resume" in said and str(value_of(said["resume"])).lower() == "true":
        folder = value_of(said["output"]) if "output" in said else None
        if folder is None:
            raise ConfigError("resume=true needs output=, the folder of the run to go on with")
        return resumed_training(path_of(folder), overrides)
    if all(parts_of(override)[0] in _OF_ANY_RUN and key_of(override) != "engine" for override in overrides):
        plan = training_plan([DEMONSTRATION, *overrides])
        print(
            f"nothing says what to train: {DEMONSTRATION}, a small network on drawn people, two to four minutes on two CPU cores "
            "(your own data: data=coco data.root=FOLDER; bottomup train --help)",
            file=sys.stderr,
        )
        return plan
    return training_plan(overrides)
