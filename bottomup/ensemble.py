"""Several models, and crops of an image, whose maps are merged where they agree and whose people are joined where they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import NamedTuple

import torch

from bottomup.base_predictor import BasePredictor, Look
from bottomup.crops import Crops, Window
from bottomup.dataset import Dataset
from bottomup.errors import ConfigError, counted
from bottomup.images import Image
from bottomup.model import PoseModel
from bottomup.options import FromZero, checked
from bottomup.predictor import Predictor, needed
from bottomup.samples.cropping import cropped
from bottomup.samples.loader import alike, attempted_samples, collate
from bottomup.samples.skipping import Unread
from bottomup.thresholds import Thresholds
from bottomup.types import Batch, Prediction, Sample
from bottomup.views import Found, Seen, join_predictions, merge

_MOST_TOLD = 3  # names in an error


class Part(NamedTuple):
    """An image, or a crop of it, as each member wants it."""

    window: Window | None  # image px; None: the whole image
    samples: tuple[Sample, ...]  # letterboxed, of each member

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(H, W) input px of each member."""
        return tuple(sample.shape for sample in self.samples)


@checked("ensemble")
class Ensemble(BasePredictor):
    """Predictors, its ``members``, that see the same images; with ``crops`` each sees crops of an image beside the whole of it.

    Members may be of any method and have input sizes, scales and flips of their own, but one skeleton, one list of categories and
    one kind of ``views``. With "maps" members are merged whose decoders read the same keys, with the same axes on the same grids:
    the mean of probabilities and offsets on the frame of the first of them, whose other heads and decoder go on. Members that
    agree with no other, all members with "instances" or "oks_nms", and each crop decode for themselves, and people are joined
    (``views.join_predictions``): groups by OKS are averaged, and what the first member's decoder suppresses in its own views is
    suppressed; or with "oks_nms" all are gathered and the best of those alike is left.

    ``votes`` say how much each member's word counts, None all alike; those of unequal votes are not merged as maps. A member
    without a vote, 0, only adds people whom no other finds, behind them, so that a weak one takes nothing from a strong one.

    Thresholds are the mean of the members', as scores are. ConfigError where members do not fit together.
    """

    def __init__(
        self, members: Sequence[Predictor], *, crops: Crops | None = None, votes: Sequence[FromZero] | None = None
    ) -> None:
        _check(members)
        first = members[0]
        self.members, self.crops = tuple(members), crops
        self.votes = _checked_votes(votes, len(members))
        self.model, self.decoder, self.read, self.on_error = first.model, first.decoder, first.read, first.on_error
        self.batch_size = min(member.batch_size for member in members)
        self.thresholds = Thresholds(
            score=fmean(member.thresholds.score for member in members),
            keypoint=fmean(member.thresholds.keypoint for member in members),
            alike=fmean(member.thresholds.alike for member in members),
        )
        self.teams = _teams(members, self.votes)

    def __repr__(self) -> str:
        crops = f", {self.crops}" if self.crops else ""
        return f"Ensemble({', '.join(map(repr, self.members))}{crops})"

    @property
    def models(self) -> Sequence[PoseModel]:
        """Those of the members, in their order."""
        return [member.model for member in self.members]

    @property
    def merged(self) -> bool:
        """Whether some members' maps are merged."""
        return len(self.teams) < len(self.members)

    @property
    def prepare(self) -> Callable[[Sample], list[Part]]:
        """What makes a sample in px of its image the parts that members see; may be sent to other processes."""
        return _Preparing(tuple(member.boxed for member in self.members), self.crops)

    def predict_samples(self, samples: Iterable[tuple[int, Sample]]) -> Iterator[tuple[int, Prediction]]:
        """Predict on samples in px of their images, with their indices, as batches fill: all instances, however they score."""
        prepare = self.prepare
        return self.predict_prepared((index, prepare(sample)) for index, sample in samples)

    def shape(self, sample: Sample) -> tuple[tuple[tuple[int, int], ...], ...]:
        """The shapes of all parts of a sample."""
        return tuple(part.shapes for part in self.prepare(sample))

    def prepared(self, dataset: Dataset, oracle: Sequence[str] = (), workers: int = 0) -> Iterator[tuple[int, list[Part] | Unread]]:
        """The parts of every image of a data set, with its index; as of ``Predictor``."""
        read, maps = needed(dataset, self.models, oracle)
        return attempted_samples(read, self.prepare, maps, workers, self.on_error)

    def look(self, image: Image) -> Look:
        """The prediction of one image, as ``predict`` gives it, with the first maps that were decoded, of one run."""
        whole, *crops = self.prepare(self.sample(image))
        batches = self._batches([whole])
        seen = self._seen(batches, ())
        first = self.members[0]
        pixels = first.views.at(batches[0], first.views.scales[0]).images
        assert pixels is not None  # of an image
        found = [self._found([whole], batches, seen), *(self._found_in([crop], ()) for crop in crops)]
        outputs, frame = seen[0][0]
        prediction = self.shown(self._joined([own for (of_part,) in found for own in of_part]))
        return Look(prediction, pixels[0].cpu().numpy(), outputs, frame, first.views.to_frame(batches[0], frame)[0])

    def predict_prepared(
        self, images: Iterable[tuple[int, list[Part]]], oracle: Sequence[str] = ()
    ) -> Iterator[tuple[int, Prediction]]:
        """Predict on parts of equal shapes together; an image is joined when the last of its parts is there.

        ``oracle`` names heads whose ideal outputs, from the annotations, replace the predictions of those members that have them.
        """
        waiting: dict[int, list[list[Found]]] = {}

        def parts() -> Iterator[tuple[int, int, Part]]:
            for index, own in images:
                waiting[index] = [[] for _ in own]
                yield from ((index, number, part) for number, part in enumerate(own))

        for bucket in alike(parts(), self.batch_size, lambda entry: entry[2].shapes):
            found = self._found_in([part for _, _, part in bucket], oracle)
            for (index, number, _), own in zip(bucket, found, strict=True):
                waiting[index][number] = own
                if all(waiting[index]):
                    yield index, self._joined([one for of_part in waiting.pop(index) for one in of_part])

    def _found_in(self, parts: Sequence[Part], oracle: Sequence[str]) -> list[list[Found]]:
        """Of each of parts, of equal shapes, what each view that is decoded by itself finds."""
        batches = self._batches(parts)
        return self._found(parts, batches, self._seen(batches, oracle))

    def _batches(self, parts: Sequence[Part]) -> list[Batch]:
        """The parts as batches, one a member."""
        of_members = zip(*(part.samples for part in parts), strict=True)
        return [collate(list(own)).to(member.device) for own, member in zip(of_members, self.members, strict=True)]

    @torch.inference_mode()
    def _seen(self, batches: Sequence[Batch], oracle: Sequence[str]) -> list[list[Seen]]:
        """Of each team what is decoded by itself; ``batches`` are one a member."""
        return [self._seen_together(team, batches, oracle) for team in self.teams]

    def _seen_together(self, team: Sequence[int], batches: Sequence[Batch], oracle: Sequence[str]) -> list[Seen]:
        first, own = self.members[team[0]].model, [_known(self.members[number].model, oracle) for number in team]
        seen = [self.members[number].seen(batches[number], names) for number, names in zip(team, own, strict=True)]
        if len(team) == 1:
            return seen[0]
        outputs, frames = zip(*(views[0] for views in seen), strict=True)  # one each, as maps are merged
        return [(merge(first, outputs, frames, frames[0], own[0]), frames[0])]

    def _found(self, parts: Sequence[Part], batches: Sequence[Batch], seen: Sequence[Sequence[Seen]]) -> list[list[Found]]:
        decoded = [self.members[team[0]].found(batches[team[0]], views) for team, views in zip(self.teams, seen, strict=True)]
        rows = zip(*decoded, strict=True)
        return [
            [
                found._replace(window=part.window, vote=self.votes[team[0]])
                for team, views in zip(self.teams, row, strict=True)
                for found in views
            ]
            for part, row in zip(parts, rows, strict=True)
        ]

    def _joined(self, found: Sequence[Found]) -> Prediction:
        nms = self.members[0].views.kind == "oks_nms"
        joined = join_predictions(found, self.sigmas, self.decoder.suppress, nms)
        return replace(joined, keypoint_threshold=self.thresholds.keypoint)


@dataclass(frozen=True)
class _Preparing:
    boxed: tuple[Callable[[Sample], Sample], ...]
    crops: Crops | None

    def __call__(self, sample: Sample) -> list[Part]:
        windows = [] if self.crops is None else self.crops.of(sample.shape)
        parts = [(None, sample), *((window, cropped(sample, window)) for window in windows)]
        return [Part(window, tuple(box(part) for box in self.boxed)) for window, part in parts]


def _known(model: PoseModel, oracle: Sequence[str]) -> list[str]:
    """The heads of ``oracle`` that a model has."""
    return [name for name in oracle if name in model.heads]


def _teams(members: Sequence[Predictor], votes: Sequence[float]) -> list[list[int]]:
    """The numbers of members that are merged as maps, in their order; who agrees with nobody is alone."""
    teams: list[list[int]] = []
    for number, member in enumerate(members):
        equal = [team for team in teams if votes[team[0]] == votes[number] and member.views.kind == "maps"]
        same = [team for team in equal if _agree(members[team[0]], member)]
        if same:
            same[0].append(number)
        else:
            teams.append([number])
    return teams


def _agree(one: Predictor, other: Predictor) -> bool:
    """Whether the decoders of two read the same keys, with the same axes on the same grids."""
    return one.device == other.device and _described(one.model) == _described(other.model)


def _described(model: PoseModel) -> dict[str, tuple[str, object]]:
    """The axes and the grid of each key that is merged over views."""
    heads = [model.stack(name).last for name in model.looking()]
    return {key: (axes, head.grids.get(key)) for head in heads for key, axes in head.provides.items()}


def _checked_votes(votes: Sequence[float] | None, count: int) -> tuple[float, ...]:
    """A vote for each of ``count`` members; ConfigError where there are not as many, or none is above 0."""
    if votes is None:
        return (1.0,) * count
    if len(votes) != count or min(votes) < 0 or max(votes) <= 0:
        raise ConfigError(
            f"votes should be {counted(count, 'number')} from 0 on, one of each network and one above 0, got {list(votes)}"
        )
    return tuple(map(float, votes))


def _check(members: Sequence[Predictor]) -> None:
    """Raise ConfigError where members do not find the same, or nobody is there."""
    if not members:
        raise ConfigError("an ensemble needs at least one member; give weights=[A,B], each a checkpoint or a network's name")
    for what, told in (("keypoints", _keypoints), ("categories", _categories), ("views", _kind)):
        first = told(members[0])
        for number, own in enumerate(map(told, members), 1):
            if own != first:
                raise ConfigError(
                    f"weights: networks are joined that have the same {what}; the first has {_few(first)}, "
                    f"number {number} has {_few(own)}: leave one of them out"
                )


def _keypoints(member: Predictor) -> Sequence[str]:
    return () if member.skeleton is None else member.skeleton.keypoints


def _categories(member: Predictor) -> Sequence[str]:
    return member.model.task.categories


def _kind(member: Predictor) -> Sequence[str]:
    return (member.views.kind,)


def _few(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _MOST_TOLD else ""
    return f"{len(names)} ({', '.join(names[:_MOST_TOLD])}{more})" if names else "none"
