"""People of one frame after another become tracks: births, deaths and gaps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor

from bottomup.grouping.matching import assign
from bottomup.options import BelowOne, Count, Fraction, FromZero, Natural, Positive, checked
from bottomup.skeletons import Skeleton
from bottomup.tracking.cues import Cues, distance, similarity
from bottomup.tracking.smoothing import Smoothing, one_euro
from bottomup.tracking.tracks import Tracks, joined
from bottomup.types import Instances, Prediction

NOBODY = -1  # the identity of whom no track is sure of

_UNSURE = 3.0  # frames of growth: how much less is known of a first place, without a velocity, than of later ones
_SURE = 0.1  # of similarity: the most that a sure place is worth; without it a wide guess would be as good as a near place


@checked("tracker")
class Tracker:
    """Gives the people of one video's frames identities, frame by frame: ``tracker.update(prediction).instances.track_ids``.

    Everybody who is followed moves on at the velocity seen so far. Those found are assigned to them one to one, at the greatest
    total similarity of all ``cues``. Two can only be one if they are at least ``least`` alike and not farther apart than ``reach``
    sizes of the person, the root of its area; who was not seen may be farther off by ``growth`` of that for each frame, and the
    keypoints count for as much less exact, and so is who was just born. Tags are running means, of which a frame keeps
    ``tag_memory``.

    Who is found ``confirm`` frames on end is somebody, and gets the next identity, from 1 on; before that the identity is -1. Whom
    nobody saw for more than ``max_gap`` frames is gone; who comes back earlier is the same. ``smoothing`` filters the keypoints of
    everybody along time (None: they stay as they were found); ``frame_rate`` is the video's. ``skeleton`` is the instances', None
    for masks without keypoints.
    """

    def __init__(
        self,
        skeleton: Skeleton | None,
        *,
        cues: Cues | None = None,
        least: BelowOne = 0.3,
        reach: Annotated[Positive, "sizes of the person"] = 1.0,
        growth: Annotated[FromZero, "a frame"] = 0.15,
        tag_memory: Fraction = 0.8,
        confirm: Annotated[Count, "frames"] = 3,
        max_gap: Annotated[Natural, "frames"] = 30,
        smoothing: Smoothing | None = None,
        frame_rate: Annotated[Positive, "Hz"] = 25.0,
    ) -> None:
        self.sigmas = skeleton.sigmas if skeleton is not None else ()
        self.cues, self.least, self.reach, self.growth = cues or Cues(), least, reach, growth
        self.tag_memory, self.confirm, self.max_gap = tag_memory, confirm, max_gap
        self.smoothing, self.frame_rate = smoothing, frame_rate
        self._tracks: Tracks | None = None
        self._born = 0
        self._identities: dict[int, int] = {}  # by the number of a track that was confirmed

    def update(self, prediction: Prediction) -> Prediction:
        """The next frame's prediction, in px of the video, with the identities that are known by now."""
        found, numbers = self._advance(prediction.instances)
        return replace(prediction, instances=replace(found, track_ids=self._known(numbers)))

    def follow(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        """Each frame's prediction with identities, ``confirm`` - 1 frames late: who is confirmed has one from the first on."""
        waiting: deque[tuple[Prediction, Tensor]] = deque()
        for prediction in predictions:
            found, numbers = self._advance(prediction.instances)
            waiting.append((replace(prediction, instances=found), numbers))
            if len(waiting) == self.confirm:
                yield self._named(*waiting.popleft())
        for entry in waiting:
            yield self._named(*entry)

    def _named(self, prediction: Prediction, numbers: Tensor) -> Prediction:
        return replace(prediction, instances=replace(prediction.instances, track_ids=self._known(numbers)))

    def _known(self, numbers: Tensor) -> Tensor:
        return torch.tensor([self._identities.get(number, NOBODY) for number in numbers.tolist()], dtype=torch.int64)

    def _advance(self, found: Instances) -> tuple[Instances, Tensor]:
        """Those found in the next frame, smoothed if they are to be, and the numbers (P,) of their tracks."""
        tracks = Tracks.begun(found[:0], 0) if self._tracks is None else self._tracks
        rows, columns = self._assigned(tracks, found)
        seen = tracks.seen(rows, found[columns], self.tag_memory)
        left = torch.ones(len(tracks), dtype=torch.bool)
        left[rows] = False
        unseen = tracks.unseen(left)
        new = torch.ones(len(found), dtype=torch.bool)
        new[columns] = False
        born = Tracks.begun(found[new], self._born)
        self._born += len(born)
        order = torch.cat((columns, new.nonzero()[:, 0])).argsort()
        present = joined((tracks[rows], born))[order]  # as they were before, in the order of those found
        found, filtered, speed = self._smoothed(found, present)
        after = replace(joined((seen, born))[order], filtered=filtered, speed=speed)
        kept = (unseen.hits >= self.confirm) & (unseen.missed <= self.max_gap)
        self._tracks = joined((unseen[kept], after))
        self._confirm(after)
        return found, after.numbers

    def _assigned(self, tracks: Tracks, found: Instances) -> tuple[Tensor, Tensor]:
        """Which tracks (S,) are which of those found (S,)."""
        now, looser = tracks.now, 1 + self.growth * (tracks.missed + _UNSURE / tracks.hits)
        alike = similarity(now, found, (tracks.areas * looser.square(), found.areas), self.sigmas, self.cues)
        reach = self.reach * looser * tracks.areas.sqrt()
        allowed = (alike >= self.least) & (distance(now, found) <= reach[:, None])
        allowed &= tracks.people.labels[:, None] == found.labels
        surer = alike + _SURE / looser[:, None]  # of two who are as like, the one whose place is known better
        rows, columns = assign(-surer.double().numpy(), allowed.numpy())
        return torch.from_numpy(rows), torch.from_numpy(columns)

    def _smoothed(self, found: Instances, before: Tracks) -> tuple[Instances, Tensor, Tensor]:
        """Those found with filtered keypoints, and the filter's state of each."""
        if self.smoothing is None:
            return found, before.filtered, before.speed
        seconds = (before.missed + 1) / self.frame_rate
        state = (before.filtered, before.speed, seconds, before.areas.sqrt())
        filtered, speed = one_euro(found.keypoints, *state, self.smoothing)
        return replace(found, keypoints=filtered), filtered, speed

    def _confirm(self, tracks: Tracks) -> None:
        """Give the next identities to those who were just seen often enough, the best first."""
        for number in tracks.numbers[tracks.hits >= self.confirm].tolist():
            if number not in self._identities:
                self._identities[number] = len(self._identities) + 1
