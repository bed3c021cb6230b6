"""A network is compiled whole, and once, whoever is in its batches."""

from __future__ import annotations

import copy

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from bottomup.engine.objective import compute_losses
from tests.gpu_path.cells import METHODS, batch_for, cells, composed
from tests.gpu_path.conftest import RealCard


@pytest.mark.parametrize("cell", cells(quick=("associative_embedding",)))
def test_ten_batches_of_other_people_are_one_graph(cell: tuple[str, ...]) -> None:
    model, _, given = composed(cell)
    own, counter = copy.deepcopy(model).train(), CompileCounter()
    torch._dynamo.reset()
    compiled = torch.compile(own, fullgraph=True, backend=counter)
    for people in range(10):
        batch = batch_for(model, (people % 7, people // 2), room=6)
        outputs = compiled(batch.images, given=model.teaching(batch, given) if given else None, stages="all")
    assert counter.frame_count == 1
    assert compute_losses(own, outputs, batch).total.isfinite().all()


@pytest.mark.gpu
@pytest.mark.parametrize("method", METHODS)
def test_a_compiled_network_trains_on_a_card_without_a_wait(method: str) -> None:
    model, _, _ = composed((f"method={method}", *METHODS[method]))
    card, own = RealCard(), copy.deepcopy(model).to("cuda").to(memory_format=torch.channels_last).train()
    torch._dynamo.reset()
    compiled = torch.compile(own, fullgraph=True)
    for people in (1, 3, 6):
        batch = batch_for(model, (people, 0)).to(card.device)
        with torch.autocast("cuda", torch.bfloat16):
            outputs = compiled(batch.images, stages="all")
        compute_losses(own, outputs, batch).total.mean().backward()
    with card.quiet(), torch.autocast("cuda", torch.bfloat16):
        compiled(batch.images, stages="all")
