"""What is taken for a wait on the card that is not there, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DynamicOutputShapeException

from bottomup.devices import constant, on_host
from bottomup.geometry import Grid
from bottomup.ops.targets import nearest_keypoints
from tests.gpu_path.cells import METHODS, batch_for, composed
from tests.gpu_path.fake_card import CARD, FakeCard, fake_card

WAITS: dict[str, Callable[[Tensor], object]] = {
    "a number": lambda t: t.sum().item(),
    "a truth": lambda t: bool((t > 0).all()),
    "a list": lambda t: t.tolist(),
    "places": lambda t: t.nonzero(),
    "a choice": lambda t: t[t > 0],
    "a choice that is written": lambda t: t.index_put_((t > 0,), t[0]),
    "a copy": lambda t: t.cpu(),
    "a constant": lambda t: t.new_tensor((1.0, 2.0)),
    "an index of the host's": lambda t: t[torch.tensor([0, 2])],
    "equality": lambda t: torch.equal(t, t),
}
PASSES: dict[str, Callable[[Tensor], object]] = {
    "arithmetic": lambda t: torch.where(t > 0, t, 0.0).amax(),
    "an index of its own": lambda t: t[torch.arange(3, device=t.device)],
    "a constant on its way": lambda t: constant((1.0, 2.0), t),
    "a copy on its way": lambda t: t.to("cpu", non_blocking=True),
    "best ones": lambda t: t.topk(2),
}
pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="the real card is there")


@pytest.mark.parametrize("name", WAITS)
def test_who_reads_it_waits(name: str) -> None:
    with fake_card() as card:
        tensor = torch.rand(3).to(CARD, non_blocking=True)
        assert not card.waits
        try:
            WAITS[name](tensor)
        except DynamicOutputShapeException:
            assert name in ("places", "a choice")
        assert card.waits


@pytest.mark.parametrize("name", PASSES)
def test_who_works_on_it_does_not(name: str) -> None:
    with fake_card() as card, card.quiet():
        PASSES[name](torch.rand(3).to(CARD, non_blocking=True))


def test_several_tensors_come_to_the_host_in_one_wait() -> None:
    with fake_card() as card:
        moved = on_host({name: torch.rand(2, 3, device=CARD) for name in "abc"})
        assert len(card.waits) == 1 and all(tensor.device.type == "cpu" for tensor in moved.values())


def test_tensors_of_two_places_do_not_mix() -> None:
    with fake_card(), pytest.raises(RuntimeError, match="device"):
        torch.rand(3, device=CARD) + torch.rand(3)


def test_a_wait_in_the_library_is_found() -> None:
    """Targets that count their people on the card, as they once did."""
    model, _, _ = composed(("method=associative_embedding", *METHODS["associative_embedding"]))
    batch = batch_for(model)
    with fake_card() as card:
        moved = batch.to(CARD)
        nearest_keypoints(moved, Grid.centred(4))
        assert not card.waits
        nearest_keypoints(replace(moved, most=max(1, int(moved.present.sum(1).max()))), Grid.centred(4))
        assert card.waits


def test_the_card_is_left_as_it_was() -> None:
    with fake_card() as card:
        assert isinstance(card, FakeCard)
    weight = torch.ones(3, requires_grad=True)
    weight.sum().backward()
    assert weight.grad is not None and torch.autocast("cpu") is not None
