"""What a training run is judged by on the way: the loss and the poses of the validation split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import torch

from bottomup.contracts import Decoder
from bottomup.dataset import Dataset
from bottomup.engine.distributed import Ranks
from bottomup.engine.objective import LOSS, Losses, forward_losses, mean_figures
from bottomup.engine.settings import Validation
from bottomup.errors import ConfigError, unknown, warn
from bottomup.evaluation.limits import limits_of, warn_of_limits
from bottomup.evaluation.run import Evaluation, evaluate_dataset, measures_for
from bottomup.model import PoseModel
from bottomup.plan.training import TrainPlan
from bottomup.precision import PRECISIONS, Precision, precision_on
from bottomup.predictor import Predictor
from bottomup.samples.groups import Group, drawn_alike, groups_of
from bottomup.samples.letterbox import letterbox
from bottomup.samples.loader import buckets, prepared_samples
from bottomup.samples.subset import Subset
from bottomup.types import Sample
from bottomup.visualize import contact_sheet, draw_instances
from bottomup.workflows.samples import training_dataset

_SHOWN = 4  # images
_TOGETHER = 8  # images, however many ranks share a step: batches of one size give the figures of one process; as the predictor's


def make_validation(plan: TrainPlan, model: PoseModel, decoder: Decoder, place: Ranks, fresh: Sequence[str]) -> Judge:
    """The validation of a training run, on the first ``validation.limit`` images of ``data.val_split``.

    ``fresh`` names the tensors that no checkpoint gave: where heads that the decoder needs have such and are not trained,
    the loss alone is measured. ConfigError where ``engine.best`` then is no figure, or never is one.
    """
    dataset = validation_dataset(plan)
    untrained = _untrained(model, plan.model.given, fresh)
    if not plan.engine.best_is_least:
        if untrained:
            raise ConfigError(
                f"engine.best={plan.engine.best}: there are no poses to judge, as heads {', '.join(untrained)} are neither trained "
                "nor taken over by init=; give engine.best=loss, or engine.validate_every=0"
            )
        _check_best(plan.engine.best, dataset, decoder)
    if untrained and place.first:
        message = f"validation measures the loss alone: heads {', '.join(untrained)} are not trained"
        warn(message)
    if place.first and not untrained:
        limits = {"validation.max_people": plan.validation.max_people} | limits_of(model, decoder, plan.model.given)
        warn_of_limits(dataset, limits, "validation finds and counts")
    return Judge(plan, dataset, None if untrained else decoder, place)


def validation_dataset(plan: TrainPlan) -> Dataset:
    """The images that a training run is judged on: never those of ``data.split``, which it may train on."""
    return replace(plan.data, split=None).dataset("val", plan.validation.limit)


def _untrained(model: PoseModel, given: Sequence[str], fresh: Sequence[str]) -> list[str]:
    """The heads that the decoder needs, but whose weights are new: neither trained here nor taken over."""
    running = model.running(model.decoded, model.keys_of(given))
    new = {name: [tensor for tensor in fresh if tensor.startswith(f"heads.{name}.")] for name in running}
    return [name for name in running if name not in model.trained and new[name]]


def _check_best(best: str, dataset: Dataset, decoder: Decoder) -> None:
    """Refuse a figure that no validation gives, hours before the first one; of single keypoints and categories it may be any."""
    skeleton = dataset.task.skeleton
    if skeleton is None and decoder.posed:
        return  # evaluate_dataset says so
    known = [name for measure in measures_for(decoder, skeleton, dataset.ground_truth([]), 1) for name in measure.names]
    if "/" not in best and best not in known:
        raise ConfigError("engine.best: " + unknown("validation figure", best, [LOSS, *known]))


@dataclass(frozen=True)
class Judge:
    """Judges a model in evaluation mode as configured; without ``decoder`` by its loss alone."""

    plan: TrainPlan
    dataset: Dataset
    decoder: Decoder | None
    place: Ranks

    def __call__(self, model: PoseModel) -> Validation:
        """The loss, its terms and the heads' figures; AP and the like, with pictures of the first images, where it decodes.

        Of several ranks each judges its share of the images by the first one's weights; all figures are the first one's alone.
        """
        self.place.same(model)
        figures = self.losses(model)
        if self.decoder is None:
            return Validation(figures)
        evaluation = self._evaluate(model, self.decoder)
        if not self.place.first:
            return Validation({})
        loss = {LOSS: figures.pop(LOSS)}
        metrics = {name: value for name, value in evaluation.metrics.items() if isinstance(value, float)}
        return Validation(loss | metrics | figures, self._pictures(model, evaluation))

    def losses(self, model: PoseModel) -> dict[str, float]:
        """The loss as it is trained, of images as the predictor gets them, or of persons or labels where those are trained."""
        plan, side = self.plan, partial(model.side, stages="all")
        length, fill = plan.model.input_size, model.fill.tolist()
        prepare = partial(letterbox, side_length=length, accept=side, fill=fill, side=plan.model.side)
        dataset = training_dataset(plan, self.dataset, model)
        together = min(plan.engine.batch_size, _TOGETHER) if dataset is self.dataset else plan.engine.batch_size
        groups = groups_of(dataset, lambda sample: prepare(sample).shape, together)
        judged = self._judged(model, dataset, prepare, self.place.share(groups))
        parts = [part for several in self.place.in_turn(judged, len(groups)) for part in several]
        return {name: float(mean) for name, mean in mean_figures(parts).items()} if parts else {LOSS: math.nan}

    def _judged(
        self, model: PoseModel, dataset: Dataset, prepare: Callable[[Sample], Sample], groups: Sequence[Group]
    ) -> Iterator[list[Losses]]:
        """The losses of the images of each group, on the CPU."""
        plan, precision = self.plan, PRECISIONS[self._precision()]
        chosen = Subset(dataset, [index for group in groups for index in group])
        samples = prepared_samples(chosen, prepare, model.ignores, plan.place.workers)
        for group in groups:
            batches = [batch for _, batch in buckets(islice(samples, len(group)), len(group))]
            with torch.no_grad(), drawn_alike(plan.place.seed, group):
                losses = [forward_losses(model, batch.to(self.place.device), plan.model.given, precision) for batch in batches]
            yield [own.cpu() for own in losses]

    def _precision(self) -> Precision:
        return precision_on(self.place.device, self.plan.engine.precision)

    def _evaluate(self, model: PoseModel, decoder: Decoder) -> Evaluation:
        plan = self.plan
        predictor = Predictor(
            model,
            decoder,
            input_size=plan.model.input_size,
            side=plan.model.side,
            head_scales=plan.model.head_scales,
            flip=plan.validation.flip,
            precision=self._precision(),
            device=self.place.device,
        )
        oracle, workers, most = plan.model.given, plan.place.workers, plan.validation.max_people
        seed, place = plan.place.seed, self.place
        return evaluate_dataset(predictor, self.dataset, oracle=oracle, workers=workers, max_people=most, seed=seed, place=place)

    def _pictures(self, model: PoseModel, evaluation: Evaluation) -> dict[str, Any]:
        """People found in the first images; none where no image is read."""
        skeleton = self.dataset.task.skeleton
        if not model.reads_images(model.decoded, model.keys_of(self.plan.model.given)):
            return {}
        shown = range(min(_SHOWN, len(self.dataset)))
        drawn = [
            draw_instances(self.dataset.sample(i, frozenset()).pixels, evaluation.predictions[i].instances, skeleton) for i in shown
        ]
        return {"val": contact_sheet(drawn, columns=2)}
