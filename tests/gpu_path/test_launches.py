"""How many operators an image's targets take is no matter of how many people it shows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bottomup.ops.padded_nms import kept_in_turn, padded_nms
from tests.gpu_path.cells import METHODS, batch_for, composed
from tests.gpu_path.conftest import Card
from tests.unit.ops.test_padded_nms import scene


class Calls(TorchDispatchMode):
    """Counts the operators that are called."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("method", METHODS)
def test_targets_take_as_many_operators_however_many_people_there_are(method: str) -> None:
    model, _, _ = composed((f"method={method}", *METHODS[method]))
    heads = [model.stack(name).last for name in model.trained if not model.stack(name).last.matches]
    counts = []
    for people in ((1, 0), (4, 2), (30, 17)):
        batch = batch_for(model, people, room=30)
        with Calls() as calls:
            for head in heads:
                head.encode(batch, {})
        counts.append(calls.count)
    assert max(counts[1:]) <= counts[0]


def test_suppression_in_turn_is_torchvisions() -> None:
    boxes, scores = scene(3, 60)
    scores[1, ::2], scores[2] = 0.0, torch.nan
    for threshold in (0.0, 0.3, 0.7):
        assert torch.equal(kept_in_turn(boxes, scores, threshold, 25), padded_nms(boxes, scores, threshold, 25))


def test_suppression_waits_for_nobody(card: Card) -> None:
    boxes, scores = (tensor.to(card.device) for tensor in scene(2, 40))
    with card.quiet():
        kept = kept_in_turn(boxes, scores, 0.3, 7)
    assert kept.shape == (2, 7) and kept.device == card.device
