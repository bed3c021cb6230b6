"""What a model trains on."""

from __future__ import annotations

from functools import partial

from bottomup.dataset import Dataset
from bottomup.errors import ConfigError
from bottomup.model import PoseModel
from bottomup.options import check_options
from bottomup.plan.training import TrainPlan
from bottomup.samples.augment import Augment
from bottomup.samples.labels import Labels, Persons
from bottomup.samples.loader import TrainingSet
from bottomup.skeletons import warn_of_mirroring


def training_dataset(plan: TrainPlan, dataset: Dataset, model: PoseModel) -> Dataset:
    """Images, their labels alone where ``model`` reads no pixel in training, or single persons (``data.unit``)."""
    reads_images = model.reads_images(model.wanted("all"), model.keys_of(plan.model.given))
    if plan.data.unit == "person":
        if reads_images:
            raise ConfigError("data.unit=person trains on labels alone; give what images are for: given=[candidates,proposals]")
        return Persons(dataset, plan.data.min_keypoints, plan.data.max_people)
    return dataset if reads_images else Labels(dataset)


def training_set(plan: TrainPlan, dataset: Dataset, model: PoseModel, extra: frozenset[str] = frozenset()) -> TrainingSet:
    """The augmented samples that ``model`` trains on; ``extra`` names maps that it does not need itself."""
    check_options("augment", Augment, plan.augment)
    side = model.side(plan.model.input_size, "all")
    flip_order = dataset.task.skeleton.flip_order if dataset.task.skeleton else ()
    accept = partial(model.side, stages="all")
    augment = Augment((side, side), model.fill.tolist(), flip_order, plan.model.input_size, accept, **plan.augment)
    if augment.flip:
        warn_of_mirroring(dataset.task.skeleton)
    return TrainingSet(dataset, augment, model.ignores | extra, plan.place.seed)
