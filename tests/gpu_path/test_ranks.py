"""Two ranks on GPUs, whose other one is made up: torch's fake process group answers at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.distributed._tools.fake_collectives  # it tells torch 2.9 what collectives of fake tensors give
from torch.testing._internal.distributed.fake_pg import FakeStore

from bottomup.engine.distributed import Ranks
from tests.gpu_path.cells import METHODS
from tests.gpu_path.fake_card import fake_card
from tests.gpu_path.test_training import make_trainer


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A group of two; that their weights have equal shapes is not asked, as the other one's would be none."""
    monkeypatch.setattr(torch.nn.parallel.distributed, "_verify_param_shape_across_processes", lambda *_: True)
    dist.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    yield
    dist.destroy_process_group()


def exchanged(_: object, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
    """The gradients of a bucket as both ranks have them; the made-up group gives none where it is not waited for."""
    gradients, answer = bucket.buffer(), torch.futures.Future[torch.Tensor]()
    dist.all_reduce(gradients)
    answer.set_result(gradients)
    return answer


@pytest.mark.usefixtures("two")
@pytest.mark.skipif(torch.cuda.is_available(), reason="the real card is there")
@pytest.mark.filterwarnings("ignore:Grad strides do not match bucket view strides")
def test_a_step_of_two_ranks_waits_for_nobody(tmp_path: Path) -> None:
    cell = ("method=associative_embedding", *METHODS["associative_embedding"])
    with fake_card() as card:
        with card.aside():
            trainer = make_trainer(card, cell, tmp_path, ranks=Ranks(0, 2, card.device))
        assert isinstance(trainer.forward, torch.nn.parallel.DistributedDataParallel)
        trainer.forward.register_comm_hook(None, exchanged)
        with card.quiet():
            trainer._advance(trainer.batches(0), None)
            assert not trainer._should_stop()
